"""Whether a text is one: what is not UTF-8 is kept in a string by surrogates (PEP 383)."""

from __future__ import annotations


def is_unicode(text: str) -> bool:
    """Whether it can be written as UTF-8: no undecodable byte is in it, no half of a JSON escape.

    >>> is_unicode("ø"), is_unicode(b"\\xff".decode("utf-8", "surrogateescape"))
    (True, False)
    """
    return not any("\ud800" <= character <= "\udfff" for character in text)
