"""Compares a leg's version with that of the base branch: size, layers, packages, metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from launch_action.core.comparison import requirement_changes
from launch_action.core.concurrency import BackgroundCall
from launch_action.core.dataclass import dataclass, field, replace
from launch_action.core.image import Descriptor
from launch_action.core.legs import Leg, Values
from launch_action.core.plan import layout_folder
from launch_action.core.ports import Content, read_blob
from launch_action.core.preview_row import Base, Row, Scalar, compared
from launch_action.core.reference import Digest, Repository, Tag
from launch_action.core.run_note import kept_metrics
from launch_action.core.store import JobStore
from launch_action.core.version import JobVersion
from launch_action.planning.workplace import Workplace

_FROZEN_LIMIT = 16 * 1024 * 1024
_LONGEST = 20.0  # seconds that are waited for the base, once the leg's own version is there


@dataclass(frozen=True, slots=True)
class Facts:
    """What is compared of a version. `layers` are sizes in bytes by digest."""

    version: JobVersion
    layers: Mapping[Digest, int]
    frozen: Descriptor
    content: Content

    @classmethod
    def read(cls, content: Content, version: JobVersion) -> Facts:
        """Raises StoreError, and what the content raises."""
        store = JobStore(content)
        layers = {one.digest: one.size for m in store.images(version) for one in m.layers()}
        return cls(version, layers, store.frozen(version), content)

    @property
    def image(self) -> str:
        """The digest that the outputs name it by: of several platforms the index."""
        images = self.version.images
        return str(images[0].digest if len(images) == 1 else self.version.digest)

    def packages(self) -> bytes:
        return read_blob(self.content, self.frozen, _FROZEN_LIMIT)


@dataclass(frozen=True, slots=True)
class Earlier:
    """What there was before the leg: the base's version under its alias, and layers to reuse."""

    name: str = ""
    base: Facts | None = None
    metrics: Mapping[str, Scalar] = field(default_factory=dict)
    layers: frozenset[Digest] = frozenset()


def earlier(content: Content, aliases: Sequence[Tag], previous: Sequence[Tag]) -> Earlier:
    """Read the first of the aliases that there is, and the layers behind the previous ones.

    Raises StoreError, and what the content raises.
    """
    store = JobStore(content)
    layers = {one.digest for m in store.previous(previous) for one in m.layers()}
    for alias in aliases:
        version = store.find(alias)
        if version is not None and version.job is not None:
            facts = Facts.read(content, version)
            metrics = kept_metrics(content, version.digest)
            return Earlier(alias, facts, metrics, frozenset(layers | facts.layers.keys()))
    return Earlier(layers=frozenset(layers))


def applied(row: Row, version: Facts, before: Earlier) -> Row:
    """The row with the size of its image and everything that differs from the base."""
    found = replace(
        row,
        size=sum(version.layers.values()) if version.layers else None,
        reused=row.reused or _reused(version.layers, before.layers),
    )
    base = before.base
    if base is None:
        return found
    same = base.frozen.digest == version.frozen.digest
    return replace(
        found,
        base=Base(
            name=before.name,
            commit=base.version.commit,
            image=base.image if base.layers else "",
            size=sum(base.layers.values()) if base.layers else None,
        ),
        changes=() if same else requirement_changes(base.packages(), version.packages()),
        metrics=compared({one.name: one.value for one in row.metrics}, before.metrics),
    )


def _reused(layers: Iterable[Digest], known: frozenset[Digest]) -> str:
    mine = set(layers)
    return f"{len(mine & known)} of {len(mine)} layers reused" if mine and known else ""


class Comparisons:
    """What the legs of a step are compared with; it is read beside their builds."""

    def __init__(self, place: Workplace, aliases: Sequence[Tag], previous: Sequence[Tag]) -> None:
        self._place = place
        self._aliases = aliases
        self._previous = previous
        self._begun: dict[str, BackgroundCall[Earlier]] = {}

    def begin(self, leg: Leg) -> None:
        """Read what there is before the leg's own version is there."""
        image = leg.inputs.image.lower()
        if image:
            place = replace(self._place, inputs=leg.inputs)
            self._begun[leg.key] = BackgroundCall(
                lambda: self._earlier(place, image), abandoned=True
            )

    def apply(self, leg: Leg, row: Row, values: Values) -> Row:
        """The row with what can be compared. Raises LaunchError where that cannot be read."""
        if not values["job"]:
            return row
        content = content_of(replace(self._place, inputs=leg.inputs), values)
        version = JobStore(content).load(values["job_digest"])
        return applied(row, Facts.read(content, version), self._found(leg))

    def _found(self, leg: Leg) -> Earlier:
        """What was read for the leg; nothing where it takes too long."""
        begun = self._begun.get(leg.key)
        return begun.result() if begun and begun.ended(_LONGEST) else Earlier()

    def _earlier(self, place: Workplace, image: str) -> Earlier:
        content = place.registries.open(Repository.parse(image))
        return earlier(content, self._aliases, self._previous)


def content_of(place: Workplace, values: Values) -> Content:
    """The store of a leg's version. Raises LaunchError where it cannot be opened."""
    name = str(values["job"]).partition("@")[0]
    if values["pushed"]:
        return place.registries.open(Repository.parse(name), writable=True)
    from launch_action.oci.layout import LayoutContent

    return LayoutContent(place.store_directory / layout_folder(name), name)
