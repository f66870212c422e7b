"""What GitHub does not do, in words that a person can act on."""

from __future__ import annotations

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import ServiceError
from launch_action.github.answer import Answer

_ADDRESS = "is GITHUB_API_URL the address of GitHub's API?"


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a request is for: in a person's words after "GitHub does not", and what it needs.

    `permission` is the line of a job's `permissions:`, such as `pull-requests: write`.
    """

    what: str
    permission: str


class Refused(ServiceError):
    """GitHub did not do what was asked.

    `status` is that of its answer, 0 where none came. `permission` is what the token lacks, such as
    `pull-requests: write`, where that is the reason. Where the refusal is `uncertain`, what was
    asked may have been done all the same: the answer was lost, or tells of a fault. `wait` is for
    how many seconds GitHub wants to be left alone, where a limit is reached.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = _ADDRESS,
        status: int = 0,
        permission: str = "",
        uncertain: bool = False,
        wait: float = 0.0,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.permission = permission
        self.uncertain = uncertain
        self.wait = wait


def refused(answer: Answer, purpose: Purpose, *, uncertain: bool = False) -> Refused:
    """What an answer refuses. The request, which holds the token, is no part of it."""
    if answer.ok and not answer.message:
        reason = f"its answer ({answer.status}) is not what GitHub describes"
    else:
        reason = f"{answer.status} {answer.message}".rstrip()
    return Refused(
        f"GitHub does not {purpose.what}: {reason}",
        hint=_hint(answer, purpose.permission),
        status=answer.status,
        permission=purpose.permission if answer.lacks_right else "",
        uncertain=uncertain,
        wait=answer.wait() if answer.is_limit else 0.0,
    )


def nonsense(purpose: Purpose, why: str) -> Refused:
    """An answer that has another form than GitHub describes."""
    return Refused(f"GitHub does not {purpose.what}: {why}")


def unreachable(purpose: Purpose, url: str, reason: str, *, uncertain: bool) -> Refused:
    """No answer at all."""
    return Refused(
        f"GitHub does not {purpose.what}: its API at {url!r} cannot be reached: {reason}",
        hint="is a proxy needed, or is GITHUB_API_URL wrong?",
        uncertain=uncertain,
    )


def _hint(answer: Answer, permission: str) -> str:
    if answer.is_limit:
        return "GitHub's limit on requests is reached; run the job again later"
    match answer.status:
        case 401:
            return "the input github-token is none that GitHub knows; its default is the job's own"
        case 403 if answer.lacks_right:
            return f"add `{permission}` to the job's `permissions:`"
        case 403 | 404 | 410:
            return f"is it there, and do the job's `permissions:` have `{permission}`?"
        case 409 | 422:
            return "GitHub's words say what it does not take"
        case status if status >= 500:
            return "GitHub has a fault; see https://www.githubstatus.com"
        case _:
            return _ADDRESS
