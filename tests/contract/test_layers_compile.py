"""Bytecode in dependency layers: the same every time, listed, and used by the interpreter."""

from __future__ import annotations

import importlib.util
import io
import marshal
import os
import random
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from support.layers import content, layer_of
from support.wheels import Pinned, WheelMaker, pinned, rich

from launch_action.builders.layers import bytecode_worker
from launch_action.builders.layers.archive import Entry, LayerRecipe
from launch_action.builders.layers.bytecode import Compiler
from launch_action.builders.layers.bytecode_layers import bytecode_recipes
from launch_action.builders.layers.bytecode_workers import MAX_SOURCE
from launch_action.builders.layers.environment import Supply, Tree, environment_recipes
from launch_action.builders.layers.interpreters import Interpreter, Machine
from launch_action.builders.layers.record import Row
from launch_action.builders.layers.scheme import Scheme
from launch_action.builders.layers.unpack import extract
from launch_action.cache import Cache
from launch_action.core.base import PythonFacts
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


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Compiler]:
    with compiler(tmp_path / "spool") as made:
        yield made


def compiler(spool: Path, version: str = VERSION, python: str = sys.executable) -> Compiler:
    spool.mkdir(exist_ok=True)
    return Compiler(version, lambda: Path(python), spool)


def no_tree(wheels: Sequence[Pinned]) -> AbstractContextManager[Tree]:
    raise AssertionError(wheels)


SUPPLY: Supply[Pinned] = Supply(lambda wheel: wheel.path, no_tree)


def layers(
    wheels: Sequence[tuple[Pinned, int]],
    one: Compiler,
    supply: Supply[Pinned] = SUPPLY,
    room: int = 10,
) -> list[tuple[LayerRecipe, LayerRecipe | None]]:
    """The layers of wheels, each with the layer of its bytecode."""
    made = environment_recipes(wheels, PythonFacts(VERSION, BASE), supply, prefix="/opt/venv")
    below = [inside for _, inside in made]
    scheme = Scheme("/opt/venv", MINOR)
    found = bytecode_recipes(below, scheme, supply, one, room=room)
    return [(recipe, compiled) for (recipe, _), compiled in zip(made, found, strict=True)]


def compiled(*args: Any, **also: Any) -> list[LayerRecipe]:
    """The layers of bytecode alone."""
    return [recipe for _, recipe in layers(*args, **also) if recipe]


def entries(recipe: LayerRecipe) -> dict[str, tuple[Entry, bytes]]:
    """Read while the layer is in the making: a wheel's files are gone afterwards."""
    return {entry.path: (entry, content(entry)) for entry in recipe.entries()}


def bytecode(recipe: LayerRecipe) -> dict[str, bytes]:
    """The files of a layer of bytecode."""
    return {path: data for path, (found, data) in entries(recipe).items() if found.kind == "file"}


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
import re, sys
texts = [open(path, encoding="latin-1").read() for path in sys.argv[3:]]
words = [sys.intern(word) for text in texts for word in [*re.findall(r"\\w+", text), *text.split()]]
codes = [compile(text.encode("latin-1"), "past.py", "exec") for text in texts]
program, sys.argv = sys.argv[1], sys.argv[1:3]
sys.path.insert(0, "")
exec(compile(open(program).read(), program, "exec"))
"""


def answers(
    python: Interpreter, sources: Sequence[tuple[str, bytes]], *past: Path
) -> dict[str, bytes]:
    """What one process of the worker makes of these sources, in this order, after its `past`."""
    asked = bytearray()
    for path, source in sources:
        asked += len(path.encode()).to_bytes(4, "little") + len(source).to_bytes(4, "little")
        asked += path.encode() + source
    program: list[str | Path] = [WORKER, python.version]
    if past:
        program = ["-c", SPOILED, *program, *past]
    command: list[str | Path] = [python.executable, "-s", "-S", "-W", "ignore", *program]
    environment = {"PYTHONHASHSEED": "0", "PYTHONPATH": ""}
    out = io.BytesIO(
        subprocess.run(
            command, input=asked, capture_output=True, check=True, env=environment
        ).stdout
    )
    found = {path: out.read(int.from_bytes(out.read(4), "little")) for path, _ in sources}
    assert not out.read()
    return found


def interpreters() -> list[Interpreter]:
    """One of each minor version that this machine has; its own at least."""
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Cache(Path(folder)), os.environ, Path("/nowhere"))
        found = [next(machine.interpreters(f"3.{minor}"), None) for minor in range(8, 15)]
        return [one for one in found if one]


# ---- the same every time ------------------------------------------------------------------------


@pytest.mark.parametrize("python", interpreters(), ids=lambda python: python.version)
def test_bytecode_does_not_depend_on_what_the_process_did_before(python: Interpreter) -> None:
    sources = list(library().items())
    clean = answers(python, sources)
    assert sum(map(bool, clean.values())) > len(clean) * 0.8  # some need a later Python
    assert {data[:4] for data in clean.values() if data} == {magic(python)}
    random.Random(1).shuffle(sources)
    assert answers(python, sources) == clean
    if tuple(map(int, python.version.split(".")[:2])) >= (3, 11):
        # Before, every module is compiled by a process that did nothing before.
        root = Path(sysconfig.get_path("stdlib"))
        assert answers(python, sources[::-1], *(root / path for path, _ in sources)) == clean


def magic(python: Interpreter) -> bytes:
    command = "import sys, importlib.util as u; sys.stdout.buffer.write(u.MAGIC_NUMBER)"
    return subprocess.run(
        [python.executable, "-c", command], capture_output=True, check=True
    ).stdout


def test_a_layer_is_the_same_from_another_compiler_and_directory(tmp_path: Path) -> None:
    wheel = pinned(WheelMaker(name="some", files=library()), tmp_path)
    digests = set()
    for name in ("a", "b"):
        with compiler(tmp_path / name) as one:
            (recipe,) = compiled([(wheel, 1)], one)
            digests.add(layer_of(recipe.entries())[1].digest)
    assert len(digests) == 1


def test_layers_made_at_once_are_those_made_one_after_the_other(
    one: Compiler, tmp_path: Path
) -> None:
    files = list(library().items())
    wheels = [
        (pinned(WheelMaker(name=name, files=dict(files[n::4])), tmp_path), HEAVY)
        for n, name in enumerate(("one", "two", "three", "four"))
    ]
    found = compiled(wheels, one)
    alone = [layer_of(recipe.entries())[1].digest for recipe in found]
    with (
        compiler(tmp_path / "other") as other,
        ThreadPoolExecutor(4) as pool,
    ):
        again = compiled(wheels, other)
        together = list(pool.map(lambda recipe: layer_of(recipe.entries())[1].digest, again))
    assert together == alone
    assert list((tmp_path / "other").iterdir()) == []


def test_an_installed_tree_has_the_same_bytecode(one: Compiler, tmp_path: Path) -> None:
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
    _, (wheels, spliced) = layers([(wheel, HEAVY)], one)
    _, (tree, installed) = layers([(wheel, HEAVY)], one, Supply(None, by_uv))
    assert spliced
    assert installed
    assert wheels.key != tree.key
    assert spliced.key == installed.key
    assert layer_of(spliced.entries())[1].digest == layer_of(installed.entries())[1].digest


# ---- what is compiled ---------------------------------------------------------------------------


def test_modules_are_compiled_and_tests_and_what_is_no_module_are_not(
    one: Compiler, tmp_path: Path
) -> None:
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
        "a/__pycache__/b.cpython-39.pyc": b"of the wheel's own",
        "demo-1.0.data/scripts/run.py": b"#!python\n",
        "demo-1.0.data/data/share/x.py": b"",
        "demo-1.0.data/purelib/pure.py": b"",
    }
    (recipe,) = compiled([(pinned(WheelMaker(files=files), tmp_path), 1)], one)
    found = bytecode(recipe)
    names = ("__pycache__/pure", "__pycache__/test", "a/__pycache__/__init__", "a/__pycache__/b",
             "a/__pycache__/coded")  # fmt: skip
    assert sorted(path for path, data in found.items() if data) == paths(*names)
    # What cannot be compiled hides what is below.
    empty = ("huge", "nul", "old", "template")
    assert sorted(path for path, data in found.items() if not data) == paths(
        *(f"a/__pycache__/{name}" for name in empty)
    )


def paths(*names: str) -> list[str]:
    return sorted(f"{PACKAGES}/{name}.{TAG}.pyc" for name in names)


def test_the_file_is_hash_based_unchecked_and_names_the_path_in_the_image(
    one: Compiler, tmp_path: Path
) -> None:
    wheel = pinned(WheelMaker(files={"a/b.py": MODULE}), tmp_path)
    (recipe,) = compiled([(wheel, 1)], one)
    (data,) = bytecode(recipe).values()
    assert data[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(data[4:8], "little") == 0b01
    assert data[8:16] == importlib.util.source_hash(MODULE)
    found = codes(marshal.loads(data[16:]))
    assert len(found) == 5
    assert {code.co_filename for code in found} == {f"/{PACKAGES}/a/b.py"}


def test_every_entry_is_root_s_and_has_its_directories(one: Compiler, tmp_path: Path) -> None:
    (recipe,) = compiled([(pinned(WheelMaker(files={"a/b.py": MODULE}), tmp_path), 1)], one)
    found = [entry for entry, _ in entries(recipe).values()]
    assert {(e.kind, e.mode, e.uid, e.gid) for e in found} == {
        ("directory", 0o755, 0, 0), ("file", 0o644, 0, 0),
    }  # fmt: skip
    assert [e.path for e in found][-3:] == [
        f"{PACKAGES}/a", f"{PACKAGES}/a/__pycache__", *paths("a/__pycache__/b"),
    ]  # fmt: skip


# ---- layers -------------------------------------------------------------------------------------


def test_layers_of_wheels_are_what_the_wheels_alone_make_them(
    one: Compiler, tmp_path: Path
) -> None:
    wheels = [(pinned(rich_maker(name), tmp_path), size) for name, size in SIZES]
    pure = environment_recipes(wheels, PythonFacts(VERSION, BASE), SUPPLY, prefix="/opt/venv")
    with_bytecode = [recipe for recipe, _ in layers(wheels, one)]
    assert [recipe.key for recipe in with_bytecode] == [recipe.key for recipe, _ in pure]
    for recipe in with_bytecode:
        assert not [path for path in entries(recipe) if "__pycache__" in path]


SIZES = (("one", HEAVY), ("two", 1), ("three", HEAVY), ("four", 2))


def rich_maker(name: str) -> WheelMaker:
    return WheelMaker(name=name, files={f"{name}/__init__.py": MODULE})


def test_each_heavy_wheel_has_bytecode_of_its_own_and_the_light_ones_together(
    one: Compiler, tmp_path: Path
) -> None:
    wheels = [(pinned(rich_maker(name), tmp_path), size) for name, size in SIZES]
    found = compiled(wheels, one)
    assert [recipe.title for recipe in found] == [
        f"bytecode of {what}, by Python {VERSION}"
        for what in ("2 packages", "one 1.0", "three 1.0")
    ]
    inside = [[path.split("/")[-3] for path in bytecode(recipe)] for recipe in found]
    assert inside == [["four", "two"], ["one"], ["three"]]


@pytest.mark.parametrize(("room", "expected"), [
    (1, [["four", "one", "three", "two"]]),
    (2, [["four", "one", "two"], ["three"]]),
    (3, [["four", "two"], ["one"], ["three"]]),
])  # fmt: skip
def test_without_room_the_lowest_layers_bytecode_is_one_layer(
    room: int, expected: list[list[str]], one: Compiler, tmp_path: Path
) -> None:
    wheels = [(pinned(rich_maker(name), tmp_path), size) for name, size in SIZES]
    found = compiled(wheels, one, room=room)
    assert [[path.split("/")[-3] for path in bytecode(recipe)] for recipe in found] == expected


def test_an_environment_without_wheels_has_no_bytecode(one: Compiler) -> None:
    assert compiled([], one) == []


def test_of_two_light_packages_with_one_module_the_seen_one_alone_is_compiled(
    one: Compiler, tmp_path: Path
) -> None:
    # What is installed last is seen, and of strangers that is the alphabetically first.
    first = WheelMaker(name="two", files={"same.py": b"X = 1\n", "empty.py": b""})
    second = WheelMaker(name="one", files={"same.py": b"no python\n", "empty.py": b""})
    (recipe,) = compiled([(pinned(first, tmp_path), 1), (pinned(second, tmp_path), 1)], one)
    found = bytecode(recipe)
    assert list(found) == paths("__pycache__/empty", "__pycache__/same")
    assert not found[paths("__pycache__/same")[0]]


@pytest.mark.parametrize("winner", [b"X = 2\n", b"X = 2\n" + b"#" * MAX_SOURCE])
def test_the_bytecode_that_is_seen_is_that_of_the_source_that_is_seen(
    winner: bytes, one: Compiler, tmp_path: Path
) -> None:
    makers = (("one", b"X = 1\n"), ("two", winner))
    wheels = [
        (pinned(WheelMaker(name=name, files={"same.py": source}), tmp_path), HEAVY)
        for name, source in makers
    ]
    root = unpacked(layers(wheels, one), tmp_path)
    assert imported(root, "import same; print(same.X)").stdout == "2\n"


# ---- who uses it --------------------------------------------------------------------------------


def unpacked(found: Sequence[tuple[LayerRecipe, LayerRecipe | None]], folder: Path) -> Path:
    root = folder / "root"
    wheels, compiled = zip(*found, strict=True)
    for recipe in (*wheels, *filter(None, compiled)):
        extract(io.BytesIO(layer_of(recipe.entries())[0]), root)
    return root


def imported(root: Path, program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [root / "opt/venv/bin/python", "-I", "-v", "-c", program],
        capture_output=True, text=True, check=True,
    )  # fmt: skip


def test_the_interpreter_takes_the_bytecode_and_compiles_nothing(
    one: Compiler, tmp_path: Path
) -> None:
    wheel = pinned(WheelMaker(files={"a/__init__.py": b"", "a/b.py": MODULE}), tmp_path)
    root = unpacked(layers([(wheel, 1)], one), tmp_path)
    source = root / PACKAGES / "a/b.py"
    source.write_bytes(MODULE.replace(b"VALUE = 1", b"VALUE = 2"))  # unchecked: nobody looks

    done = imported(root, "import a.b; print(a.b.VALUE, a.b.where())")
    assert done.stdout == f"1 {source}\n"
    assert f"matches {source}" in done.stderr
    assert "wrote" not in done.stderr
    assert len(list((source.parent / "__pycache__").iterdir())) == 2


def test_a_package_is_uninstalled_with_its_bytecode(one: Compiler, tmp_path: Path) -> None:
    wheel = pinned(WheelMaker(files={"a/__init__.py": b"", "a/b.py": MODULE}), tmp_path)
    root = unpacked(layers([(wheel, 1)], one), tmp_path)
    from uv import find_uv_bin

    subprocess.run(
        [find_uv_bin(), "pip", "uninstall", "--no-config", "--python",
         root / "opt/venv/bin/python", "demo"],
        check=True, capture_output=True,
    )  # fmt: skip
    assert not (root / PACKAGES / "a").exists()


# ---- keys ---------------------------------------------------------------------------------------


def test_the_key_tells_which_version_compiled_and_needs_no_interpreter(tmp_path: Path) -> None:
    wheels = [(pinned(WheelMaker(name="one"), tmp_path), HEAVY)]
    wheels += [(pinned(WheelMaker(name="two"), tmp_path), 1)]

    def unused() -> Path:
        raise AssertionError("a key needs no interpreter")

    def keys(version: str) -> set[str]:
        return {recipe.key for recipe in compiled(wheels, Compiler(version, unused, tmp_path))}

    assert len(keys("3.11.8") | keys("3.11.9")) == 4
    assert keys("3.11.9") == keys("3.11.9")


# ---- the compiler -------------------------------------------------------------------------------


def test_what_was_compiled_for_one_platform_is_not_compiled_for_another(tmp_path: Path) -> None:
    python, starts = tmp_path / "python", tmp_path / "starts"
    python.write_text(f'#!/bin/sh\necho >> {starts}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    wheel = pinned(WheelMaker(files=library()), tmp_path)
    amd64, arm64 = (replace(wheel, sha256=name * 64) for name in "ab")
    with compiler(tmp_path / "spool", python=str(python)) as one:
        first, second = (compiled([(wheel, 1)], one)[0] for wheel in (amd64, arm64))
        assert first.key != second.key
        found = bytecode(first)
        assert all(found.values())
        started = starts.read_text()
        assert bytecode(second) == found
    assert starts.read_text() == started


def test_what_platforms_compile_at_once_is_compiled_once(tmp_path: Path) -> None:
    python, asked = tmp_path / "python", tmp_path / "asked"
    # Every request begins with the length of a path of this image.
    python.write_text(f'#!/bin/sh\ntee -a {asked} | {sys.executable} "$@"\n')
    python.chmod(0o755)
    wheel = pinned(WheelMaker(files=library()), tmp_path)
    with compiler(tmp_path / "spool", python=str(python)) as one, ThreadPoolExecutor(4) as pool:
        made = [compiled([(replace(wheel, sha256=n * 64), 1)], one)[0] for n in "abcd"]
        first, *others = pool.map(bytecode, made)
    assert others == [first] * 3
    assert asked.read_bytes().count(f"/{PACKAGES}/".encode()) == len(first)


def test_a_layer_that_fails_takes_nothing_from_another(tmp_path: Path) -> None:
    sound = WheelMaker(name="sound", files=library())
    wrong = {"zzz.py": f"{Row.of(b'x').hash},{len(MODULE)}"}
    broken = WheelMaker(name="broken", files={"zzz.py": MODULE, **library()}, record=dict(wrong))
    with compiler(tmp_path / "spool") as one, ThreadPoolExecutor(2) as pool:
        fails, (good,) = (compiled([(pinned(m, tmp_path), 1)], one) for m in (broken, sound))
        failing, going = pool.submit(bytecode, fails[0]), pool.submit(bytecode, good)
        with pytest.raises(BuildError, match=r"'zzz\.py' is damaged"):
            failing.result()
        assert all(going.result().values())


def test_an_interpreter_that_is_nowhere_is_looked_for_once(tmp_path: Path) -> None:
    looks = []

    def nowhere() -> Path:
        looks.append(1)
        raise BuildError("nowhere", hint="install it")

    wheels = [(pinned(WheelMaker(name=name), tmp_path), HEAVY) for name in ("one", "two")]
    with Compiler(VERSION, nowhere, tmp_path) as one:
        for recipe in compiled(wheels, one):
            with pytest.raises(BuildError, match="nowhere"):
                entries(recipe)
    assert len(looks) == 1


@pytest.mark.parametrize("python", ["/bin/false", sys.executable])
def test_a_compiler_that_dies_or_is_another_is_told_with_the_module(
    python: str, tmp_path: Path
) -> None:
    wheel = pinned(WheelMaker(files={"a/b.py": MODULE}), tmp_path)
    with compiler(tmp_path / "spool", version=f"{MINOR}.99", python=python) as one:
        (recipe,) = compiled([(wheel, 1)], one)
        with pytest.raises(BuildError, match=rf"Python {MINOR}\.99 died of .*a/b\.py") as caught:
            entries(recipe)
    assert "--no-compile" in caught.value.hint


def test_a_source_that_is_not_what_the_wheel_says_is_not_compiled(
    one: Compiler, tmp_path: Path
) -> None:
    maker = WheelMaker(
        files={"a/b.py": MODULE}, record={"a/b.py": f"{Row.of(b'x').hash},{len(MODULE)}"}
    )
    (recipe,) = compiled([(pinned(maker, tmp_path), 1)], one)
    with pytest.raises(BuildError, match=r"demo-1\.0.*'a/b\.py' is damaged"):
        entries(recipe)
