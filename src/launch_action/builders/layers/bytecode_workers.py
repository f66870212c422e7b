"""Processes of the target's Python that compile modules, one request at a time each."""

from __future__ import annotations

import os
import select
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from launch_action import process
from launch_action.builders.layers.archive import Entry
from launch_action.builders.layers.wheel import read_text
from launch_action.builders.layers.zips import Zips
from launch_action.core.errors import BuildError

# Sources above this are tables, which take hundreds of times their size to compile.
MAX_SOURCE = 4 << 20
# What bytecode is like must not depend on our environment: not on PYTHON* variables, and before
# 3.11 on one hash seed, which isolation would not let through.
_ISOLATED = ("-I", "-S", "-W", "ignore")
_SEEDED = ("-s", "-S", "-W", "ignore")
_PROGRAM = Path(__file__).with_name("bytecode_worker.py")
_SECONDS = 120
# A dozen processes compile faster than anything else of a build can keep up with.
_MOST = 12


class Workers:
    """As many processes as there are processors; each is started when there is work for it."""

    def __init__(self, python: Path, version: str) -> None:
        old = tuple(map(int, version.split(".")[:2])) < (3, 11)
        options = _SEEDED if old else _ISOLATED
        self._command = [str(python), *options, str(_PROGRAM), version]
        self._environment = process.environment(PYTHONHASHSEED="0")
        self._version = version
        self._own = threading.local()
        self._started = ExitStack()
        count = min(len(os.sched_getaffinity(0)), _MOST)
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="compile")

    def submit(self, source: Entry) -> Future[bytes]:
        """Compile a module: the `.pyc` file, empty where the source does not compile.

        Its BuildError: the source is not what its wheel says, or the process died of it.
        """
        return self._pool.submit(self._compile, source)

    def close(self) -> None:
        """End all processes; what is not compiled yet never is."""
        self._pool.shutdown(cancel_futures=True)
        self._started.close()

    def _compile(self, source: Entry) -> bytes:
        with Zips() as zips:
            content = read_text(source.content, zips)
        path = f"/{source.path}"
        requests, answers = self._pipes()
        try:
            lengths = (len(path.encode()), len(content))
            requests.write(b"".join(n.to_bytes(4, "little") for n in lengths))
            requests.write(path.encode() + content)
            requests.flush()
            return self._answer(answers, path)
        except BrokenPipeError:
            raise self._died(path) from None

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        """Of this thread's own process."""
        if not hasattr(self._own, "pipes"):
            talk = process.talk(self._command, cwd=Path("/"), env=self._environment)
            child = self._started.enter_context(talk)
            self._own.pipes = (child.stdin, child.stdout)
        found: tuple[IO[bytes], IO[bytes]] = self._own.pipes
        return found

    def _answer(self, answers: IO[bytes], path: str) -> bytes:
        # Nothing is left of the answer before, so waiting for the pipe is waiting for this one.
        waiting = select.poll()
        waiting.register(answers, select.POLLIN)
        if not waiting.poll(_SECONDS * 1000):
            raise self._died(path, f"needs more than {_SECONDS} seconds for")
        length = answers.read(4)
        size = int.from_bytes(length, "little")
        data = answers.read(size)
        if len(length) < 4 or len(data) < size:
            raise self._died(path)
        return data

    def _died(self, path: str, how: str = "died of") -> BuildError:
        return BuildError(
            f"the compiler of Python {self._version} {how} {path!r}",
            hint="build with --no-compile",
        )
