"""The one version of a content that two processes have uploaded at once.

W&B gives who uploads what it has the version that it has (`enableDigestDeduplication`). Of two that
begin before either has committed each gets a version of its own: nothing in the SDK says that a
commit would look again. So it is looked for afterwards, and the first that was committed stays.
"""

from __future__ import annotations

from collections.abc import Sequence

from launch_action.core.dataclass import dataclass
from launch_action.wandb.artifact_list import ListedVersion

# Seconds between the beginning of an upload and its commit, at most; what is older was seen when
# ours began.
_LONGEST = 1800.0


@dataclass(frozen=True, slots=True)
class Double:
    """A version whose content was committed before; `is_own` where the run that asks made it."""

    earliest: ListedVersion
    is_own: bool


def find_double(
    versions: Sequence[ListedVersion], identifier: str, *, run_id: str
) -> Double | None:
    """What was committed before the version with this identifier, and has the same content."""
    logged = next((one for one in versions if one.identifier == identifier), None)
    if logged is None:
        return None
    same = [
        one
        for one in versions
        if one.digest == logged.digest
        and one.number < logged.number
        and abs(logged.created - one.created) < _LONGEST
    ]
    if not same:
        return None
    return Double(min(same, key=lambda one: one.number), logged.run_name == run_id)
