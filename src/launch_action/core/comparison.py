"""What one job version has that another has not: the installed packages, line by line."""

from __future__ import annotations

from launch_action.core.dataclass import dataclass
from launch_action.core.frozen import parted


@dataclass(frozen=True, slots=True)
class Change:
    """A distribution whose version differs; `before` or `after` is empty where there is none."""

    name: str
    before: str
    after: str

    @property
    def kind(self) -> str:
        """`added`, `removed` or `changed`."""
        if not self.before:
            return "added"
        return "changed" if self.after else "removed"

    def __str__(self) -> str:
        match self.kind:
            case "added":
                return f"+ {self.name} {self.after}"
            case "removed":
                return f"- {self.name} {self.before}"
            case _:
                return f"~ {self.name} {self.before} -> {self.after}"


def requirement_changes(before: bytes, after: bytes) -> tuple[Change, ...]:
    """The changes between two `requirements.frozen.txt`, by name."""
    old, new = packages(before), packages(after)
    return tuple(
        Change(name, old.get(name, ""), new.get(name, ""))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def packages(frozen: bytes) -> dict[str, str]:
    """Name and version, or URL, of each line of a `requirements.frozen.txt`.

    What is for some machines only has its marker at its name.

    >>> packages(b"numpy==2.1.0\\nours @ https://host/ours-1-py3-none-any.whl\\n")
    {'numpy': '2.1.0', 'ours': 'https://host/ours-1-py3-none-any.whl'}
    """
    found = {}
    for line in frozen.decode("utf-8", "replace").splitlines():
        text, marker = parted(line)
        if text and not text.startswith("#"):
            joint = " @ " if " @ " in text else "=="
            name, _, version = text.partition(joint)
            found[f"{name.strip()} ; {marker}" if marker else name.strip()] = version.strip()
    return found
