"""Further services of a job, which an agent of W&B's on Kubernetes starts beside it.

The job says of each whether it is to be there (the W&B SDK 0.31, `cli/cli.py`: `--service` of
`wandb job create`); what a service is, the queue's configuration says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from launch_action.core.errors import InputError
from launch_action.core.spelling import nearest

_POLICIES = ("always", "never")


def parse_services(lines: Sequence[str]) -> Mapping[str, str]:
    """`NAME=always` or `NAME=never` each; the last of a name counts. Raises InputError.

    >>> parse_services(["redis=always", " db = never"])
    {'redis': 'always', 'db': 'never'}
    """
    return dict(map(_service, lines))


def _service(line: str) -> tuple[str, str]:
    name, equals, policy = (part.strip() for part in line.partition("="))
    if not equals or not name:
        raise InputError(f"not a service: {line!r}", hint="write --service NAME=always")
    if policy not in _POLICIES:
        near = nearest(policy, _POLICIES)
        raise InputError(
            f"not a policy of service {name!r}: {policy!r}",
            hint=f"did you mean {near[0]!r}?" if near else "write always or never",
        )
    return name, policy


def refuse_services(lines: Sequence[str]) -> None:
    """Raise InputError where a job with services runs here: nothing would start them."""
    if lines:
        raise InputError(
            f"--service is for an agent on Kubernetes, and no queue is named: {lines[0]!r}",
            hint="name one with --queue; `build` and `job create` record it without a run",
        )
