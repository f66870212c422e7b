"""A plan for the `layers` builder without anything in it, and a base for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from support.bases import AMD64

from launch_action.core.base import BaseFacts, PythonFacts, RegistryBase
from launch_action.core.context import TreeFile
from launch_action.core.dependency_inputs import DependencyInputs
from launch_action.core.layers_plan import LayersPlan
from launch_action.core.python_version import PythonChoice
from launch_action.core.reference import Reference

FACTS = BaseFacts(
    name="python:3.11-slim",
    identity="sha256:" + "1" * 64,
    platform=AMD64,
    python=PythonFacts("3.11.8", "/usr/local/bin/python3.11"),
    libc="glibc",
    libc_version="2.36",
    created="2024-01-01T00:00:00Z",
)
PLAN = LayersPlan(
    builder="layers",
    reason="",
    platforms=(AMD64,),
    base=RegistryBase(Reference.parse("python:3.11-slim")),
    python=PythonChoice("3.11", ""),
    dependencies=DependencyInputs("none"),
    dependency_key="d",
    cutoff=None,
    entrypoint=("python", "train.py"),
    files=(),
    content="",
    compile=None,
    recipe="r",
)


class Empty:
    """A build context without files."""

    files: tuple[TreeFile, ...] = ()

    def read(self, path: str) -> bytes | None:
        return None

    def contents(self, files: Iterable[TreeFile]) -> Iterator[tuple[TreeFile, Iterator[bytes]]]:
        return iter(())
