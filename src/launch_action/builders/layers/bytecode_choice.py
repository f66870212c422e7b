"""Which Python compiles the modules of an image: chosen before anything is made, for it is a part
of the build key.

Every patch release of a minor version reads what another one wrote, and they do not all write the
same. So the exact version that compiles is in the key of what it compiles; and what an earlier
image holds by another one is as good, and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from launch_action.builders.layers.interpreters import Interpreter
from launch_action.cache import Cache
from launch_action.core.base import PythonFacts
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError
from launch_action.core.ports import Reporter

if TYPE_CHECKING:
    from launch_action.builders.layers.bytecode import Compiler

# Part of the key of what has bytecode: which modules are compiled, and how.
FORMAT = 2
_OLDEST = (3, 8)


@dataclass(frozen=True, slots=True)
class Choice:
    """The Python that compiles: `version` X.Y.Z, empty for an image without bytecode.

    `executable` is empty where this machine does not have it. `lack` says why there is no bytecode
    where nobody asked for none.
    """

    version: str = ""
    executable: str = ""
    lack: str = ""

    @property
    def key(self) -> str:
        """What of it decides bytes; empty without bytecode."""
        return f"bytecode {FORMAT} by {self.version}" if self.version else ""


def choose(wanted: bool | None, python: PythonFacts, found: Sequence[Interpreter]) -> Choice:
    """The Python that compiles for `python`, of those that were `found` on this machine.

    The very same if it is here, so that machines that have it agree; else the newest, for the first
    releases of a Python had defects in what they compile. `wanted` is None where nobody said. Where
    it is asked for and none is here, it is to be fetched.
    """
    if wanted is False:
        return Choice()
    if tuple(map(int, python.minor.split("."))) < _OLDEST:
        return Choice(lack=f"Python {python.minor} is too old to compile for")
    fitting = [one for one in found if fits(one.version, python.version)]
    if fitting:
        chosen = max(fitting, key=lambda one: (one.version == python.version, _patch(one.version)))
        return Choice(chosen.version, chosen.executable)
    if wanted and python.version.count(".") > 1:
        return Choice(python.version)
    return Choice(lack=f"this machine has no Python {_needed(python)} to compile with")


def settle(
    chosen: Choice,
    earlier: Iterable[str],
    python: PythonFacts,
    found: Sequence[Interpreter],
    is_known: Callable[[Choice], bool],
) -> Choice:
    """The choice in the light of the versions that compiled `earlier` images.

    Where everything is there by one of them, nothing has to be compiled; and where this machine
    has that one, less has to be.
    """
    unwanted = not chosen.version and not chosen.lack
    if unwanted or (chosen.version and is_known(chosen)):
        return chosen
    fitting = [v for v in dict.fromkeys(earlier) if v and fits(v, python.version)]
    for version in fitting:
        if is_known(Choice(version)):
            return Choice(version)
    here = (one for one in found if one.version in fitting)
    going_on = min(here, key=lambda one: fitting.index(one.version), default=None)
    return Choice(going_on.version, going_on.executable) if going_on else chosen


def check(choice: Choice, wanted: bool | None, minor: str, reporter: Reporter) -> None:
    """Say that there will be no bytecode. Raises BuildError where it was asked for."""
    if choice.lack and wanted:
        raise BuildError(
            f"no bytecode: {choice.lack}",
            hint=f"install Python {minor} (such as by actions/setup-python), "
            "or build with --no-compile",
        )
    if choice.lack:
        reporter.warning(
            f"no bytecode: {choice.lack}, so every start of the job compiles what it imports "
            "(--no-compile accepts that)"
        )


def open_compiler(choice: Choice, cache: Cache, stack: ExitStack) -> Compiler | None:
    """What compiles until the stack is closed; imported only where something is made."""
    if not choice.version:
        return None
    from launch_action.builders.layers.bytecode import Compiler

    def python() -> Path:
        if choice.executable:
            return Path(choice.executable)
        from launch_action.builders.layers.bytecode_python import fetch_python

        return fetch_python(choice.version, cache)

    # Beside the layers, so that a full disk is told of as the cache's.
    return stack.enter_context(Compiler(choice.version, python, cache.directory("layers")))


def fits(version: str, target: str) -> bool:
    """Whether the target reads bytecode of this version: the same but for the patch release.

    Before a release the format may change from one version to the next.

    >>> fits("3.12.1", "3.12.7"), fits("3.12.0rc1", "3.12.7"), fits("3.13.0", "3.12.7")
    (True, False, False)
    """
    if version == target:
        return True
    same = version.split(".")[:2] == target.split(".")[:2]
    return same and all(part.isdigit() for text in (version, target) for part in text.split("."))


def _patch(version: str) -> int:
    patch = version.rpartition(".")[2]
    return int(patch) if patch.isdecimal() else -1


def _needed(python: PythonFacts) -> str:
    return python.minor if python.version.replace(".", "").isdigit() else python.version
