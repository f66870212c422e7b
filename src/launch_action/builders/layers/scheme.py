"""Where the files of a distribution go, and the entries and RECORD that come of it.

Source of the format: PyPA specifications "Binary distribution format" (the `.data` directories)
and "Recording installed projects"; the paths are those of Python's `venv` scheme.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from launch_action.builders.layers.archive import Chunks, Entry, Spliced
from launch_action.builders.layers.record import Row, write_record
from launch_action.builders.layers.tar import sorted_entries
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError

INSTALLER = b"launch-action\n"
# Written by installers about an installation, not part of the distribution: never taken over.
# (The signatures sign the RECORD that we replace.)
ABOUT = frozenset(
    {
        "RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json",
        "uv_cache.json", "uv_build.json",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scheme:
    """The paths of a virtual environment in an image: `prefix` as in `/opt/venv`, `python` X.Y."""

    prefix: str
    python: str

    @property
    def root(self) -> str:
        """The prefix as entries spell it, without the leading `/`."""
        return self.prefix.strip("/")

    @property
    def site_packages(self) -> str:
        return f"{self.root}/lib/python{self.python}/site-packages"

    @property
    def scripts(self) -> str:
        return f"{self.root}/bin"

    @property
    def interpreter(self) -> str:
        return f"/{self.root}/bin/python"

    def directory(self, kind: str, name: str) -> str | None:
        """Where a `.data` directory of distribution `name` goes; None for an unknown one."""
        places = {
            "purelib": self.site_packages,
            "platlib": self.site_packages,
            "scripts": self.scripts,
            "data": self.root,
            "headers": f"{self.root}/include/site/python{self.python}/{name}",
        }
        return places.get(kind)

    @property
    def reserved(self) -> frozenset[str]:
        """The paths that make the environment: no package may have them."""
        names = ("python", "python3", f"python{self.python}")
        found = {f"{self.scripts}/{name}" for name in names}
        return frozenset(found | {f"{self.root}/pyvenv.cfg", f"{self.root}/lib64"})

    def below(self, inside: str) -> str:
        """The entry's path of a file that is `inside` the prefix; `lib64` is a link to `lib`."""
        return f"{self.root}/{'lib/' + inside[6:] if inside.startswith('lib64/') else inside}"

    def recorded(self, path: str) -> str:
        """An entry's path as RECORD spells it: relative to site-packages."""
        inside = path.removeprefix(self.site_packages + "/")
        return inside if inside != path else posixpath.relpath(path, self.site_packages)


@dataclass(frozen=True, slots=True)
class Placed:
    """A file at its place: the entry's path and mode, the content, and its line of RECORD."""

    path: str
    mode: int
    content: bytes | Spliced | Chunks
    row: Row

    @classmethod
    def of(cls, path: str, mode: int, content: bytes) -> Placed:
        return cls(path, mode, content, Row.of(content))


def distribution_entries(files: Iterable[Placed], *, dist_info: str, scheme: Scheme) -> list[Entry]:
    """The files with INSTALLER and a RECORD that is true, sorted by path, without directories.

    `dist_info` is the name of the metadata directory in site-packages. Raises BuildError for a file
    that would replace a part of the environment itself.
    """
    place = f"{scheme.site_packages}/{dist_info}"
    found = [*files, Placed.of(f"{place}/INSTALLER", 0o644, INSTALLER)]
    reserved = scheme.reserved
    for file in found:
        if file.path in reserved:
            raise BuildError(
                f"{dist_info.removesuffix('.dist-info')} would replace {'/' + file.path!r}",
                hint="the package is broken or hostile; name another version of it",
            )
    rows = ((scheme.recorded(file.path), file.row) for file in found)
    record = write_record(rows, f"{dist_info}/RECORD")
    entries = [Entry(file.path, "file", file.mode, file.content) for file in found]
    return sorted_entries([*entries, Entry(f"{place}/RECORD", "file", 0o644, record)])
