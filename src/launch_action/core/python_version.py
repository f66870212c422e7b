"""Which Python a job gets: asked for, or declared beside the code; never the machine's own.

The order is `--python`, then in the build context and in each directory above it `.python-version`,
`runtime.txt` and pyproject's `requires-python`, then `DEFAULT_PYTHON`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError

# Taken when nothing is declared, and the centre of what `requires-python` chooses from: for the
# newest versions many packages have no wheels yet, and old ones lose theirs.
DEFAULT_PYTHON = "3.12"
# The versions that exist as releases, oldest first; `requires-python` chooses from this table only.
RELEASED = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15")

Reader = Callable[[str], bytes | None]

_VERSION = re.compile(r"(?:c?python)?[-@ ]?(\d+)\.(\d+)(?:\.(\d+))?(?:-(?:linux|any)[\w-]*)?")
_OTHER = (
    "pypy",
    "graalpy",
    "pyodide",
    "jython",
    "miniconda",
    "anaconda",
    "miniforge",
    "mambaforge",
)
# A patch release high enough to stand for "the last one" in a specifier such as >=3.11.4.
_PATCHES = range(60)


@dataclass(frozen=True, slots=True)
class PythonChoice:
    """The version as `X.Y`, and where it came from in words (`.python-version of jobs/train`)."""

    version: str
    source: str


def choose_python(
    option: str | None,
    folders: Iterable[tuple[str, Reader]] = (),
    *,
    default: str = DEFAULT_PYTHON,
) -> PythonChoice:
    """The Python of a job.

    `folders` are the build context and the directories above it up to the repository's root,
    nearest first, each as its path (for messages, empty at the root) and what reads a file of it.
    `default` is taken when nothing is declared and satisfies a range before any other. Raises
    InputError, with the file and the value, for what is no CPython release.

    >>> choose_python("python3.11").version
    '3.11'
    >>> choose_python(None).source
    'the default'
    """
    if option and option.strip():
        return PythonChoice(_read_version(option, "--python"), "--python")
    for folder, read in folders:
        for name, parse in _SOURCES:
            content = read(name)
            where = f"{folder}/{name}" if folder else name
            version = parse(content, where, default) if content is not None else None
            if version:
                declared = "requires-python of " if name == "pyproject.toml" else ""
                return PythonChoice(version, declared + where)
    return PythonChoice(default, "the default")


def _read_version(text: str, where: str) -> str:
    value = text.strip().strip("\"'")
    found = _VERSION.fullmatch(value.lower())
    version = f"{found[1]}.{found[2]}" if found else ""
    if version in RELEASED:
        return version
    raise InputError(
        f"{where}: {_fault(value, version)}: {value!r}",
        hint=f"write a CPython version from {RELEASED[0]} to {RELEASED[-1]}, as in 3.12",
    )


def _fault(value: str, version: str) -> str:
    if version:
        return "no such Python"
    if value.lower().startswith(_OTHER):
        return "not CPython, which is the only Python supported"
    return "not a Python version"


def _read_version_file(content: bytes, where: str, _default: str) -> str | None:
    """The first version of a `.python-version` file; pyenv's `system` means none was chosen."""
    for line in content.decode("utf-8-sig", "replace").splitlines():
        words = line.partition("#")[0].split()
        if words and words[0] != "system":
            return _read_version(words[0], where)
    return None


def _read_requires_python(content: bytes, where: str, default: str) -> str | None:
    import tomli

    try:
        project = tomli.loads(content.decode("utf-8-sig")).get("project", {})
    except (UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise InputError(f"{where}: not TOML: {error}", hint="correct the file") from None
    wanted = project.get("requires-python") if isinstance(project, dict) else None
    if wanted is None:
        return None
    if not isinstance(wanted, str):
        raise InputError(
            f"{where}: requires-python is not a string: {wanted!r}",
            hint='write requires-python = ">=3.11"',
        )
    return _satisfying(wanted, where, default)


def _satisfying(wanted: str, where: str, default: str) -> str:
    """The release that satisfies and is nearest to the default; an older one before a newer one."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        specifiers = SpecifierSet(wanted)
    except InvalidSpecifier:
        raise InputError(
            f"{where}: requires-python is not a version specifier: {wanted!r}",
            hint='write requires-python = ">=3.11"',
        ) from None
    centre = RELEASED.index(default)
    older_first = (*reversed(RELEASED[: centre + 1]), *RELEASED[centre + 1 :])
    for version in older_first:
        if any(f"{version}.{patch}" in specifiers for patch in _PATCHES):
            return version
    raise InputError(
        f"{where}: no Python release satisfies requires-python {wanted!r}",
        hint=f"the releases are {RELEASED[0]} to {RELEASED[-1]}; or choose one with --python",
    )


_SOURCES: tuple[tuple[str, Callable[[bytes, str, str], str | None]], ...] = (
    (".python-version", _read_version_file),
    ("runtime.txt", _read_version_file),
    ("pyproject.toml", _read_requires_python),
)
# The files that a Python version is looked for in, in the order of their say.
FILES = tuple(name for name, _ in _SOURCES)
