"""Declarations of dependencies in every form, and projects that build without an index."""

from __future__ import annotations

import hashlib

from support.index import Index, make_wheel

# A back end of one file, so that no index is needed to build; `{name}` is the package.
BACKEND = """
import zipfile
def build_wheel(where, config_settings=None, metadata_directory=None):
    name = "{name}-0.1-py3-none-any.whl"
    with zipfile.ZipFile(where + "/" + name, "w") as out:
        out.writestr("{name}.py", open("{name}.py").read())
        out.writestr("{name}-0.1.dist-info/METADATA",
                     "Metadata-Version: 2.1\\nName: {name}\\nVersion: 0.1\\n")
        out.writestr("{name}-0.1.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        out.writestr("{name}-0.1.dist-info/RECORD", "{name}.py,,\\n")
    return name
"""


def source(name: str, *needs: str, below: str = "", more: str = "") -> dict[str, str]:
    """The files of a project that builds without an index."""
    project = (
        f'[project]\nname = "{name}"\nversion = "0.1"\ndependencies = {list(needs)!r}\n{more}'
        '[build-system]\nrequires = []\nbuild-backend = "made"\nbackend-path = ["."]\n'
    )
    files = {
        "pyproject.toml": project,
        "made.py": BACKEND.format(name=name),
        f"{name}.py": "X = 1\n",
    }
    return {f"{below}{path}": text for path, text in files.items()}


def sha(file: tuple[str, bytes]) -> str:
    return hashlib.sha256(file[1]).hexdigest()


def pylock(index: Index, *more: str) -> str:
    """A lock with a package for everybody, one of an extra and one of a default group."""

    def package(name: str, marker: str = "") -> str:
        file = make_wheel(name, "1.0", requires=["beta"] if name == "alpha" else ())
        if name == "beta":
            file = make_wheel("beta", "1.0", extras={"more": ["gamma"]})
        url = f"{index.root}/files/{name}/{file[0]}"
        holds = f"marker = {marker!r}\n" if marker else ""
        return (
            f'[[packages]]\nname = "{name}"\nversion = "1.0"\n{holds}'
            f'wheels = [{{ url = "{url}", hashes = {{ sha256 = "{sha(file)}" }} }}]\n'
        )

    return (
        'lock-version = "1.0"\ncreated-by = "a test"\nextras = ["x"]\n'
        'dependency-groups = ["dev", "docs"]\ndefault-groups = ["dev"]\n'
        + package("alpha")
        + package("beta", "'x' in extras")
        + package("gamma", "'dev' in dependency_groups")
        + "".join(more)
    )


POETRY = """
[tool.poetry]
name = "app"
version = "0.1"
[tool.poetry.dependencies]
python = "^3.9"
alpha = "^1.0"
gamma = { version = "*", optional = true }
old = { version = "*", python = "<3.9" }
[tool.poetry.extras]
more = ["gamma"]
[tool.poetry.group.dev.dependencies]
delta = "*"
"""


def poetry_files(index: Index, version: str) -> dict[str, str]:
    """A Poetry project and its lock in a lock's format of this version."""
    files = {
        name: make_wheel(name, "1.0", requires=["beta"] if name == "alpha" else ())
        for name in ("alpha", "delta", "gamma", "old")
    }
    files["beta"] = make_wheel("beta", "1.0", extras={"more": ["gamma"]})
    for file in files.values():
        index.add(file)
    entries, elsewhere = "", ""
    for name, file in sorted(files.items()):
        listed = f'[{{file = "{file[0]}", hash = "sha256:{sha(file)}"}}]'
        group = "dev" if name == "delta" else "main"
        optional = str(name == "gamma").lower()
        entries += f'[[package]]\nname = "{name}"\nversion = "1.0"\noptional = {optional}\n'
        entries += f'python-versions = "*"\ngroups = ["{group}"]\n' if version == "2.1" else ""
        entries += "markers = 'extra == \"more\"'\n" if version == "2.1" and name == "gamma" else ""
        entries += f"files = {listed}\n" if version != "1.1" else ""
        elsewhere += f"{name} = {listed}\n"
    entries += f'[metadata]\nlock-version = "{version}"\ncontent-hash = "x"\n'
    entries += f"[metadata.files]\n{elsewhere}" if version == "1.1" else ""
    sources = f'[[tool.poetry.source]]\nname = "it"\nurl = "{index.url}"\npriority = "default"\n'
    return {"pyproject.toml": POETRY + sources, "poetry.lock": entries}


NATIVE = {
    "pyproject.toml": '[project]\nname = "native"\nversion = "0.1"\n'
    '[build-system]\nrequires = ["setuptools>=68"]\nbuild-backend = "setuptools.build_meta"\n',
    "setup.py": "from setuptools import Extension, setup\n"
    "setup(ext_modules=[Extension('native', ['native.c'])])\n",
    "native.c": "#include <Python.h>\n#include <stdlib.h>\n"
    'static struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "native", 0, -1, 0};\n'
    'PyMODINIT_FUNC PyInit_native(void) { getenv("X"); return PyModule_Create(&m); }\n',
}
