"""The one version of a content that two processes have recorded at once.

W&B gives who records what it has the version that it has (`enableDigestDeduplication`). Of two that
begin before either has committed each gets a version of its own: nothing in the SDK says that a
commit would look again. So it is looked for afterwards, and the first that was committed stays.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

# Between the beginning of a recording and its commit; what is older was seen when ours began.
_LONGEST = timedelta(minutes=30)
_MOST = 20
_MISSING = 3  # in a row: so many duplicates are seldom deleted at once


def earliest(api: Any, logged: Any) -> Any:
    """The first version with the content of one that was logged now; as a rule that one itself.

    `api` is a `wandb.Api`, the versions are artifacts of it. Raises nothing: what cannot be found
    is not there.
    """
    name, _, number = str(logged.qualified_name).rpartition(":v")
    found, missing = logged, 0
    for before in range(int(number) - 1, max(-1, int(number) - 1 - _MOST), -1):
        try:
            one = api.artifact(f"{name}:v{before}")
            recent = _moment(logged) - _moment(one) < _LONGEST
        except Exception:  # whatever the SDK raises for one that was deleted
            missing += 1
            if missing == _MISSING:
                break
            continue
        missing = 0
        if not recent:
            break
        found = one if one.digest == logged.digest else found
    return found


def remove(duplicate: Any) -> None:
    """Delete a version that names nothing any more, if it is there still."""
    with suppress(Exception):
        duplicate.delete(delete_aliases=True)


def _moment(artifact: Any) -> datetime:
    return datetime.fromisoformat(str(artifact.created_at))
