"""Check runs: a text of a commit that everybody who may read the repository finds again by name.

Those of a workflow's token attach to the first check suite of the commit, and so may stand under
another workflow's name on GitHub's page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from launch_action.core.dataclass import dataclass
from launch_action.github.api import GitHubApi
from launch_action.github.refusal import Purpose, nonsense

# Characters of a summary; GitHub refuses one more with 422.
LIMIT = 65535
PERMISSION = "checks: write"
Conclusion = Literal["success", "failure", "neutral", "cancelled", "timed_out", "skipped"]


@dataclass(frozen=True, slots=True)
class CheckRun:
    """A check run; `reference` is its `external_id`, `conclusion` empty until it is completed."""

    number: int
    name: str
    commit: str
    reference: str
    status: str
    conclusion: str
    summary: str
    url: str


class CheckRuns:
    """The check runs of a repository. Every method raises Refused."""

    def __init__(self, api: GitHubApi) -> None:
        self._api = api

    def of(self, commit: str, name: str = "") -> tuple[CheckRun, ...]:
        """The latest run of each name at a commit, by one name alone where it is given."""
        purpose = _purpose("list the check runs", commit, "checks: read")
        query = {"check_name": name} if name else {}
        path = f"/commits/{commit}/check-runs"
        found = self._api.listed(path, purpose, inside="check_runs", **query)
        return tuple(_read(one, purpose) for one in found)

    def create(
        self,
        commit: str,
        name: str,
        *,
        title: str,
        summary: str,
        reference: str = "",
        conclusion: Conclusion | None = None,
    ) -> CheckRun:
        """Make a check run: in progress, or completed where it has a conclusion."""
        purpose = _purpose("take a check run", commit)
        body = {"name": name, "head_sha": commit, **_changes(title, summary, conclusion)}
        if reference:
            body["external_id"] = reference
        return _read(self._api.create("/check-runs", purpose, body), purpose)

    def edit(
        self, run: CheckRun, *, title: str, summary: str, conclusion: Conclusion | None = None
    ) -> CheckRun:
        """Replace the text of a check run, and complete it where it has a conclusion."""
        purpose = _purpose("change a check run", run.commit)
        body = _changes(title, summary, conclusion)
        return _read(self._api.change(f"/check-runs/{run.number}", purpose, body), purpose)


def _changes(title: str, summary: str, conclusion: Conclusion | None) -> dict[str, Any]:
    output = {"title": title, "summary": summary}
    if conclusion is None:
        return {"output": output, "status": "in_progress"}
    return {"output": output, "status": "completed", "conclusion": conclusion}


def _purpose(what: str, commit: str, permission: str = PERMISSION) -> Purpose:
    return Purpose(f"{what} of commit {commit[:12]}", permission)


def _read(document: Mapping[str, Any], purpose: Purpose) -> CheckRun:
    number = document.get("id")
    if type(number) is not int:
        raise nonsense(purpose, f"its answer has {number!r} for a check run's number")

    def text(name: str, within: Mapping[str, Any] = document) -> str:
        return str(within.get(name) or "")

    output = document.get("output")
    return CheckRun(
        number=number,
        name=text("name"),
        commit=text("head_sha"),
        reference=text("external_id"),
        status=text("status"),
        conclusion=text("conclusion"),
        summary=text("summary", output) if isinstance(output, dict) else "",
        url=text("html_url"),
    )
