"""The one door to other programs: argument lists, an environment of our making, no shell.

Every subprocess of this package is started here, except the job itself (`runners`), which needs
its own process group and a live log.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from launch_action.core.dataclass import dataclass

# What a tool of ours may see of the environment. Credentials are not in it: a tool that needs one
# (git's helpers, uv's index credentials) is given it by its adapter, by name.
ALLOWED = (
    "PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ",
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
    "http_proxy", "https_proxy", "no_proxy", "all_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
)  # fmt: skip


# What `run` raises when its time is over, so that nobody else needs the subprocess module.
TimedOut = subprocess.TimeoutExpired
# Seconds between two looks at whether a program is wanted still, and for it to end in order.
_LOOK, _GRACE = 0.1, 1.0


# What threads have started and wait for; the main thread ends its own as its exception passes.
_of_threads: set[subprocess.Popen[bytes]] = set()
_over: list[bool] = []


class StoppedError(Exception):
    """A program was ended because nobody wants what it does any more."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a program left: its exit code (negative: the signal that ended it) and its output."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Standard output, undecodable bytes kept by surrogateescape."""
        return self.out.decode("utf-8", "surrogateescape")

    @property
    def complaint(self) -> str:
        """The last lines of standard error, for an error's context."""
        lines = self.err.decode("utf-8", "replace").strip().splitlines()
        return "\n".join(lines[-20:])


def environment(*also: str, **values: str) -> dict[str, str]:
    """The allow-listed part of our environment, the variables named in `also`, and `values`."""
    kept = {name: os.environ[name] for name in (*ALLOWED, *also) if name in os.environ}
    return kept | {"LC_ALL": "C.UTF-8"} | values


def run(
    arguments: Sequence[str | os.PathLike[str] | bytes],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout: float | None = None,
    stop: Callable[[], bool] | None = None,
    group: bool = False,
) -> Finished:
    """Run a program to its end and return what it left.

    Raises FileNotFoundError when there is no such program, TimedOut after `timeout` seconds and
    StoppedError once `stop` says so; an exit code other than 0 is the caller's to judge. With
    `group`, what the program has started ends with it when it is not waited for.
    """
    # At a terminal Ctrl-C reaches all of them, and one that asks there must be in front.
    leads = group and not _at_terminal()
    with subprocess.Popen(
        arguments,
        cwd=cwd,
        env=dict(env if env is not None else environment()),
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0 if leads else None,
    ) as child:
        try:
            with _waited_for(child):
                if stop:
                    out, err = _stoppable(child, stdin, timeout, stop)
                else:
                    out, err = child.communicate(stdin, timeout)
            if leads and _over:
                _end_group(child.pid)
        except BaseException:
            _end(child, _GRACE)
            if leads:
                _end_group(child.pid)
            raise
    return Finished(child.returncode, out, err)


def _stoppable(
    child: subprocess.Popen[bytes],
    stdin: bytes | None,
    timeout: float | None,
    stop: Callable[[], bool],
) -> tuple[bytes, bytes]:
    """The output of a program that is ended when `stop` says so."""
    left = timeout
    while left is None or left > 0:
        if stop():
            raise StoppedError
        try:
            return child.communicate(stdin, _LOOK)
        except TimedOut:
            stdin, left = None, None if left is None else left - _LOOK
    raise TimedOut(child.args, timeout or 0)


def end_all() -> None:
    """End what threads wait for, and whatever they start from now on: the whole program ends.

    For a signal's handler: its exception reaches the main thread alone, which waits for the others.
    """
    _over.append(True)
    for child in tuple(_of_threads):
        _tell(child)


@contextmanager
def _waited_for(child: subprocess.Popen[bytes]) -> Iterator[None]:
    if threading.current_thread() is threading.main_thread():
        yield
        return
    _of_threads.add(child)
    try:
        if _over:
            _tell(child)
        yield
    finally:
        _of_threads.discard(child)


def _tell(child: subprocess.Popen[bytes]) -> None:
    """Tell a program to end, and those that it has started where it leads a group of its own."""
    with suppress(ProcessLookupError):
        if child.returncode is None and os.getpgid(child.pid) == child.pid:
            os.killpg(child.pid, signal.SIGTERM)
    child.terminate()


@contextmanager
def talk(
    arguments: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program that is spoken to through pipes; it is ended when the block is left."""
    child = subprocess.Popen(
        arguments,
        cwd=cwd,
        env=dict(env if env is not None else environment()),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        with _waited_for(child):
            yield child
    finally:
        for pipe in (child.stdin, child.stdout):
            _close(pipe)
        child.terminate()
        child.wait()


def follow(
    arguments: Sequence[str | os.PathLike[str]],
    line: Callable[[str], None],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    grace: float = 10.0,
) -> int:
    """Run a program to its end and tell each line of its output, standard error among it.

    Returns its exit code. When the block is left by an exception, an interruption among them, the
    program is asked to end, and killed after `grace` seconds. Raises FileNotFoundError.
    """
    with subprocess.Popen(
        arguments,
        cwd=cwd,
        env=dict(env if env is not None else environment()),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # What a terminal sends to its whole group reaches us alone: we end the program in order.
        process_group=0,
    ) as child:
        try:
            with _waited_for(child):
                for text in child.stdout or ():
                    line(text.decode("utf-8", "replace").rstrip("\r\n"))
                return child.wait()
        finally:
            _end(child, grace)


def stream(
    arguments: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str] | None = None,
    chunk: int = 1 << 20,
) -> Iterator[bytes]:
    """The standard output of a program in chunks; it is ended when nobody reads on.

    Raises FileNotFoundError, and EOFError with what it complained of when it fails.
    """
    import tempfile

    with tempfile.TemporaryFile() as complaint:
        child = subprocess.Popen(
            arguments,
            env=dict(env if env is not None else environment()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaint,
        )
        try:
            with _waited_for(child), child.stdout or open(os.devnull, "rb") as out:  # noqa: PTH123
                yield from iter(lambda: out.read(chunk), b"")
            if child.wait() != 0:
                complaint.seek(0)
                raise EOFError(complaint.read().decode("utf-8", "replace").strip())
        finally:
            _end(child, 1.0)


def _end(child: subprocess.Popen[bytes], grace: float) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(grace)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _end_group(leader: int) -> None:
    """End what is left of a program's process group: git leaves its helpers behind."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _at_terminal() -> bool:
    """Whether somebody could be asked, whatever our streams lead to."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def which(program: str) -> Path | None:
    """Where a program is on PATH, or None."""
    import shutil

    found = shutil.which(program)
    return Path(found) if found else None


def _close(pipe: IO[bytes] | None) -> None:
    if pipe:
        try:
            pipe.close()
        except BrokenPipeError:
            return
