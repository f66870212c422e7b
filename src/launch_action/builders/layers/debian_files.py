"""The configuration files that the packages' scripts would have made on a new system."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from launch_action.builders.layers.archive import Entry

# What the made files are made from.
KEPT = re.compile(
    r"usr/share/base-passwd/(?:passwd|group)\.master|usr/share/(?:base-files|libc-bin)/.*"
    r"|usr/share/ca-certificates/.*\.crt|etc/ld\.so\.conf(?:\.d/.*)?|usr/share/debianutils/shells"
)
_COPIES = {
    "usr/share/base-files/dot.profile": "root/.profile",
    "usr/share/base-files/dot.bashrc": "root/.bashrc",
    "usr/share/base-files/profile": "etc/profile",
    "usr/share/libc-bin/nsswitch.conf": "etc/nsswitch.conf",
    "usr/share/base-files/nsswitch.conf": "etc/nsswitch.conf",
    "usr/share/debianutils/shells": "etc/shells",
}
_DIRECTORIES = {
    "dev": 0o755, "proc": 0o555, "sys": 0o555, "run": 0o755, "run/lock": 0o1777, "tmp": 0o1777,
    "var/tmp": 0o1777, "root": 0o700, "home": 0o755, "mnt": 0o755, "srv": 0o755, "opt": 0o755,
    "media": 0o755, "var/opt": 0o755, "var/mail": 0o755, "var/log": 0o755, "var/spool": 0o755,
    **{f"usr/local/{n}": 0o755 for n in ("bin", "sbin", "lib", "share", "include", "etc", "src")},
}  # fmt: skip
# Link: what it leads to, which must be there; the first that is there counts.
_LINKS = (
    ("usr/bin/python", "python3", "usr/bin/python3"),
    ("usr/bin/sh", "dash", "usr/bin/dash"),
    ("usr/bin/awk", "mawk", "usr/bin/mawk"),
    ("usr/bin/which", "which.debianutils", "usr/bin/which.debianutils"),
    ("etc/localtime", "/usr/share/zoneinfo/Etc/UTC", "usr/share/zoneinfo/Etc/UTC"),
    ("etc/os-release", "../usr/lib/os-release", "usr/lib/os-release"),
)
_PYTHON = re.compile(r"usr/lib/(python3\.[0-9]+)")


def made_entries(
    kept: Mapping[str, bytes], seen: Collection[str], distribution: str
) -> Iterator[Entry]:
    """The made files, links and directories; `seen` are the paths that packages have.

    What a package has itself is the caller's to prefer.
    """
    for path, mode in _DIRECTORIES.items():
        yield Entry(path, "directory", mode)
    yield from _accounts(kept, seen)
    for source, place in _COPIES.items():
        if source in kept:
            yield Entry(place, "file", 0o644, kept[source])
    for place, target, needed in _LINKS:
        if needed in seen:
            yield Entry(place, "symlink", 0o777, target=target)
    yield Entry("etc/timezone", "file", 0o644, b"Etc/UTC\n")
    if f"etc/dpkg/origins/{distribution}" in seen:
        yield Entry("etc/dpkg/origins/default", "symlink", 0o777, target=distribution)
    for name in sorted({m[1] for path in seen if (m := _PYTHON.fullmatch(path))}):
        yield Entry(f"usr/local/lib/{name}/dist-packages", "directory", 0o755)


def _accounts(kept: Mapping[str, bytes], seen: Collection[str]) -> Iterator[Entry]:
    """passwd and group from the master copies; no passwords, so no shadow files."""
    passwd = kept.get("usr/share/base-passwd/passwd.master", b"")
    if "usr/bin/bash" not in seen:
        passwd = passwd.replace(b":/bin/bash\n", b":/bin/sh\n")
    yield Entry("etc/passwd", "file", 0o644, passwd)
    yield Entry("etc/group", "file", 0o644, kept.get("usr/share/base-passwd/group.master", b""))


def status_stanza(control: str) -> str:
    """A package's stanza in dpkg's status file, so that scanners see what is in the base."""
    lines = control.strip("\n").split("\n")
    return "\n".join((lines[0], "Status: install ok installed", *lines[1:])) + "\n"
