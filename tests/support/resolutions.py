"""An index of a test, and the environments that are made with it, as fixtures."""

from __future__ import annotations

from support.dependencies import AMD64, Project

from launch_action.builders.layers.lock import Resolution
from launch_action.builders.layers.target import Target


def whole(project: Project, target: Target = AMD64) -> Resolution:
    """The resolution with what has no wheel built."""
    return project.builder(target).complete(project.resolve(target))


def names(found: Resolution) -> list[str]:
    return list(found.frozen)
