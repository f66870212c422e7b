"""What the `buildkit` builder needs of the world, put together by the shell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from launch_action.cache import Cache
from launch_action.core.base import BaseFacts, BaseReference
from launch_action.core.context import Context
from launch_action.core.dataclass import dataclass, field
from launch_action.core.image import Platform
from launch_action.core.layers_plan import LayersPlan
from launch_action.core.ports import Content, Reporter
from launch_action.core.reference import Repository

if TYPE_CHECKING:
    from launch_action.builders.layers.lock import LockedWheel

    # The wheels of a plan on a base, each with its file.
    Wheels = Callable[[LayersPlan, BaseFacts], Sequence[tuple[LockedWheel, Path]]]

Facts = Callable[[BaseReference, Platform, str], BaseFacts]
OpenLayout = Callable[[str], Content]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What builds the Dockerfile of one build context.

    `environment` is the caller's, `folder` where the paths of secrets count from. `repository` is
    the image's in its registry, empty for a local store; `private` says that only we were given
    the certificates of that, `plain` that it is spoken to over http. `logins` are user and
    password by registry. `place` names the Dockerfile for people. Where the event is not `trusted`,
    the build gets no secret and writes no cache.
    `facts` and `wheels` are for a generated Dockerfile.
    """

    context: Context
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    open_content: Callable[[Repository], Content]
    open_layout: OpenLayout
    cache: Cache
    reporter: Reporter
    facts: Facts
    wheels: Wheels
    repository: str = ""
    private: bool = False
    plain: bool = False
    logins: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    place: str = ""
    trusted: bool = True
