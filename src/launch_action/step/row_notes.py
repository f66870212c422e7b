"""Keeps rows of reports in the stores of their jobs, under tags that nobody else writes to."""

from __future__ import annotations

import json
from contextlib import suppress

from launch_action.core.errors import LaunchError
from launch_action.core.notes import ROW_NOTE, put_note, read_note, row_tag
from launch_action.core.preview_row import Row, read_row
from launch_action.core.reference import Repository, Tag
from launch_action.planning.workplace import Workplace


class RowNotes:
    """A Keeping of rows in registries. It never fails: a note is only of use to others."""

    def __init__(self, place: Workplace, pull_request: int, workflow: str) -> None:
        self._place = place
        self._pull_request = pull_request
        self._workflow = workflow
        self._kept: dict[str, int] = {}
        self._theirs: set[str] = set()  # legs of which a later run keeps a row

    def keep(self, row: Row) -> None:
        """Keep a row in its store, unless that was done, or a later run keeps one there."""
        if not row.store or row.key in self._theirs or self._kept.get(row.key) == row.at:
            return
        with suppress(LaunchError):
            if row.key not in self._kept and (there := self.fetch(row)) and there.run > row.run:
                self._theirs.add(row.key)
                return
            text = json.dumps(row.document(), separators=(",", ":"), ensure_ascii=False)
            content = self._place.registries.open(Repository.parse(row.store), writable=True)
            put_note(content, self._tag(row), ROW_NOTE, text)
            self._kept[row.key] = row.at

    def fetch(self, row: Row) -> Row | None:
        """What is kept of another leg's row; from this step's own registry alone."""
        with suppress(LaunchError, ValueError, RecursionError):
            there = Repository.parse(row.store) if row.store else None
            if there is None or there.registry != self._registry:
                return None
            text = read_note(self._place.registries.open(there), self._tag(row), ROW_NOTE)
            found = read_row(json.loads(text)) if text else None
            return found if found and found.key == row.key else None
        return None

    @property
    def _registry(self) -> str:
        image = self._place.inputs.image.lower()
        return Repository.parse(image).registry if image else ""

    def _tag(self, row: Row) -> Tag:
        return row_tag(self._pull_request, self._workflow, row.key)
