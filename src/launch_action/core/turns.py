"""Whose turn an alias is of: no earlier workflow run takes back what a later one has set.

GitHub counts its runs upwards, and a run that is started again keeps its number. So whoever moves
an alias in a workflow notes its run under a hidden tag of the alias. A removed alias has such a
note too, so that a run of a pull request which is closed by now does not bring it back.

A registry changes no tag on a condition. An alias has several places for notes, so that runs at the
same time do not write over one another's: which is whose goes by the number of the run. All are
looked at before the alias is moved and once more afterwards; what a later run has set meanwhile is
put back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from launch_action.core.aliases import branch_alias, distinct_alias, may_collide
from launch_action.core.claims import Claims, Turn
from launch_action.core.concurrency import concurrently
from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import InputError
from launch_action.core.image import Manifest
from launch_action.core.notes import note_text, note_use, put_note, remove_note
from launch_action.core.ports import Content
from launch_action.core.reference import Digest, Tag
from launch_action.core.store import JobStore
from launch_action.core.version import JobVersion

TURN_NOTE = "application/vnd.launch-action.turn.v1+json"
# Of an alias; what one run at a time needs is one.
_PLACES = 4
_STARTED_AGAIN = 31 * 86400
# How often an earlier run may write over what a later one notes at the same time.
_PATIENCE = 10


@dataclass(frozen=True, slots=True)
class Taken:
    """What is noted of an alias: the run that set or removed it, and to which version.

    `version` and `commit` are empty for a removal, `branch` where the alias is no branch's.
    """

    alias: str
    turn: Turn
    version: str = ""
    commit: str = ""
    branch: str = ""

    def is_later(self, turn: Turn) -> bool:
        """Whether a later run of the same repository has set it; attempts of one run are equals."""
        return self.turn.origin == turn.origin and self.turn.run > turn.run


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who moves aliases in turn: `note` tells a person what stays, and why.

    `is_before` says, where no run is noted, whether a version's commit comes after ours: asked only
    when an earlier run is started again.
    """

    store: JobStore
    claims: Claims
    note: Callable[[str], None] = field(default=lambda _: None)
    is_before: Callable[[JobVersion], bool] = field(default=lambda _: False)

    def point(self, version: JobVersion, aliases: Sequence[Tag]) -> tuple[Tag, ...]:
        """Move those aliases that no later run has; those that name the version now.

        Raises StoreError, and what the content raises.
        """
        turn = self.claims.turn
        sure = tuple(tag for tag in aliases if turn is None or self._is_sure(tag))
        contested = tuple(tag for tag in aliases if tag not in sure)
        if turn is None or not contested or self._stand(turn, version, contested):
            self.store.point(version, sure)
            return tuple(aliases)
        known = self._free(turn, contested)
        wanted = tuple(known)
        new = [tag for tag, taken in known.items() if not _is_of(taken, turn, version)]
        record(self.store.content, turn, version, new, self.claims.branch)
        # What they name now: whoever moves one from here on looks at the note afterwards.
        concurrently(self.store.find, new)
        self.store.meet(wanted)
        moved = [tag for tag in wanted if self.store.met(tag) != version]
        self.store.point(version, (*sure, *wanted))
        lost = self._given_back(turn, version, moved)
        got = {*sure, *wanted} - lost
        if not got - set(sure):
            note_use(self.store.content, version.digest, turn.at)
        return tuple(tag for tag in dict.fromkeys((*aliases, *wanted)) if tag in got)

    def _stand(self, turn: Turn, version: JobVersion, aliases: Sequence[Tag]) -> bool:
        """Whether all of these name the version already, and no earlier run will change that.

        So it is of a run that changes nothing. All there is to write is that it has set them too,
        and all there is to read is that no later run has noted anything at the same place.
        """
        if any(self._names_of_branch(aliases)):
            return False
        self.store.meet(aliases)
        if any(self.store.met(tag) != version for tag in aliases):
            return False
        own = [turn_tag(tag, turn.origin, turn.number) for tag in aliases]
        found = [taken_of(one) for one in concurrently(self.store.content.get_manifest, own)]
        if any(taken and taken.is_later(turn) for taken in found):
            return False
        noted = zip(aliases, found, strict=True)
        new = [tag for tag, taken in noted if not _is_of(taken, turn, version)]
        record(self.store.content, turn, version, new, self.claims.branch)
        # Whoever moves one from here on sees the note afterwards.
        return all(current == version for current in concurrently(self.store.find, new))

    def _is_sure(self, tag: Tag) -> bool:
        return tag in self.claims.asked or tag.startswith("sha-")

    def _free(self, turn: Turn, aliases: Sequence[Tag]) -> dict[Tag, Taken | None]:
        """Those that may be moved; the branch's own where another branch has the plain one.

        Each with what is noted of it.
        """
        plain, own = self._names_of_branch(aliases)
        known = self._taken([*aliases, own] if own else aliases)
        wanted = list(aliases)
        if plain and own:
            taken, kept = known[plain], known[own]
            if taken and self._is_others(taken):
                self.note(f"alias {plain} is of branch {taken.branch!r}: this one's is {own}")
                wanted[wanted.index(plain)] = own
            elif kept and kept.version:
                wanted.append(own)  # what this branch ever had stays up to date
        return {tag: known[tag] for tag in wanted if self._may_move(tag, known[tag], turn)}

    def _names_of_branch(self, aliases: Sequence[Tag]) -> tuple[Tag | None, Tag | None]:
        """The branch's plain alias, and the one that it has where another branch has that."""
        branch = self.claims.branch
        if not branch or branch_alias(branch) not in aliases or not may_collide(branch):
            return None, None
        return branch_alias(branch), distinct_alias(branch)

    def _is_others(self, taken: Taken) -> bool:
        other = bool(taken.version and taken.branch and taken.branch != self.claims.branch)
        return other and self.store.find(Tag(taken.alias)) is not None

    def _may_move(self, tag: Tag, taken: Taken | None, turn: Turn) -> bool:
        if taken:
            if not taken.is_later(turn):
                return True
            self.note(f"alias {tag} is not moved: {_told(taken)}, later than this run {turn.run}")
            return False
        if turn.attempt == 1:
            return True
        current = self.store.find(tag)
        if current is None or not self.is_before(current):
            return True
        self.note(
            f"alias {tag} is not moved: commit {current.commit[:12]} is newer than that of this "
            "run, which is started again"
        )
        return False

    def _taken(self, aliases: Sequence[Tag]) -> dict[Tag, Taken | None]:
        origin = self.claims.turn.origin if self.claims.turn else ""
        found = read_taken(self.store.content, aliases, origin)
        return {tag: found.get(tag) for tag in aliases}

    def _given_back(self, turn: Turn, version: JobVersion, aliases: Sequence[Tag]) -> set[Tag]:
        """Those that a later run has set meanwhile, put back to what it set them to.

        What an earlier one has written over is written again, until it stands.
        """
        lost: set[Tag] = set()
        left = list(aliases)
        for _ in range(_PATIENCE):
            known = self._taken(left)
            for tag, taken in known.items():
                if taken and taken.is_later(turn):
                    lost.add(tag)
                    self.note(f"alias {tag} goes to {_told(taken)}, later than this run {turn.run}")
                    self._restore(tag, taken, version)
            left = [tag for tag, taken in known.items() if _is_overwritten(taken, turn)]
            if not left:
                break
            record(self.store.content, turn, version, left, self.claims.branch)
            for tag in left:
                self.store.content.put_manifest(version.index, tag)
        return lost

    def _restore(self, tag: Tag, taken: Taken, version: JobVersion) -> None:
        from launch_action.core.removal import Removal

        found = self.store.find(Tag(tag))
        if found is None or found.digest != version.digest:
            return
        theirs = self.store.content.get_manifest(Digest(taken.version)) if taken.version else None
        if theirs:
            self.store.content.put_manifest(theirs, tag)
        else:
            Removal(self.store.content, f"{taken.turn.run}-{tag}").alias(tag, version.digest)


def record(
    content: Content,
    turn: Turn,
    version: JobVersion | None,
    aliases: Sequence[Tag],
    branch: str = "",
) -> None:
    """Note that this run sets these aliases, or removes them (None). Raises what content raises."""
    plain = {branch_alias(branch), distinct_alias(branch)} if branch else set()
    notes = [
        Taken(
            tag,
            turn,
            str(version.digest) if version else "",
            version.commit if version else "",
            branch if tag in plain else "",
        )
        for tag in aliases
    ]
    for one in notes[:1]:  # which also brings the empty blob that all share
        _keep(content, one)
    concurrently(lambda one: _keep(content, one), notes[1:])


def record_removal(content: Content, turn: Turn, aliases: Sequence[Tag], branch: str = "") -> None:
    """Note that this run removes these aliases, in place of all that is noted of them before.

    Who reads all tags reads every note, and there may be many closed pull requests. Raises what the
    content raises.
    """
    record(content, turn, None, aliases, branch)
    own = {turn_tag(alias, turn.origin, turn.number) for alias in aliases}
    others = [tag for tag in _places(aliases, turn.origin) if tag not in own]
    found = map(taken_of, concurrently(content.get_manifest, others))
    for tag, taken in zip(others, found, strict=True):
        if taken and not taken.is_later(turn):
            remove_note(content, tag)


def read_taken(content: Content, aliases: Sequence[Tag], origin: str) -> dict[Tag, Taken]:
    """What is noted of these aliases last, by runs of this repository.

    Raises what the content raises.
    """
    places = _places(aliases, origin)
    notes = filter(None, map(taken_of, concurrently(content.get_manifest, places)))
    found: dict[Tag, Taken] = {}
    for one in sorted(notes, key=lambda one: (one.turn.run, one.turn.attempt)):
        if one.alias in aliases and one.turn.origin == origin:
            found[Tag(one.alias)] = one
    return found


def taken_of(manifest: Manifest | None) -> Taken | None:
    """What a manifest notes of an alias; None for any other manifest."""
    text = note_text(manifest, TURN_NOTE)
    try:
        found = json.loads(text) if text else None
        return _read(found) if isinstance(found, dict) else None
    except (ValueError, KeyError, TypeError, RecursionError, InputError):
        return None


def turn_tag(alias: str, origin: str, number: int) -> Tag:
    """Where the run of a repository that has this number notes that an alias is its."""
    mine = hashlib.sha256(f"{origin}\n{alias}".encode()).hexdigest()[:16]
    return Tag(f"turn-{mine}-{number % _PLACES}")


def _places(aliases: Sequence[Tag], origin: str) -> list[Tag]:
    return [turn_tag(alias, origin, place) for alias in aliases for place in range(_PLACES)]


def _keep(content: Content, taken: Taken) -> None:
    turn = taken.turn
    document = {
        "alias": taken.alias,
        "origin": turn.origin,
        "run": turn.run,
        "attempt": turn.attempt,
        "at": turn.at,
        "number": turn.number,
        "version": taken.version,
        "commit": taken.commit,
        "branch": taken.branch,
    }
    put_note(
        content, turn_tag(taken.alias, turn.origin, turn.number), TURN_NOTE, json.dumps(document)
    )


def _read(found: dict[str, Any]) -> Taken:
    numbers = [found[name] for name in ("run", "attempt", "at", "number")]
    texts = [found[name] for name in ("alias", "origin", "version", "commit", "branch")]
    if not all(type(one) is int for one in numbers) or not all(type(t) is str for t in texts):
        raise TypeError
    alias, origin, version, commit, branch = texts
    named = str(Digest(version)) if version else ""
    return Taken(alias, Turn(origin, *numbers), named, commit, branch)


def stale_turns(
    taken: Mapping[Tag, Taken], left: Collection[Tag], now: int, older_than: int | None
) -> tuple[Tag, ...]:
    """The notes, by their tags, of aliases that are no more, which no run can bring back by now.

    `left` are all aliases, times are in seconds. GitHub starts a run again for thirty days.
    """
    if older_than is None:
        return ()
    before = now - max(older_than, _STARTED_AGAIN)
    return tuple(
        tag for tag, one in taken.items() if one.alias not in left and one.turn.at <= before
    )


def _is_of(taken: Taken | None, turn: Turn, version: JobVersion) -> bool:
    """Whether it is noted already that this run has set an alias to the version."""
    return taken is not None and (taken.turn.run, taken.version) == (turn.run, version.digest)


def _is_overwritten(taken: Taken | None, turn: Turn) -> bool:
    """Whether an earlier run has written over what this one had noted."""
    return taken is None or taken.turn.run < turn.run


def _told(taken: Taken) -> str:
    what = f"set it to commit {taken.commit[:12] or 'none'}" if taken.version else "removed it"
    return f"run {taken.turn.run} {what}"
