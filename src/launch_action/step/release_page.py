"""The page of a tag's GitHub Release as a listener: it gets a section for every released job."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence
from typing import Any

from launch_action.core.errors import Interrupted, LaunchError, ServiceError
from launch_action.core.legs import Leg, Values, succeeded
from launch_action.core.ports import Reporter
from launch_action.core.release_section import Released, with_sections
from launch_action.github.api import GitHubApi
from launch_action.github.releases import LIMIT, Releases

# Seconds in which jobs that release at the same time undo each other's writing, at most.
_PATIENCE = 60.0
_SHORTEST, _LONGEST = 1.0, 8.0


class ReleasePage:
    """A Listener (core.legs) that writes when all legs have ended. A release is never made by it.

    GitHub changes no text on a condition, so that what was written is read again: another job of
    the workflow may have written at the same time.
    """

    def __init__(self, api: GitHubApi, tag: str, reporter: Reporter) -> None:
        self._api = api
        self._releases = Releases(api)
        self._tag = tag
        self._reporter = reporter
        self._lock = threading.Lock()
        self._released: dict[str, Released] = {}
        self._interrupted = False

    def begin(self, legs: Sequence[Leg]) -> None:
        """Nothing is released yet."""

    def start(self, leg: Leg) -> None:
        """Nothing is released yet."""

    def known(self, leg: Leg, values: Values) -> None:
        """A page tells of what is done."""

    def end(self, leg: Leg, values: Values, error: LaunchError | None) -> None:
        """Keep what is to be told of a leg that did all that was asked of it."""
        with self._lock:
            self._interrupted = self._interrupted or isinstance(error, Interrupted)
            if succeeded(values, error) and values["pushed"] and values["job"]:
                self._released[leg.key] = _released(leg, values)

    def close(self) -> None:
        """Write. Raises ServiceError where GitHub does not take it."""
        try:
            if self._released and not self._interrupted:
                self._write()
        finally:
            self._api.close()

    def _write(self) -> None:
        deadline, wait = time.monotonic() + _PATIENCE, _SHORTEST
        jobs = list(self._released.values())
        written = False
        while True:
            release = self._releases.of_tag(self._tag)
            if release is None:
                self._reporter.info(f"tag {self._tag!r} has no GitHub Release to tell of the job")
                return
            body = with_sections(release.body, jobs)
            if body == release.body:
                if written:
                    self._reporter.info(f"release {self._tag!r} names image and job: {release.url}")
                return
            if len(body) > LIMIT:
                raise ServiceError(
                    f"the text of release {self._tag!r} would have {len(body)} characters, and "
                    f"GitHub takes {LIMIT}",
                    hint="shorten it by hand, and run the job again",
                )
            self._releases.edit(release, body)
            written = True
            if time.monotonic() + 2 * wait > deadline:
                raise ServiceError(
                    f"the text of release {self._tag!r} is changed by others again and again",
                    hint="run the job again when they have ended",
                )
            time.sleep(wait * (1 + secrets.randbelow(1000) / 1000))
            wait = min(wait * 1.3, _LONGEST)


def _released(leg: Leg, values: Values) -> Released:
    metadata: dict[str, Any] = values["metadata"] or {}
    found = metadata.get("release") or {}
    title = str(values["job_name"] or leg.key)
    return Released(
        key=leg.key or title,
        title=leg.key or title,
        job=str(values["job"]),
        image=str(values["image"] or ""),
        aliases=tuple(found.get("aliases") or ()),
        commit=str(metadata.get("commit") or ""),
        sboms=tuple((one["platform"], one["url"]) for one in found.get("sboms") or ()),
    )
