"""What no part of the program expects, as an error that is told like the others."""

from __future__ import annotations

import errno

from launch_action import __version__
from launch_action.core.errors import BuildError, LaunchError

# What a machine that is full, read-only, forbidden or exhausted answers: no defect of ours.
_MACHINE = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
    errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG,
})  # fmt: skip


def unexpected(error: Exception) -> LaunchError:
    """What nobody expected: the machine's refusal, or a defect, which is told in full."""
    if isinstance(error, OSError) and error.errno in _MACHINE:
        where = f": {error.filename!r}" if error.filename else ""
        return BuildError(
            f"the machine refuses, {(error.strerror or str(error)).lower()}{where}",
            hint="free some space, or check owner and permissions; TMPDIR and "
            "LAUNCH_ACTION_CACHE choose other directories",
        )
    import traceback

    return LaunchError(
        f"this is a defect of launch-action {__version__}",
        hint="report it with the lines above; they hold no credential, but do look",
        context="".join(traceback.format_exception(error)),
    )
