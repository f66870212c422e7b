"""Start launch-action from the files of the action: make its environment once, then become it.

Standard library only, and it must start under a Python 3.8, whose job is then to find a newer one.
Exits 7, with one line saying why, when the program cannot be started.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping, Sequence
    from typing import NoReturn

HERE = Path(__file__).resolve().parent
LOCK = HERE / "requirements.lock"
# The same and W&B's SDK, 75 MB more, of which most users need nothing.
WANDB_LOCK = HERE / "requirements-wandb.lock"
PACKAGE = HERE / "src" / "launch_action"

OLDEST, NEWEST = (3, 11), (3, 14)
DAY = 24 * 3600.0

QUIET = ("--no-config", "--quiet")
WHEELS = ("--require-hashes", "--only-binary", ":all:")

UNREACHABLE = (
    "is the package index reachable? PIP_INDEX_URL or UV_DEFAULT_INDEX names a mirror;"
    " configuration files are not read"
)
NO_ROOM = "free space or rights in the runner's tool cache, RUNNER_TOOL_CACHE"

# The console script; it takes the inputs from where `hand_over_inputs` puts them.
SCRIPT = """\
#!{python}
import os, sys
handle = os.environ.pop("LAUNCH_INPUTS_FD", "")
if handle:
    with open(int(handle), encoding="utf-8", errors="surrogateescape") as file:
        os.environ["LAUNCH_INPUTS"] = file.read()
from launch_action.cli import main
if __name__ == "__main__":
    sys.exit(main())
"""

# What an installer sees of our environment: where the index is and how it is reached. Everything
# else (targets, user installs, plugins, constraints) could change what is installed.
PASSED = re.compile(
    r"PATH|HOME|USER|LOGNAME|TMPDIR|LANG|LC_ALL|XDG_CACHE_HOME|XDG_DATA_HOME|NETRC|NIX_SSL_CERT_FILE"
    r"|(?:https?|all|no)_proxy|SSL_CERT_(?:FILE|DIR)|SSL_CLIENT_CERT|(?:REQUESTS|CURL)_CA_BUNDLE"
    r"|PIP_(?:(?:EXTRA_)?INDEX_URL|FIND_LINKS|NO_INDEX|TRUSTED_HOST|CERT|CLIENT_CERT|PROXY|RETRIES"
    r"|(?:DEFAULT_)?TIMEOUT|CACHE_DIR)"
    r"|UV_(?:(?:EXTRA_)?INDEX_URL|DEFAULT_INDEX|INDEX(?:_\w+_(?:USERNAME|PASSWORD))?|FIND_LINKS"
    r"|NO_INDEX|INSECURE_HOST|NATIVE_TLS|SYSTEM_CERTS|HTTP_TIMEOUT|CACHE_DIR|OFFLINE"
    r"|KEYRING_PROVIDER|PYTHON_(?:INSTALL_DIR|INSTALL_MIRROR|DOWNLOADS))",
    re.IGNORECASE,
)


class CannotStart(Exception):
    """Why the program cannot be started, what to do, and the last output of a tool."""

    def __init__(self, message: str, hint: str, evidence: str = "") -> None:
        super().__init__(message)
        self.message, self.hint, self.evidence = message, hint, evidence


def main() -> None:
    if sys.argv[1:] == ["--describe"]:
        print(json.dumps(describe()))
        return
    if sys.argv[1:2] == ["--install-into"]:  # the Dockerfile's way in
        place = Path(sys.argv[2]).absolute()  # its script is started from anywhere
        add_program(place, place, describe()["version"])
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` blocks are run
    try:
        environment = prepare()
    except CannotStart as why:
        complain(why)
        sys.exit(7)
    except OSError as why:  # a disk that is full, a directory of another user
        complain(CannotStart(f"the program's environment cannot be made: {why}", NO_ROOM))
        sys.exit(7)
    become(environment)


def become(environment: Path) -> NoReturn:
    """Replace this process, so that the runner's signals reach the program itself."""
    python = environment / "bin" / "python"
    # Not through the script's `#!` line: it has a length limit and breaks at a space. -I keeps the
    # working directory, which is the workspace, and every PYTHON* setting out of sys.path.
    script = str(environment / "bin" / "launch-action")
    arguments = [str(python), "-I", "-u", "-X", "utf8", script, "action"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    hand_over_inputs(kept)
    os.execve(arguments[0], arguments, kept)  # noqa: S606 - no shell, on purpose


def hand_over_inputs(environment: MutableMapping[str, str]) -> None:
    """Move the inputs from the environment to memory of which the program gets the descriptor.

    What a process starts can read, in /proc, the variables that it was started with; those that
    it sets itself, as SCRIPT does, are not shown there.
    """
    inputs = environment.pop("LAUNCH_INPUTS", None)
    if inputs is not None:
        memory = os.memfd_create("inputs", 0)
        with open(memory, "wb", closefd=False) as file:
            file.write(inputs.encode("utf-8", "surrogateescape"))
        os.lseek(memory, 0, os.SEEK_SET)
        os.set_inheritable(memory, True)
        environment["LAUNCH_INPUTS_FD"] = str(memory)


def complain(why: CannotStart) -> None:
    if why.evidence:
        # A tool's output may hold anything, workflow commands too.
        token = uuid.uuid4().hex
        print(f"::stop-commands::{token}\n{why.evidence}\n::{token}::")
    print(f"::error title=launch-action::{escaped(why.message)}%0Ahint: {escaped(why.hint)}")


def escaped(text: str) -> str:
    """A workflow command's data (actions/runner, ActionCommand.cs)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


# ---- the environment ---------------------------------------------------------------------------


def prepare() -> Path:
    """The directory of a complete environment, made now or by an earlier run."""
    with tempfile.TemporaryDirectory(prefix="launch-action-") as outside:
        python = find_python(outside)
        key = content_key()
        place = found(python, key) or place_for(python, home(), key)
        if not usable(place):
            began = time.monotonic()
            tool = make(place, python, outside)
            took = time.monotonic() - began
            version = python["version"]
            # Told by the program, whose first line says what it is about to do.
            os.environ["LAUNCH_ACTION_MADE"] = f"{tool}, Python {version}, {took:.1f} s"
    with suppress(OSError):  # another user's, in a shared tool cache, or one that is read-only
        os.utime(place)  # `sweep` goes by this time
    return place


def found(python: Mapping[str, str], key: str) -> Path | None:
    """The environment that is there already, if need be where nothing can be written."""
    places = (place_for(python, root, key) for root in homes())
    return next((place for place in places if usable(place)), None)


def place_for(python: Mapping[str, str], root: Path, key: str) -> Path:
    """Where the environment belongs: its name says all that its content depends on.

    Its own path is one of these things (scripts name it), and a tool cache that is mounted in a
    job container has another path there, another Python and another libc.
    """
    parent = root / "launch-action" / key
    name = "cpython-{version}-{machine}".format(**python)
    facts = "\0".join([str(parent), python["executable"], python["libc"]])
    return parent / f"{name}-{hashlib.sha256(facts.encode()).hexdigest()[:8]}"


def homes() -> Iterator[Path]:
    """The directories that an environment may be in; the first is kept between runs."""
    for name in ("RUNNER_TOOL_CACHE", "RUNNER_TEMP"):
        root = os.environ.get(name)
        if root and Path(root).is_absolute():
            yield Path(root)


def home() -> Path:
    """The first of them that can be written, else a new one."""
    for root in homes():
        folder = Path(root, "launch-action")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK | os.X_OK):
            return root
    return Path(tempfile.mkdtemp(prefix="launch-action-"))


def content_key() -> str:
    """Hash of what is installed: the locked dependencies, our package, and this file."""
    key = hashlib.sha256()
    for path in (Path(__file__), lock(), *sources()):
        content = path.read_bytes()
        key.update(f"{path.name}\0{len(content)}\0".encode())
        key.update(content)
    return key.hexdigest()[:16]


def lock() -> Path:
    """What this run needs: W&B's SDK among it where there is a key, and jobs are registered."""
    try:
        inputs = json.loads(os.environ.get("LAUNCH_INPUTS") or "{}")
    except ValueError:  # the program says what is wrong with it
        inputs = {}
    given = inputs if isinstance(inputs, dict) else {}
    key = given.get("wandb-api-key") or os.environ.get("WANDB_API_KEY")
    return WANDB_LOCK if key and given.get("wandb-register") != "off" else LOCK


def sources() -> Iterator[Path]:
    for folder, folders, names in os.walk(PACKAGE):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield from (Path(folder, name) for name in sorted(names))


def usable(place: Path) -> bool:
    """Whether the environment is there and its interpreter still is (its link may dangle)."""
    return (place / "bin" / "python").exists() and (place / "bin" / "launch-action").exists()


def make(place: Path, python: Mapping[str, str], outside: str) -> str:
    """Make the environment beside its place and rename it: it is complete or it is not there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    sweep(place.parent.parent)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=str(place.parent)))
    try:
        tool = install(partial / "new", python, outside)
        add_program(partial / "new", place, python["version"])
        settle(partial / "new", place, aside=partial / "broken")
    finally:
        shutil.rmtree(str(partial), ignore_errors=True)
    return tool


def settle(made: Path, place: Path, *, aside: Path) -> None:
    """Rename; a parallel run that was first has made the same thing, so ours is not needed."""
    if place.exists() and not usable(place):
        with suppress(FileNotFoundError):  # a parallel run has moved it away
            place.rename(aside)
    try:
        made.rename(place)
    except OSError:
        if not usable(place):
            raise


def install(target: Path, python: Mapping[str, str], outside: str) -> str:
    """Make a virtual environment with the locked wheels; returns the name of the tool used."""
    inner = str(target / "bin" / "python")
    uv, tool = find_uv(outside), "uv"
    if uv:
        run(
            [uv, *QUIET, "venv", "--no-project", "--python", python["executable"], str(target)],
            outside,
        )
    else:
        uv, tool = uv_by_pip(target, python["executable"], outside), "pip and uv"
    run([uv, *QUIET, "pip", "install", "--python", inner, *WHEELS, "-r", str(lock())], outside)
    return tool


def uv_by_pip(target: Path, python: str, outside: str) -> str:
    """Make the environment with venv and have pip fetch uv alone, which does the rest faster."""
    packages = re.split(r"\n(?=\S)", lock().read_text(encoding="utf-8"))
    alone = Path(outside, "uv.lock")
    alone.write_text(next(p for p in packages if p.startswith("uv==")) + "\n", encoding="utf-8")
    inner = str(target / "bin" / "python")
    pip = [python, "-I", "-m", "pip", "--python", inner]
    if answers([python, "-I", "-m", "pip", "--python", python, "--version"], outside):
        run([python, "-I", "-m", "venv", "--without-pip", str(target)], outside)
    else:  # no pip beside this Python, or one too old to serve another: two seconds more
        pip = [inner, "-I", "-m", "pip"]
        hint = "install python3-venv or uv, or use actions/setup-python"
        run([python, "-I", "-m", "venv", str(target)], outside, hint)
    run(
        [*pip, "install", "--no-input", "--no-compile", "--quiet", *WHEELS, "-r", str(alone)],
        outside,
    )
    return str(target / "bin" / "uv")


def add_program(target: Path, place: Path, version: str) -> None:
    """Our own package and its console script, as an installer would lay them out.

    An earlier one is replaced.
    """
    site = target / "lib" / f"python{version}" / "site-packages" / "launch_action"
    shutil.rmtree(str(site), ignore_errors=True)
    shutil.copytree(str(PACKAGE), str(site), ignore=shutil.ignore_patterns("__pycache__"))
    script = target / "bin" / "launch-action"
    script.write_text(SCRIPT.format(python=place / "bin" / "python"), encoding="utf-8")
    script.chmod(0o755)


def sweep(root: Path) -> None:
    """Remove what killed runs left (a day old) and environments unused for thirty days."""
    now = time.time()
    for path in root.glob("*/*"):
        limit = DAY if path.name.startswith(".partial-") else 30 * DAY
        try:
            if now - path.stat().st_mtime > limit:
                shutil.rmtree(str(path), ignore_errors=True)
        except FileNotFoundError:
            continue


# ---- interpreters and tools --------------------------------------------------------------------


def describe() -> dict[str, str]:
    """What of this interpreter decides which wheels it takes."""
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    except (ValueError, OSError):
        libc = "musl"
    return {
        "implementation": sys.implementation.name,
        "version": "{}.{}".format(*sys.version_info[:2]),
        "executable": os.path.realpath(sys.executable),
        "machine": os.uname().machine,
        "libc": libc,
    }


def suits(python: Mapping[str, str]) -> bool:
    numbers = tuple(int(part) for part in python["version"].split("."))
    return python["implementation"] == "cpython" and OLDEST <= numbers <= NEWEST


def find_python(outside: str) -> Mapping[str, str]:
    """This interpreter if it is new enough, else the newest of PATH, the tool cache, or uv."""
    own = describe()
    if suits(own):
        return own
    for candidate in (*on_path(), *in_tool_cache()):
        found = probe(candidate, outside)
        if found:
            return found
    found = from_uv(outside)
    if found:
        return found
    raise CannotStart(
        "no Python from {}.{} to {}.{} on this machine (python3 is {})".format(
            *OLDEST, *NEWEST, own["version"]
        ),
        "add a step `uses: actions/setup-python` before this one, or install uv",
    )


def on_path() -> Iterator[str]:
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        found = which(f"python3.{minor}")
        if found:
            yield found


def in_tool_cache() -> Sequence[str]:
    """The interpreters of actions/setup-python, newest first."""
    root = os.environ.get("RUNNER_TOOL_CACHE")
    found = Path(root, "Python").glob("3.*/*/bin/python3") if root else []
    return sorted((str(path) for path in found), key=numbers_of, reverse=True)


def numbers_of(path: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path)]


def probe(candidate: str, outside: str) -> Mapping[str, str] | None:
    """Ask an interpreter what it is; a shim of a version that is not installed only complains."""
    printed = answers([candidate, "-I", str(Path(__file__).resolve()), "--describe"], outside)
    try:
        found: dict[str, str] = json.loads(printed)
    except ValueError:
        return None
    return found if suits(found) else None


def from_uv(outside: str) -> Mapping[str, str] | None:
    uv = find_uv(outside)
    wanted = ">={}.{},<={}.{}.999".format(*OLDEST, *NEWEST)
    if not uv:
        return None
    find = [uv, *QUIET, "python", "find", "--no-project", "--system", wanted]
    path = answers(find, outside)
    if not path:
        answers([uv, *QUIET, "python", "install", wanted], outside)
        path = answers(find, outside)
    return probe(path.strip(), outside) if path else None


def find_uv(outside: str) -> str | None:
    uv = which("uv")
    return uv if uv and answers([uv, "--version"], outside) else None


def which(program: str) -> str | None:
    """A program on PATH, leaving out relative entries and those inside the workspace."""
    workspace = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    folders = [
        folder
        for folder in os.environ.get("PATH", os.defpath).split(os.pathsep)
        if folder.startswith("/") and workspace not in (Path(folder).resolve() / "_").parents
    ]
    return shutil.which(program, path=os.pathsep.join(folders))


def tool_environment() -> dict[str, str]:
    """The allow-listed part of our environment; one index setting serves uv and pip alike."""
    kept = {name: value for name, value in os.environ.items() if PASSED.fullmatch(name)}
    index = kept.get("UV_DEFAULT_INDEX") or kept.get("UV_INDEX_URL") or kept.get("PIP_INDEX_URL")
    if index:
        kept["PIP_INDEX_URL"] = kept["UV_DEFAULT_INDEX"] = index
        kept.pop("UV_INDEX_URL", None)
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def answers(arguments: Sequence[str], outside: str) -> str:
    """What a program prints; nothing when it cannot be run or fails."""
    try:
        code, output = execute(arguments, outside, complaints=subprocess.DEVNULL)
    except OSError:
        return ""
    return "" if code else output


def run(arguments: Sequence[str], outside: str, hint: str = UNREACHABLE) -> None:
    code, output = execute(arguments, outside, complaints=subprocess.STDOUT)
    if code:
        name = Path(arguments[0]).name
        message = f"the program's environment cannot be made: {name} exited with {code}"
        if os.strerror(errno.ENOSPC) in output:
            message, hint = f"{message}: {os.strerror(errno.ENOSPC)}", NO_ROOM
        raise CannotStart(message, hint, "\n".join(output.strip().splitlines()[-20:]))


def execute(arguments: Sequence[str], outside: str, *, complaints: int) -> tuple[int, str]:
    """Run a tool where no file of the workspace can configure it."""
    done = subprocess.run(
        arguments,
        cwd=outside,
        env=tool_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=complaints,
        check=False,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace")


if __name__ == "__main__":
    main()
