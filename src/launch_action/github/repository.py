"""What GitHub's API says of a repository, where neither variables nor payload do."""

from __future__ import annotations

from launch_action.github.api import TIMEOUT, GitHubApi
from launch_action.github.refusal import Purpose, nonsense

# Seconds: a run that only wants to know a name does not wait for a minute.
_PATIENCE = 10.0


def default_branch(repository: str, *, token: str, api_url: str, timeout: int = TIMEOUT) -> str:
    """The default branch of `owner/name`. Raises ServiceError when GitHub does not tell."""
    purpose = Purpose(f"tell the default branch of {repository!r}", "contents: read")
    with GitHubApi(
        repository, token=token, api_url=api_url, timeout=timeout, patience=_PATIENCE
    ) as api:
        document = api.get("", purpose)
    branch = document.get("default_branch") if isinstance(document, dict) else None
    if not isinstance(branch, str) or not branch:
        raise nonsense(purpose, f"its answer has {branch!r} for it")
    return branch
