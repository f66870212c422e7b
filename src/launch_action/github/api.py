"""GitHub's API, for what neither the runner's variables nor the payload say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_action.core.errors import ServiceError

if TYPE_CHECKING:
    from github import Github

TIMEOUT = 15  # seconds for one answer
RETRIES = 2


def default_branch(repository: str, *, token: str, api_url: str, timeout: int = TIMEOUT) -> str:
    """The default branch of `owner/name`. Raises ServiceError when GitHub does not tell."""
    import requests
    from github import BadAttributeException, GithubException

    client = _client(token, api_url, timeout)
    try:
        branch: object = client.get_repo(repository).default_branch
    except GithubException as error:
        raise ServiceError(
            f"GitHub does not tell the default branch of {repository!r}: {_reason(error)}",
            hint="give the job `permissions: contents: read`, or the input github-token",
        ) from error
    except BadAttributeException as error:
        raise _no_branch(repository, error.actual_value) from error
    except requests.RequestException as error:
        raise ServiceError(
            f"GitHub's API at {api_url!r} cannot be reached: {type(error).__name__}",
            hint="is a proxy needed, or is GITHUB_API_URL wrong?",
        ) from error
    finally:
        client.close()
    if not isinstance(branch, str) or not branch:
        raise _no_branch(repository, branch)
    return branch


def _no_branch(repository: str, found: object) -> ServiceError:
    return ServiceError(
        f"GitHub's answer about {repository!r} has no default branch: {found!r}",
        hint="is GITHUB_API_URL the address of GitHub's API?",
    )


def _client(token: str, api_url: str, timeout: int) -> Github:
    from github import Auth, Github
    from urllib3.util import Retry

    # PyGithub's own retries sleep until a rate limit ends, which may take an hour.
    retry = Retry(
        total=RETRIES,
        backoff_factor=0.5,
        status_forcelist=(500, 502, 503, 504),
        allowed_methods=("GET",),
        respect_retry_after_header=False,
        raise_on_status=False,
    )
    return Github(
        auth=Auth.Token(token) if token else None,
        base_url=api_url,
        timeout=timeout,
        retry=retry,
        user_agent="launch-action",
        seconds_between_requests=0,
        seconds_between_writes=0,
    )


def _reason(error: Exception) -> str:
    """GitHub's own words with the status; never the request, which holds the token."""
    status = getattr(error, "status", "")
    data = getattr(error, "data", None)
    message = data.get("message") if isinstance(data, dict) else None
    return f"{status} {message}" if message else f"{status}"
