"""The builder over a real store and cache: what is reused is what would be made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.bases import Remembered
from support.plans import FACTS, PLAN, Empty

from launch_action.builders.layers.base import Base
from launch_action.builders.layers.builder import LayersBuilder
from launch_action.builders.layers.interpreters import Interpreter
from launch_action.builders.layers.packages import Packages
from launch_action.builders.layers.writer import FORMAT
from launch_action.cache import Cache
from launch_action.core.base import BaseFacts, BaseReference, PythonFacts
from launch_action.core.compression import DEFAULT, Compression
from launch_action.core.image import OCI_LAYER_GZIP, OCI_LAYER_ZSTD, Manifest, Platform
from launch_action.oci.layout import LayoutContent

NEWER = replace(
    FACTS,
    identity="sha256:" + "2" * 64,
    python=PythonFacts("3.11.9", "/usr/local/bin/python3.11"),
)
REBUILT = replace(FACTS, identity="sha256:" + "3" * 64)


def none(minor: str) -> Iterator[Interpreter]:
    """The interpreters of a machine without one."""
    return iter(())


class Machine:
    """A store and a cache, and the builder over them."""

    def __init__(self, folder: Path) -> None:
        self.target = LayoutContent(folder / "store", "job")
        self.cache = Cache(folder / "cache")
        self.resolved = 0

    def build(
        self,
        facts: BaseFacts,
        previous: tuple[Manifest, ...] = (),
        compression: Compression = DEFAULT,
    ) -> Manifest:
        reporter = Remembered()

        def packages() -> Packages:
            self.resolved += 1
            return Packages(Empty(), self.cache, reporter, {})

        def base(_: BaseReference, platform: Platform, python: str, /) -> Base:
            return Base(facts)

        builder = LayersBuilder(Empty(), base, packages, self.cache, reporter, none)
        built = builder.prepare(replace(PLAN, compression=compression)).build(self.target, previous)
        found = self.target.get_manifest(built.images[0].digest)
        assert found
        return found


@pytest.mark.parametrize("facts", [NEWER, REBUILT])
def test_an_image_over_an_earlier_one_is_the_image_of_a_fresh_machine(
    tmp_path: Path, facts: BaseFacts
) -> None:
    used, fresh = Machine(tmp_path / "used"), Machine(tmp_path / "fresh")

    over = used.build(facts, previous=(used.build(FACTS),))

    assert over.descriptor.digest == fresh.build(facts).descriptor.digest


def test_a_rebuilt_base_with_the_same_python_resolves_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    first = machine.build(FACTS)

    second = machine.build(REBUILT, previous=(first,))

    assert machine.resolved == 1
    assert second.layers() == first.layers()


def test_layers_of_another_codec_are_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path)
    first = machine.build(FACTS)
    monkeypatch.setattr("launch_action.builders.layers.builder.FORMAT", f"{FORMAT}+1")

    machine.build(FACTS, previous=(first,))

    assert machine.resolved == 2


@pytest.mark.parametrize("other", ["gzip:9", "zstd", "zstd:19"])
def test_layers_of_another_compression_are_not_taken(tmp_path: Path, other: str) -> None:
    """Neither from an earlier image nor from the cache, and one beside the other is kept."""
    machine, fresh = Machine(tmp_path / "used"), Machine(tmp_path / "fresh")
    compression = Compression.parse(other)
    usual = machine.build(FACTS)

    found = machine.build(FACTS, (usual,), compression)

    assert found == fresh.build(FACTS, (), compression)
    assert machine.build(FACTS, (found,)) == usual
    assert machine.build(FACTS, (), compression) == found
    assert machine.resolved == 2
    kinds = {layer.media_type for layer in found.layers()}
    assert kinds == {OCI_LAYER_ZSTD if compression.kind == "zstd" else OCI_LAYER_GZIP}
