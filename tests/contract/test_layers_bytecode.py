"""Bytecode over a real store, cache and index: what is made, what is named, and by whom."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from support.bases import AMD64, Remembered
from support.index import Index, make_wheel, serve_index
from support.plans import FACTS, PLAN, Empty

from launch_action.builders.layers.base import Base
from launch_action.builders.layers.builder import LayersBuild, LayersBuilder
from launch_action.builders.layers.image import BYTECODE, MadeLayer, read_layer
from launch_action.builders.layers.interpreters import Interpreter
from launch_action.builders.layers.packages import Packages
from launch_action.cache import Cache
from launch_action.core.base import BaseFacts, BaseReference, PythonFacts
from launch_action.core.dependencies import read_dependencies
from launch_action.core.errors import BuildError
from launch_action.core.image import Manifest, Platform
from launch_action.core.layers_plan import LayersPlan
from launch_action.oci.layout import LayoutContent

OURS = ".".join(map(str, sys.version_info[:3]))
MINOR = OURS.rpartition(".")[0]
TARGET = replace(FACTS, python=PythonFacts(f"{MINOR}.99", f"/usr/local/bin/python{MINOR}"))
ARM64 = Platform("linux", "arm64")


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    with serve_index() as serving:
        for version in ("1.0", "2.0"):
            serving.add(make_wheel("light", version))
        module = {"heavy/__init__.py": b"X = 1\n", "heavy/data.bin": _noise(1 << 20)}
        serving.add(make_wheel("heavy", "1.0", files=module))
        serving.add(make_wheel("library", "1.0", files={"library/x.so": _noise(1 << 20)}))
        yield serving


def _noise(size: int) -> bytes:
    """Bytes that deflate does not make smaller, always the same."""
    return random.Random(size).randbytes(size)


def wanting(index: Index, *requirements: str, wanted: bool | None = None) -> LayersPlan:
    text = "\n".join((f"--index-url {index.url}", *requirements))
    dependencies = read_dependencies({"requirements.txt": text.encode()}.get)
    return replace(PLAN, dependencies=dependencies, dependency_key=text, compile=wanted)


@dataclass
class Machine:
    """A machine that has the Pythons of `versions`; `store` is its registry."""

    folder: Path
    store: Path
    versions: tuple[str, ...] = (OURS,)
    reporter: Remembered = field(default_factory=Remembered)
    resolved: int = 0

    def prepared(
        self, plan: LayersPlan, *previous: Manifest, facts: tuple[BaseFacts, ...] = (TARGET,)
    ) -> LayersBuild:
        cache, waiting = Cache(self.folder / "cache"), iter(facts)

        def base(_: BaseReference, platform: Platform, python: str, /) -> Base:
            return Base(next(waiting))

        def packages() -> Packages:
            self.resolved += 1
            return Packages(Empty(), cache, self.reporter, {})

        def found(minor: str) -> Iterator[Interpreter]:
            return (Interpreter(v, sys.executable) for v in self.versions if v.startswith(minor))

        builder = LayersBuilder(Empty(), base, packages, cache, self.reporter, found)
        return builder.prepare(plan).over(previous)

    def build(
        self, plan: LayersPlan, *previous: Manifest, facts: tuple[BaseFacts, ...] = (TARGET,)
    ) -> tuple[Manifest, ...]:
        target = LayoutContent(self.store, "job")
        built = self.prepared(plan, *previous, facts=facts).build(target, previous)
        found = [(image, target.get_manifest(image.digest)) for image in built.images]
        # As a version's index names it: with the list of its wheels.
        return tuple(Manifest(image, manifest.data) for image, manifest in found if manifest)


@pytest.fixture
def ours(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "ours", tmp_path / "store")


@pytest.fixture
def other(tmp_path: Path) -> Machine:
    """A fresh machine with another patch release, which cannot really compile."""
    return Machine(tmp_path / "other", tmp_path / "store", (f"{MINOR}.98",))


@pytest.fixture
def bare(tmp_path: Path) -> Machine:
    """A fresh machine without a Python of the target's minor version."""
    return Machine(tmp_path / "bare", tmp_path / "store", ())


def layers(manifest: Manifest) -> list[MadeLayer]:
    return [found for found in map(read_layer, manifest.layers()) if found]


def roles(manifest: Manifest) -> list[str]:
    return [layer.role for layer in layers(manifest)]


def titles(manifest: Manifest, role: str) -> list[str]:
    return [layer.title for layer in layers(manifest) if layer.role == role]


def test_bytecode_lies_above_all_wheels_and_below_the_code(index: Index, ours: Machine) -> None:
    (made,) = ours.build(wanting(index, "light==1.0", "heavy==1.0"))
    assert roles(made) == ["dependency", "dependency", "bytecode", "bytecode", "code"]
    assert titles(made, "bytecode") == [
        f"bytecode of 1 package, by Python {OURS}", f"bytecode of heavy 1.0, by Python {OURS}",
    ]  # fmt: skip
    assert made.annotations()[BYTECODE] == OURS


def test_without_it_an_image_has_the_same_wheels(
    index: Index, ours: Machine, bare: Machine
) -> None:
    (made,) = ours.build(wanting(index, "light==1.0", "heavy==1.0"))
    (pure,) = bare.build(wanting(index, "light==1.0", "heavy==1.0", wanted=False))
    assert roles(pure) == ["dependency", "dependency", "code"]
    assert pure.layers()[:2] == made.layers()[:2]
    assert BYTECODE not in pure.annotations()
    assert bare.reporter.lines == [f"2 packages for CPython {MINOR}.99 on linux/amd64 (glibc 2.36)"]


def test_no_compile_is_the_same_whatever_python_a_machine_has(
    index: Index, ours: Machine, other: Machine, bare: Machine
) -> None:
    plan = wanting(index, "light==1.0", wanted=False)
    made = [machine.build(plan)[0].descriptor for machine in (ours, other, bare)]
    assert len({found.digest for found in made}) == 1
    assert {machine.prepared(plan).choices for machine in (ours, other, bare)} == {()}


def test_another_patch_release_with_other_code_compiles_and_resolves_nothing(
    index: Index, ours: Machine, other: Machine
) -> None:
    plan = wanting(index, "light==1.0", "heavy==1.0")
    (first,) = ours.build(plan)
    changed = replace(plan, entrypoint=("python", "other.py"))
    (second,) = other.build(changed, first)
    assert other.resolved == 0
    assert second.layers() == first.layers()
    assert second.annotations() == first.annotations()
    # And it is the image that our machine makes of it.
    assert ours.build(changed)[0].descriptor == second.descriptor


def test_another_patch_release_is_another_build_key_where_it_compiles(
    index: Index, ours: Machine, other: Machine
) -> None:
    (first,) = ours.build(wanting(index, "light==1.0"))
    before, after = wanting(index, "light==1.0"), wanting(index, "light==2.0")
    assert other.prepared(before, first).choices == ours.prepared(before).choices
    assert other.prepared(before).choices != ours.prepared(before).choices
    assert other.prepared(after, first).choices != ours.prepared(after).choices


def test_a_machine_that_has_both_goes_on_with_the_earlier_one(
    index: Index, ours: Machine, tmp_path: Path
) -> None:
    (first,) = ours.build(wanting(index, "light==1.0", "heavy==1.0"))
    both = Machine(tmp_path / "both", ours.store, (f"{MINOR}.98", OURS))
    (second,) = both.build(wanting(index, "light==2.0", "heavy==1.0"), first)
    assert second.layers()[1] == first.layers()[1]
    assert second.layers()[3] == first.layers()[3]  # its bytecode
    assert [n for n, layer in enumerate(second.layers()) if layer not in first.layers()] == [0, 2]


def test_a_newer_patch_release_of_the_base_keeps_the_bytecode(index: Index, ours: Machine) -> None:
    plan = wanting(index, "light==1.0", "heavy==1.0")
    (first,) = ours.build(plan)
    newer = replace(TARGET, python=PythonFacts(f"{MINOR}.100", TARGET.python.executable))
    ours.versions = (f"{MINOR}.100", OURS)
    (second,) = ours.build(plan, first, facts=(newer,))
    assert [n for n, layer in enumerate(second.layers()) if layer not in first.layers()] == [0]


def test_a_machine_without_python_says_so_and_builds(index: Index, bare: Machine) -> None:
    plan = wanting(index, "light==1.0")
    (made,) = bare.build(plan)
    assert roles(made) == ["dependency", "code"]
    assert bare.reporter.lines[0] == (
        f"no bytecode: this machine has no Python {MINOR} to compile with, so every start of the "
        "job compiles what it imports (--no-compile accepts that)"
    )
    assert bare.prepared(plan).choices == bare.prepared(replace(plan, compile=False)).choices


def test_a_machine_without_python_takes_the_bytecode_that_is_there(
    index: Index, ours: Machine, bare: Machine
) -> None:
    plan = wanting(index, "light==1.0")
    (first,) = ours.build(plan)
    (second,) = bare.build(replace(plan, entrypoint=("python", "other.py")), first)
    assert second.layers() == first.layers()
    assert bare.reporter.lines == []


@pytest.mark.parametrize("version", [f"{MINOR}.99", "3.6.15", MINOR])
def test_what_is_asked_for_and_cannot_be_is_an_error(
    version: str, index: Index, bare: Machine
) -> None:
    python = PythonFacts(version, "/usr/bin/python")
    with pytest.raises(BuildError, match=r"no Python 3|too old") as caught:
        bare.build(
            wanting(index, "light==1.0", wanted=True), facts=(replace(TARGET, python=python),)
        )
    assert "--no-compile" in caught.value.hint


def test_packages_without_modules_have_no_layer_of_bytecode_on_any_machine(
    index: Index, ours: Machine, tmp_path: Path
) -> None:
    (first,) = ours.build(wanting(index, "light==1.0", "library==1.0"))
    assert roles(first) == ["dependency", "dependency", "bytecode", "code"]
    fresh = Machine(tmp_path / "fresh", ours.store)
    (second,) = fresh.build(wanting(index, "light==2.0", "library==1.0"), first)
    assert titles(second, "bytecode") == [f"bytecode of 1 package, by Python {OURS}"]
    assert not list((fresh.folder / "cache" / "wheels").glob("*/*library*"))
    assert len(list((fresh.folder / "cache" / "wheels").glob("*/*"))) == 1


def test_a_project_without_dependencies_has_none(ours: Machine, bare: Machine) -> None:
    found = [machine.build(PLAN)[0] for machine in (ours, bare)]
    assert found[0].descriptor == found[1].descriptor
    assert bare.reporter.lines == ours.reporter.lines


def test_platforms_share_the_bytecode_of_what_is_for_all(index: Index, ours: Machine) -> None:
    plan = replace(wanting(index, "light==1.0"), platforms=(AMD64, ARM64))
    amd64, arm64 = ours.build(plan, facts=(TARGET, replace(TARGET, platform=ARM64)))
    assert amd64.layers()[1] == arm64.layers()[1]
    assert roles(amd64)[1] == "bytecode"


def test_an_untrusted_event_compiles_and_runs_nothing_of_a_package(
    index: Index, ours: Machine, tmp_path: Path
) -> None:
    trap = tmp_path / "trap"
    source = f"open({str(trap)!r}, 'w')\nimport sitecustomize\n".encode()
    index.add(make_wheel("hostile", "1.0", files={
        "hostile.py": source, "sitecustomize.py": source, "usercustomize.py": source,
        "hostile.pth": f"import os; open({str(trap)!r}, 'w')\n".encode(),
        "encodings/__init__.py": source, "marshal.py": source, "gc.py": source,
    }))  # fmt: skip
    (made,) = ours.build(wanting(index, "hostile==1.0"))
    assert "bytecode" in roles(made)
    assert not trap.exists()
