"""The name of a Python distribution, as names are compared."""

from __future__ import annotations

import re


def normal(name: str) -> str:
    """A package's, extra's or group's name as PEP 503 normalises it.

    >>> normal("Foo._Bar")
    'foo-bar'
    """
    return re.sub(r"[-_.]+", "-", name).lower()
