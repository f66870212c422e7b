"""As of which day build back ends are taken, so that a day's build is the same on another day."""

from __future__ import annotations

# Where nothing else bounds them (hashes, a lock): a newer one writes its version into the wheel.
_LATEST = "2026-11-01T00:00:00Z"
# Back ends of before this day do not run on today's Pythons (setuptools 41 wants a parser that 3.9
# lost, 65 an importer that 3.12 lost), whatever the package: pip takes today's, and works.
_FLOOR = "2025-01-01T00:00:00Z"
_OLD = ("setuptools", "wheel")


def bound(cutoff: str | None) -> str:
    """The day, RFC 3339, that build back ends are taken as of."""
    return cutoff or _LATEST


def bounds(cutoff: str | None) -> list[str]:
    """uv's arguments for what was uploaded until the cutoff, but for back ends too old to run."""
    if cutoff is None:
        return []
    floors = [f"{name}={_FLOOR}" for name in _OLD] if cutoff < _FLOOR else []
    return ["--exclude-newer", cutoff, *(w for x in floors for w in ("--exclude-newer-package", x))]
