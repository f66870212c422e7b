"""A request that GitHub would take, and the forms of its answers: lists in pages, refusals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from support.github_schema import Operation
from support.github_state import Document, State, Token

_DOCS = "https://docs.github.com/rest"


@dataclass(frozen=True, slots=True)
class Request:
    """A request that the description has nothing against."""

    operation: Operation
    values: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    token: Token | None


@dataclass(slots=True)
class Answer:
    """What is answered; a body of None is none."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """GitHub says no."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.headers: dict[str, str] = {}
        body = {"message": message, "documentation_url": _DOCS, "status": str(status)} | more
        self.answer = Answer(status, body, self.headers)


def invalid(resource: str, fault: str, message: str, code: str = "custom") -> Refusal:
    """422 in the form that GitHub gives it."""
    error = {"resource": resource, "code": code, "field": fault, "message": message}
    return Refusal(422, "Validation Failed", errors=[error])


def listed(state: State, request: Request, found: list[Document]) -> Answer:
    """A page of a list, with the links to the others as GitHub gives them: by the repository's
    number, not by its name."""
    size = min(int(request.query.get("per_page", 30)), 100)
    page = int(request.query.get("page", 1))
    last = max(1, -(-len(found) // size))
    names = {"first": 1, "prev": page - 1, "next": page + 1, "last": last}
    links = [
        f'<{_page(state, request, number)}>; rel="{name}"'
        for name, number in names.items()
        if 1 <= number <= last and number != page
    ]
    headers = {"Link": ", ".join(links)} if links else {}
    return Answer(200, found[(page - 1) * size : page * size], headers)


def _page(state: State, request: Request, number: int) -> str:
    path = request.operation.path
    if "owner" in request.values:
        full_name = f"{request.values['owner']}/{request.values['repo']}"
        path = path.replace(
            "/repos/{owner}/{repo}", f"/repositories/{state.repository(full_name).identity}"
        )
    for name, value in request.values.items():
        path = path.replace(f"{{{name}}}", value)
    return f"{state.url}{path}?{urlencode({**request.query, 'page': str(number)})}"


def pick(documents: Mapping[int, Document], request: Request, name: str) -> Document:
    found = documents.get(int(request.values[name]))
    if found is None:
        raise Refusal(404, "Not Found")
    return found


def fitting(body: str, resource: str, limit: int) -> str:
    if len(body) > limit:
        raise invalid(resource, "body", f"body is too long (maximum is {limit} characters)")
    if not body.strip() and resource == "IssueComment":
        raise invalid(resource, "body", "body can't be blank")
    return body
