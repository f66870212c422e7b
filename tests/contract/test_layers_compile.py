"""Bytecode in dependency layers: the same every time, listed, and used by the interpreter."""

from __future__ import annotations

import importlib.util
import io
import marshal
import random
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from support.bases import AMD64
from support.layers import content, layer_of
from support.wheels import WheelMaker, rich

from launch_action.builders.layers import bytecode_worker
from launch_action.builders.layers.archive import Entry, LayerRecipe
from launch_action.builders.layers.bytecode import Compiler
from launch_action.builders.layers.bytecode_python import compiled_version, find_python
from launch_action.builders.layers.bytecode_workers import MAX_SOURCE
from launch_action.builders.layers.environment import Supply, Tree, environment_recipes
from launch_action.builders.layers.record import Row, read_record
from launch_action.builders.layers.unpack import extract
from launch_action.cache import Cache
from launch_action.core.base import BaseFacts, PythonFacts
from launch_action.core.errors import BuildError

VERSION = ".".join(map(str, sys.version_info[:3]))
MINOR = VERSION.rpartition(".")[0]
BASE = f"{sys.base_prefix}/bin/python{MINOR}"
TAG = f"cpython-{MINOR.replace('.', '')}"
PACKAGES = f"opt/venv/lib/python{MINOR}/site-packages"
WORKER = Path(bytecode_worker.__file__)
HEAVY = 1 << 21

MODULE = b"""
import sys
VALUE = 1

class Outer:
    class Inner:
        def method(self, one):
            return one in {"alpha", "beta"}

def where():
    return where.__code__.co_filename
"""


@dataclass(frozen=True)
class Pinned:
    name: str
    version: str
    sha256: str
    path: Path


def pinned(maker: WheelMaker, directory: Path) -> Pinned:
    return Pinned(maker.name, maker.version, maker.name.ljust(64, "0"), maker.write(directory))


def compiler(spool: Path, version: str = VERSION, python: str = sys.executable) -> Compiler:
    spool.mkdir(exist_ok=True)
    return Compiler(version, lambda: Path(python), spool)


def no_tree(wheels: Sequence[Pinned]) -> AbstractContextManager[Tree]:
    raise AssertionError(wheels)


def recipes(wheels: Sequence[tuple[Pinned, int]], **also: Any) -> tuple[LayerRecipe, ...]:
    supply: Supply[Pinned] = Supply(lambda wheel: wheel.path, no_tree)
    made = environment_recipes(
        wheels, PythonFacts(VERSION, BASE), replace(supply, **also), prefix="/opt/venv"
    )
    return tuple(recipe for recipe, _ in made)


def entries(recipe: LayerRecipe) -> dict[str, tuple[Entry, bytes]]:
    """Read while the layer is in the making: bytecode is gone afterwards."""
    return {entry.path: (entry, content(entry)) for entry in recipe.entries()}


def bytecode(recipe: LayerRecipe) -> dict[str, bytes]:
    return {path: data for path, (_, data) in entries(recipe).items() if path.endswith(".pyc")}


def codes(code: CodeType) -> list[CodeType]:
    inside = [one for one in code.co_consts if isinstance(one, CodeType)]
    return [code, *(deep for one in inside for deep in codes(one))]


def library() -> dict[str, bytes]:
    """Modules of the standard library, for they have everything a module can have."""
    root = Path(sysconfig.get_path("stdlib"))
    names = (
        "ftplib.py", "argparse.py", "functools.py", "profile.py", "html/*.py", "asyncio/*.py",
        "json/*.py", "email/*.py", "xmlrpc/*.py", "ctypes/__init__.py", "tarfile.py",
    )  # fmt: skip
    found = [path for name in names for path in sorted(root.glob(name))]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


# A process that has interned every word of some files, and run much else.
SPOILED = """
import argparse, asyncio, re, sys
texts = [open(path, encoding="latin-1").read() for path in sys.argv[2:]]
words = [sys.intern(word) for text in texts for word in [*re.findall(r"\\w+", text), *text.split()]]
codes = [compile(text.encode("latin-1"), "past.py", "exec") for text in texts]
exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"))
"""


def answers(sources: Sequence[tuple[str, bytes]], *past: Path) -> dict[str, bytes]:
    """What one process of the worker makes of these sources, in this order, after its `past`."""
    asked = bytearray()
    for path, source in sources:
        asked += len(path.encode()).to_bytes(4, "little") + len(source).to_bytes(4, "little")
        asked += path.encode() + source
    program = ["-c", SPOILED, WORKER, *past] if past else [WORKER]
    command = [sys.executable, "-I", "-S", "-W", "ignore", *program]
    out = io.BytesIO(subprocess.run(command, input=asked, capture_output=True, check=True).stdout)
    found = {path: out.read(int.from_bytes(out.read(4), "little")) for path, _ in sources}
    assert not out.read()
    return found


# ---- the same every time ------------------------------------------------------------------------


def test_bytecode_does_not_depend_on_what_the_process_did_before() -> None:
    sources = list(library().items())
    clean = answers(sources)
    assert all(clean.values())
    root = Path(sysconfig.get_path("stdlib"))
    assert answers(sources[::-1], *(root / path for path, _ in sources)) == clean
    for seed in range(3):
        random.Random(seed).shuffle(sources)
        assert answers(sources) == clean


def test_a_layer_is_the_same_from_another_compiler_and_directory(tmp_path: Path) -> None:
    wheel = pinned(WheelMaker(name="some", files=library()), tmp_path)
    digests = set()
    for name in ("a", "b"):
        (recipe,) = recipes([(wheel, 1)], compiler=compiler(tmp_path / name))
        digests.add(layer_of(recipe.entries())[1].digest)
    assert len(digests) == 1


def test_layers_made_at_once_are_those_made_one_after_the_other(tmp_path: Path) -> None:
    files = list(library().items())
    wheels = [
        (pinned(WheelMaker(name=name, files=dict(files[n::4])), tmp_path), HEAVY)
        for n, name in enumerate(("one", "two", "three", "four"))
    ]
    found = recipes(wheels, compiler=compiler(tmp_path / "spool"))
    alone = [layer_of(recipe.entries())[1].digest for recipe in found]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda recipe: layer_of(recipe.entries())[1].digest, found))
    assert together == alone
    assert list((tmp_path / "spool").iterdir()) == []


def test_an_installed_tree_has_the_same_bytecode(tmp_path: Path) -> None:
    from uv import find_uv_bin

    @contextmanager
    def by_uv(wheels: Sequence[Pinned]) -> Any:
        tree = tmp_path / "tree"
        subprocess.run(
            [find_uv_bin(), "pip", "install", "--no-config", "--prefix", tree, "--python",
             sys.executable, "--no-index", "--no-deps", wheels[0].path],
            check=True, capture_output=True,
        )  # fmt: skip
        yield Tree(tree, sys.executable)

    wheel = Pinned("rich-demo", "2.5", "r" * 64, rich(tmp_path))
    one = compiler(tmp_path / "spool")
    _, spliced = recipes([(wheel, HEAVY)], compiler=one)
    _, tree = recipes([(wheel, HEAVY)], compiler=one, wheel=None, tree=by_uv)
    assert layer_of(spliced.entries())[1].diff_id == layer_of(tree.entries())[1].diff_id


# ---- what is compiled ---------------------------------------------------------------------------


def test_modules_are_compiled_and_tests_and_what_is_no_module_are_not(tmp_path: Path) -> None:
    files = {
        "a/__init__.py": b"",
        "a/b.py": MODULE,
        "a/tests/__init__.py": b"",
        "a/test/deep/x.py": b"",
        "test.py": b"x = 1\n",
        "a/template.py": b"class {{ name }}: pass\n",
        "a/old.py": b"print 'hello'\n",
        "a/nul.py": b"x = 1\0",
        "a/not-a-name.py": b"",
        "a/coded.py": b"# coding: latin-1\nx = '\xe9'\n",
        "a/huge.py": b"#" * (MAX_SOURCE + 1),
        "demo-1.0.data/scripts/run.py": b"#!python\n",
        "demo-1.0.data/data/share/x.py": b"",
        "demo-1.0.data/purelib/pure.py": b"",
    }
    (recipe,) = recipes(
        [(pinned(WheelMaker(files=files), tmp_path), 1)], compiler=compiler(tmp_path / "spool")
    )
    found = bytecode(recipe)
    names = ("__pycache__/pure", "__pycache__/test", "a/__pycache__/__init__", "a/__pycache__/b",
             "a/__pycache__/coded")  # fmt: skip
    assert sorted(found) == sorted(f"{PACKAGES}/{name}.{TAG}.pyc" for name in names)


def test_the_file_is_hash_based_unchecked_and_names_the_path_in_the_image(tmp_path: Path) -> None:
    wheel = pinned(WheelMaker(files={"a/b.py": MODULE}), tmp_path)
    (recipe,) = recipes([(wheel, 1)], compiler=compiler(tmp_path / "spool"))
    (data,) = bytecode(recipe).values()
    assert data[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(data[4:8], "little") == 0b01
    assert data[8:16] == importlib.util.source_hash(MODULE)
    found = codes(marshal.loads(data[16:]))
    assert len(found) == 5
    assert {code.co_filename for code in found} == {f"/{PACKAGES}/a/b.py"}


def test_the_record_lists_the_bytecode_with_hash_and_size(tmp_path: Path) -> None:
    wheel = Pinned("rich-demo", "2.5", "r" * 64, rich(tmp_path))
    _, recipe = recipes([(wheel, HEAVY)], compiler=compiler(tmp_path / "spool"))
    found = entries(recipe)
    record = f"{PACKAGES}/rich_demo-2.5.dist-info/RECORD"
    rows = read_record(found[record][1].decode())
    listed = {f"{PACKAGES}/{path}": row for path, row in rows.items() if path.endswith(".pyc")}
    assert len(listed) == 5
    assert listed == {p: Row.of(data) for p, (_, data) in found.items() if p.endswith(".pyc")}
    assert list(rows) == sorted(rows, key=str.encode)
    files = [path for path, (entry, _) in found.items() if entry.kind == "file"]
    assert len(rows) == len(files)
    assert {found[path][0].mode for path in listed} == {0o644}


def test_without_a_compiler_there_is_no_bytecode(tmp_path: Path) -> None:
    wheel = pinned(WheelMaker(files={"a/b.py": MODULE}), tmp_path)
    (recipe,) = recipes([(wheel, 1)])
    assert not [path for path in entries(recipe) if "__pycache__" in path]


def test_where_two_packages_have_one_module_the_seen_one_alone_has_bytecode(tmp_path: Path) -> None:
    one = WheelMaker(name="one", files={"same.py": b"X = 1\n", "empty.py": b""})
    two = WheelMaker(name="two", files={"same.py": b"no python\n", "empty.py": b""})
    told: list[str] = []
    (recipe,) = recipes(
        [(pinned(one, tmp_path), 1), (pinned(two, tmp_path), 1)],
        compiler=compiler(tmp_path / "spool"), warn=told.append,
    )  # fmt: skip
    assert list(bytecode(recipe)) == [f"{PACKAGES}/__pycache__/empty.{TAG}.pyc"]
    assert told == [
        f"one and two both install '{PACKAGES}/same.py', with different content: two's is used"
    ]


# ---- who uses it --------------------------------------------------------------------------------


def test_the_interpreter_takes_the_bytecode_and_compiles_nothing(tmp_path: Path) -> None:
    wheel = pinned(WheelMaker(files={"a/__init__.py": b"", "a/b.py": MODULE}), tmp_path)
    (recipe,) = recipes([(wheel, 1)], compiler=compiler(tmp_path / "spool"))
    root = tmp_path / "root"
    extract(io.BytesIO(layer_of(recipe.entries())[0]), root)
    source = root / PACKAGES / "a/b.py"
    source.write_bytes(MODULE.replace(b"VALUE = 1", b"VALUE = 2"))  # unchecked: nobody looks

    done = subprocess.run(
        [root / "opt/venv/bin/python", "-I", "-v", "-c",
         "import a.b; print(a.b.VALUE, a.b.where())"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"1 {source}\n"
    assert f"matches {source}" in done.stderr
    assert "wrote" not in done.stderr
    assert len(list((source.parent / "__pycache__").iterdir())) == 2


# ---- keys ---------------------------------------------------------------------------------------


def test_the_key_tells_whether_and_by_which_version_a_layer_is_compiled(tmp_path: Path) -> None:
    wheels = [(pinned(WheelMaker(name="one"), tmp_path), size) for size in (HEAVY,)]
    wheels += [(pinned(WheelMaker(name="two"), tmp_path), 1)]

    def unused() -> Path:
        raise AssertionError("a key needs no interpreter")

    def keys(version: str) -> set[str]:
        made = Compiler(version, unused, tmp_path) if version else None
        return {recipe.key for recipe in recipes(wheels, compiler=made)}

    assert len(keys("") | keys("3.11.8") | keys("3.11.9")) == 6
    assert keys("3.11.9") == keys("3.11.9")


# ---- the interpreter ----------------------------------------------------------------------------


def test_the_exact_interpreter_is_found(tmp_path: Path) -> None:
    assert find_python(VERSION, Cache(tmp_path)) == Path(sys.executable)


def test_another_patch_release_does_not_serve(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=rf"Python {MINOR}\.99 .* this machine has {VERSION} \("):
        find_python(f"{MINOR}.99", Cache(tmp_path))


def test_an_interpreter_that_is_nowhere_is_looked_for_once(tmp_path: Path) -> None:
    looks = []

    def nowhere() -> Path:
        looks.append(1)
        raise BuildError("nowhere", hint="install it")

    wheels = [(pinned(WheelMaker(name=name), tmp_path), HEAVY) for name in ("one", "two")]
    _, *heavy = recipes(wheels, compiler=Compiler(VERSION, nowhere, tmp_path))
    for recipe in heavy:
        with pytest.raises(BuildError, match="nowhere"):
            entries(recipe)
    assert len(looks) == 1


def test_an_interpreter_is_found_where_runners_keep_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In place of another version stands a program that says to be one."""
    fake = tmp_path / f"Python/{MINOR}.98/x64/bin/python{MINOR}"
    fake.parent.mkdir(parents=True)
    fake.write_text(f"#!/bin/sh\necho cpython\necho {MINOR}.98\n")
    fake.chmod(0o755)
    monkeypatch.setenv("RUNNER_TOOL_CACHE", str(tmp_path))
    assert find_python(f"{MINOR}.98", Cache(tmp_path / "cache")) == fake


def facts(version: str) -> BaseFacts:
    python = PythonFacts(version, "/usr/bin/python")
    return BaseFacts("acme/base", "sha256:0", AMD64, python, "glibc", "2.36", "", {})


def test_a_base_that_does_not_tell_the_patch_release_is_refused() -> None:
    with pytest.raises(BuildError, match=r"acme/base does not say which patch release of .*3\.12"):
        compiled_version(facts("3.12"))
    assert compiled_version(facts("3.12.4")) == "3.12.4"


def test_a_python_whose_bytecode_is_not_the_same_every_time_is_refused() -> None:
    with pytest.raises(BuildError, match=r"no bytecode for Python 3\.10\.13"):
        compiled_version(facts("3.10.13"))


def test_a_compiler_that_dies_is_told_with_the_module(tmp_path: Path) -> None:
    wheel = pinned(WheelMaker(files={"a/b.py": MODULE}), tmp_path)
    (recipe,) = recipes([(wheel, 1)], compiler=compiler(tmp_path / "spool", python="/bin/false"))
    with pytest.raises(BuildError, match=rf"the compiler of Python {VERSION} died of .*a/b\.py"):
        entries(recipe)


def test_a_source_that_is_not_what_the_wheel_says_is_not_compiled(tmp_path: Path) -> None:
    maker = WheelMaker(
        files={"a/b.py": MODULE}, record={"a/b.py": f"{Row.of(b'x').hash},{len(MODULE)}"}
    )
    (recipe,) = recipes([(pinned(maker, tmp_path), 1)], compiler=compiler(tmp_path / "spool"))
    with pytest.raises(BuildError, match=r"demo-1\.0.*'a/b\.py' is damaged"):
        entries(recipe)
