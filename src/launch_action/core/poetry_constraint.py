"""Version constraints as Poetry writes them, as PEP 440 specifiers and as markers.

Source of the form: Poetry's documentation, "Dependency specification".
"""

from __future__ import annotations

import re

_VERSION = r"\d+(?:\.\d+)*(?:[-_.]?(?:a|b|rc|alpha|beta|post|dev|pre|c)[-_.]?\d*)*(?:\+[\w.]+)?"
_CLAUSE = re.compile(
    rf"(?P<operator>\^|~=|~|===?|!=|<=|>=|<|>|)\s*v?(?P<version>{_VERSION})(?P<star>(?:\.\*)?)"
)

_OPPOSITE = {">=": "<", "<": ">=", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}


def alternatives(text: str) -> tuple[str, ...]:
    """The specifiers that a constraint comes to, one of which must hold; ("",) for any version.

    Raises ValueError for what is no constraint.

    >>> alternatives("^1.2 || 0.9.*")
    ('>=1.2,<2', '==0.9.*')
    """
    return tuple(_all(part) for part in re.split(r"\s*\|\|?\s*", text.strip()))


def python_marker(text: str) -> str:
    """The marker of a constraint on Python, without outer parentheses; empty for any Python.

    Raises ValueError for what is no constraint.
    """
    found = [_marker(one) for one in alternatives(text)]
    if not all(found):
        return ""
    return found[0] if len(found) == 1 else " or ".join(f"({one})" for one in found)


def python_excluded(text: str) -> str:
    """The marker of the Pythons that a constraint leaves out; empty where it leaves out none.

    >>> python_excluded(">=3.10,<4")
    'python_full_version < "3.10" or python_full_version >= "4"'
    """
    parts = [_excluded(one) for one in alternatives(text)]
    if not all(parts):
        return ""
    return parts[0] if len(parts) == 1 else " and ".join(f"({one})" for one in parts)


def _excluded(specifier: str) -> str:
    clauses = [one for one in _marker(specifier).split(" and ") if one]
    found = []
    for one in clauses:
        name, operator, version = one.split(" ", 2)
        if operator not in _OPPOSITE:
            raise ValueError(specifier)
        found.append(f"{name} {_OPPOSITE[operator]} {version}")
    return " or ".join(found)


def _marker(specifier: str) -> str:
    clauses = []
    for one in filter(None, specifier.split(",")):
        operator = re.match(r"[=<>!~]+", one)
        if not operator:
            raise ValueError(specifier)
        name = "python_version" if one.endswith(".*") else "python_full_version"
        version = one[operator.end() :].removesuffix(".*")
        clauses.append(f'{name} {operator[0]} "{version}"')
    return " and ".join(clauses)


def _all(text: str) -> str:
    if text in ("", "*"):
        return ""
    # A space binds as a comma does, but stands behind operators too.
    parts = re.split(r"\s*,\s*|(?<=[\w*])\s+(?=[\^~=<>!\d])", text.strip())
    return ",".join(_clause(part.strip()) for part in parts if part.strip())


def _clause(text: str) -> str:
    found = _CLAUSE.fullmatch(text)
    if not found:
        raise ValueError(text)
    operator, version = found["operator"], found["version"]
    if found["star"]:
        return f"{operator or '=='}{version}.*"
    if operator == "^":
        return f">={version},<{_caret(version)}"
    if operator == "~":
        return f">={version},<{_tilde(version)}"
    return f"{operator or '=='}{version}"


def _numbers(version: str) -> list[int]:
    found = re.match(r"\d+(?:\.\d+)*", version)
    return [int(part) for part in found[0].split(".")] if found else []


def _caret(version: str) -> str:
    """The next version that may break: the first number that is not zero goes up."""
    numbers = _numbers(version)
    at = next((i for i, number in enumerate(numbers) if number), len(numbers) - 1)
    return ".".join(map(str, [*numbers[:at], numbers[at] + 1]))


def _tilde(version: str) -> str:
    numbers = _numbers(version)
    at = 0 if len(numbers) == 1 else 1
    return ".".join(map(str, [*numbers[:at], numbers[at] + 1]))
