"""The `WWW-Authenticate` field: what a registry asks for before it answers.

Source: RFC 9110 section 11 (challenges) and the distribution project's "Token Authentication
Specification" (`realm`, `service` and `scope` of a Bearer challenge).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from launch_action.core.dataclass import dataclass

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105  RFC 9110's name of this rule
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?=\s|,|$)(?!\s*=)")
_TOKEN68 = re.compile(r"\s+[A-Za-z0-9._~+/-]+=*\s*(?=,|$)")
_PARAMETER = re.compile(rf'[\s,]*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))')
_ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge; `scheme` and the parameters' names are lower case."""

    scheme: str
    parameters: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str:
        """A parameter's value, empty when there is none."""
        return dict(self.parameters).get(name, "")

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes asked for (`repository:acme/train:pull,push`), separated by spaces."""
        return frozenset(self.get("scope").split())


def parse_challenges(fields: Iterable[str]) -> tuple[Challenge, ...]:
    """Read every challenge of every field; what cannot be read ends its field.

    >>> [c.scheme for c in parse_challenges(['Basic realm="a, b", Bearer realm="https://x/"'])]
    ['basic', 'bearer']
    """
    return tuple(challenge for field in fields for challenge in _parse(field))


def _parse(field: str) -> Iterator[Challenge]:
    place = 0
    while scheme := _SCHEME.match(field, place):
        place = scheme.end()
        blob = _TOKEN68.match(field, place)
        if blob:
            place = blob.end()
            yield Challenge(scheme[1].lower())
            continue
        parameters = []
        while found := _PARAMETER.match(field, place):
            place = found.end()
            value = found[3] if found[2] is None else _ESCAPE.sub(r"\1", found[2])
            parameters.append((found[1].lower(), value))
        yield Challenge(scheme[1].lower(), tuple(parameters))
