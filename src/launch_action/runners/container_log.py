"""A container's output while it runs, whole even where the connection to its engine is not.

A connection may break, or be forgotten by a network between, while the job goes on. What follows is
then read from the log that the engine keeps, after the bytes that were seen before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import RunError
from launch_action.core.ports import Reporter
from launch_action.engine import engine_errors, explanation
from launch_action.runners.log import Lines

if TYPE_CHECKING:
    from docker.models.containers import Container

# Seconds after which an engine that does not answer is given up: a restart of it takes less, and
# with `live-restore` the job goes on meanwhile.
_PATIENCE = 30.0
# Seconds between two looks at a container while its output is waited for.
_POLL = 5.0
# Seconds at most from the end of the output to the end of the container, and the other way.
_AT_ONCE = 0.5
_SOON = 3.0
# Seconds to another attempt to read the engine's log.
_AGAIN = 1.0
# Seconds without a byte after which the engine's log is asked for anew.
_SILENCE = 300.0
# Seconds for the container's state: a connection that a network has forgotten answers never.
_STATE = 10.0
_HEADER = 8


@dataclass(slots=True)
class ContainerLog:
    """The output of a container, read in one thread, and how it goes on, asked in another.

    `stream` yields pairs of standard output and error; `seen` counts the bytes of each.
    """

    container: Container
    reporter: Reporter
    stream: Any
    seen: list[int] = field(default_factory=lambda: [0, 0])
    _finished: threading.Event = field(default_factory=threading.Event)
    _cut: threading.Event = field(default_factory=threading.Event)
    _abandoned: threading.Event = field(default_factory=threading.Event)
    _polled: float = field(default_factory=time.monotonic)
    _failing: float | None = None
    # The engine's log was read to its end.
    _whole: bool = False

    @classmethod
    def attached(cls, container: Container, reporter: Reporter) -> ContainerLog:
        """Attach to a container that is not started yet, so that nothing is missed."""
        with engine_errors("the engine does not give the job's log"):
            stream = container.attach(stdout=True, stderr=True, stream=True, demux=True)
        return cls(container, reporter, stream)

    def lines(self) -> Generator[bytes, None, None]:
        """Whole lines of both outputs, until the container has ended."""
        ready: list[bytes] = []
        streams = (Lines(ready.append), Lines(ready.append))
        try:
            for which, piece in self._pieces():
                streams[which].feed(piece)
                yield from ready
                ready.clear()
            for lines in streams:
                lines.close()
            yield from ready
        finally:
            self._finished.set()

    def exit_code(self) -> int:
        """The code of a container whose output has ended. Raises RunError when it is lost."""
        state = self._state()
        if state.get("OOMKilled"):
            self.reporter.warning("the job, or a part of it, was killed for want of memory")
        return int(state.get("ExitCode", 0))

    def poll(self) -> None:
        """See every few seconds whether the output is still to be waited for. Raises RunError."""
        now = time.monotonic()
        if now - self._polled < _POLL:
            return
        self._polled = now
        try:
            running = self._is_running(now)
        except RunError:
            self.abandon()
            raise
        if not running:
            self.settle(_SOON)

    def settle(self, seconds: float) -> None:
        """The container has ended: its output has to end within `seconds`, or is read anew."""
        if not self._finished.wait(seconds):
            self._cut.set()
            self._close()

    def abandon(self) -> None:
        """Wait for nothing any more."""
        self._abandoned.set()
        self._close()

    def _pieces(self) -> Iterator[tuple[int, bytes]]:
        for parts in self.stream:
            for which, part in enumerate(parts):
                if part:
                    self.seen[which] += len(part)
                    yield which, part
        if self._has_ended_with_it():
            return
        told = False
        while self._state()["Running"] or not self._whole:
            for missed in self._missed():
                if not told:
                    self.reporter.warning("the job's log broke off; the engine's own is read on")
                told = True
                yield missed
            if self._abandoned.wait(0 if self._whole else _AGAIN):
                return

    def _has_ended_with_it(self) -> bool:
        """Whether the container ended when its output did; a connection is cut at other times."""
        from docker.errors import APIError
        from requests.exceptions import RequestException

        try:
            self.container.wait(timeout=_AT_ONCE)
        except (RequestException, APIError):
            return False
        return not self._cut.is_set()

    def _missed(self) -> Iterator[tuple[int, bytes]]:
        """What the engine's log has after what was seen, and what comes, until it breaks too."""
        left = list(self.seen)
        for which, piece in self._recorded():
            passed = min(left[which], len(piece))
            left[which] -= passed
            if len(piece) > passed:
                self.seen[which] += len(piece) - passed
                yield which, piece[passed:]

    def _recorded(self) -> Iterator[tuple[int, bytes]]:
        """The engine's log from its beginning, and on. Source: Docker's API, ContainerAttach."""
        from requests.exceptions import RequestException
        from urllib3.exceptions import HTTPError

        wanted = {"follow": 1, "stdout": 1, "stderr": 1}
        given: dict[str, Any] = {"params": wanted, "stream": True, "timeout": _SILENCE}
        try:
            with asked(self.container, "logs", **given) as answer:
                if answer.status_code != 200:
                    self._wait_blindly(answer.text)
                    return
                while header := answer.raw.read(_HEADER):
                    length = int.from_bytes(header[4:], "big")
                    yield header[0] - 1, answer.raw.read(length)
                self._whole = True
        except (RequestException, HTTPError):
            return

    def _wait_blindly(self, said: str) -> None:
        """The engine keeps no log (driver `none`): wait for the container alone."""
        self.reporter.warning(f"the engine has no log to read on: {' '.join(said.split())[:200]}")
        while self._state()["Running"] and not self._abandoned.wait(_POLL):
            pass
        self._whole = True

    def _is_running(self, now: float) -> bool:
        """Whether it runs, or has to be taken for running while the engine does not answer."""
        from requests.exceptions import RequestException

        try:
            running = bool(self._inspected()["Running"])
        except RequestException as error:
            self._failing = self._failing or now
            if time.monotonic() - self._failing < _PATIENCE:
                return True
            raise _lost(error) from error
        self._failing = None
        return running

    def _state(self) -> dict[str, Any]:
        """The container's state, asked again while the engine is restarted. Raises RunError."""
        from requests.exceptions import RequestException

        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._inspected()
            except RequestException as error:
                if time.monotonic() > until or self._abandoned.wait(1.0):
                    raise _lost(error) from error

    def _inspected(self) -> dict[str, Any]:
        """Raises RunError when the container is gone, RequestException without an engine."""
        answer = asked(self.container, "json", timeout=_STATE)
        if answer.status_code == 404:
            raise RunError(
                f"the job's container {self.container.name} was removed while it ran",
                hint="`docker events` tells by whom; run the job again",
            )
        if answer.status_code != 200:
            raise RunError(
                f"the engine does not say how the job is: {' '.join(answer.text.split())[:500]}",
                hint="see the engine's own log",
            )
        found: dict[str, Any] = answer.json()["State"]
        return found

    def _close(self) -> None:
        # The SDK shuts the socket down, which wakes the thread that reads it.
        with suppress(Exception):
            self.stream.close()


def asked(container: Container, what: str, *, post: bool = False, **given: Any) -> Any:
    """The engine's answer (of `requests`) to a question about a container.

    Not through the SDK's methods: they have no time limit of their own, nor both outputs apart.
    """
    api: Any = container.client.api  # type: ignore[union-attr]
    url = f"{api.base_url}/v{api.api_version}/containers/{container.id}/{what}"
    return api.post(url, **given) if post else api.get(url, **given)


def _lost(error: Exception) -> RunError:
    return RunError(
        f"the engine lost the job: {explanation(error)}",
        hint="see whether the engine runs, and its log; what is left is removed by the next run",
    )
