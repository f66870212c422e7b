"""Symbolic links of a build context, followed on paper: nothing of a file system is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from launch_action.core.context import TreeFile

# As Linux: more links than this on one way are a loop.
_LIMIT = 40


def escaping_links(
    files: Iterable[TreeFile], read: Callable[[str], bytes | None]
) -> tuple[str, ...]:
    """The links whose target is outside the context, in the order of `files`.

    They stay links in the image, as in Docker, and mean there whatever is at that place. `read`
    gives a link's target. A link to nothing inside the context and a loop do not escape.
    """
    links = {
        file.path: (read(file.path) or b"").decode("utf-8", "surrogateescape")
        for file in files
        if file.kind == "symlink"
    }
    return tuple(path for path in links if resolve(path, links) is None)


def resolve(path: str, links: Mapping[str, str]) -> str | None:
    """Where a path of the context leads, with every link on the way followed.

    `links` has the target of each link. Returns a path of the context, which may hold nothing
    (a loop ends at one of its links), or None when the way leaves the context.
    """
    waiting = path.split("/")[::-1]
    done: list[str] = []
    followed = 0
    while waiting:
        part = waiting.pop()
        if part == ".." and not done:
            return None
        if part == "..":
            done.pop()
        elif part not in ("", "."):
            done.append(part)
        target = links.get("/".join(done)) if part not in ("", ".", "..") else None
        if target is None:
            continue
        if target.startswith("/"):
            return None
        followed += 1
        if followed > _LIMIT:
            break
        done.pop()
        waiting += target.split("/")[::-1]
    return "/".join(done)
