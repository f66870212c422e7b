"""Guesses at what a misspelt name was meant to be."""

from __future__ import annotations

from collections.abc import Sequence


def nearest(text: str, known: Sequence[str], *, count: int = 1, likeness: float = 0.6) -> list[str]:
    """The known names that are most like the text, the best first; `likeness` is from 0 to 1.

    >>> nearest("lates", ["latest", "v1"])
    ['latest']
    """
    # Slow to import, and only who errs needs it.
    from difflib import get_close_matches

    return get_close_matches(text, known, n=count, cutoff=likeness)
