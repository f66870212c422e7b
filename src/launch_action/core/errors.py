"""Every expected failure: one line with the value in it, a hint with the next action, an exit code.

    LaunchError
    |-- InputError      2   what the user asked for
    |-- SourceError     3   the checkout, the remote, the commit
    |-- BuildError      4   base image, dependencies, layers
    |-- RegistryError   5   the registry said no, or could not be reached
    |-- StoreError      6   what is stored is not what it should be
    |-- RunError        7   the job could not be started
    `-- ServiceError    8   GitHub or W&B refused

Exit code 1 is a job that ran and failed: a result, not an exception; but for `core.gate`, whose
error says which metrics failed a run that went well.
"""

from __future__ import annotations

from typing import ClassVar


class LaunchError(Exception):
    """A failure with a cause the user can act on.

    The message starts in lower case, has no full stop, and contains the offending value; the
    hint says what to do next. A message about a file of the source begins with `FILE:LINE: ` or
    `FILE: `, from the build context's or the repository's root: an annotation goes by it. `context`
    is evidence of several lines (a tool's last output).
    """

    exit_code: ClassVar[int] = 70
    code: ClassVar[str] = "bug"

    def __init__(self, message: str, *, hint: str, context: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.context = context
        self.annotated = False  # whether the log of a step says it already


class InputError(LaunchError):
    """An option, input or configuration value is missing, unknown or contradictory."""

    exit_code = 2
    code = "input"


class SourceError(LaunchError):
    """The source cannot be read: no repository, no commit, no remote, a file without content."""

    exit_code = 3
    code = "source"


class BuildError(LaunchError):
    """The image cannot be built from what was given."""

    exit_code = 4
    code = "build"


class RegistryError(LaunchError):
    """A registry refused, answered nonsense, or could not be reached."""

    exit_code = 5
    code = "registry"


class StoreError(LaunchError):
    """A job's store does not hold what was asked for, or holds something else."""

    exit_code = 6
    code = "store"


class RunError(LaunchError):
    """The run could not be started (a run that started and failed is a result, exit 1)."""

    exit_code = 7
    code = "run"


class ServiceError(LaunchError):
    """GitHub or W&B refused."""

    exit_code = 8
    code = "service"


class UnansweredError(ServiceError):
    """It could not be reached, or is busy or broken: asked again later, it may answer."""


class RefusedError(ServiceError):
    """It does not know us, or lets us do nothing: asked again, it says the same."""


class Interrupted(LaunchError):
    """We were told to end, by Ctrl-C."""

    exit_code = 130
    code = "interrupted"

    def __init__(self, message: str = "interrupted") -> None:
        super().__init__(message, hint="run the same command again to complete it")


class Terminated(Interrupted):
    """We were told to end, by SIGTERM."""

    exit_code = 143

    def __init__(self) -> None:
        super().__init__("terminated")
