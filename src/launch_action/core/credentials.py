"""Logins in URLs, and texts without them."""

from __future__ import annotations

import re

# To the last `@` before the path, for a password may hold one; a quotation mark ends a URL.
_LOGIN = re.compile(rb"(?<=://)[^/\s'\"]+@")


def without_logins(content: bytes) -> bytes:
    """A file's content without the user and password of every URL in it."""
    return _LOGIN.sub(b"", content)


def without_credentials(text: str) -> str:
    """A text without the user and password of every URL in it.

    >>> without_credentials("https://me:secret@host/simple")
    'https://host/simple'
    """
    return without_logins(text.encode("utf-8", "surrogateescape")).decode(
        "utf-8", "surrogateescape"
    )
