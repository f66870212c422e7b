"""Brings a job's output from its container to this machine, through the engine's archive API.

So it works with an engine that does not see this machine's directories, and whoever the job was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any

from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import RunError
from launch_action.core.ports import Reporter
from launch_action.engine import ANSWER, engine_errors
from launch_action.runners.container import OUTPUTS, JobContainer
from launch_action.runners.container_log import asked
from launch_action.runners.output_archive import TruncatedError, Unpacked, unpack_output
from launch_action.runners.outputs import LOG
from launch_action.runners.supervise import Ended, Interruption

# What a job's own file of the name of its log is called here.
_ITS_LOG = f"{LOG}.job"
# What W&B's SDK links to its own log in every run's directory: nobody misses it.
_OF_THE_SDK = re.compile(r"/wandb/(?:offline-)?run-[^/]+/logs/debug-core\.log$")
_CHUNK = 1024 * 1024
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Collection:
    """A container that has ended, and where its output goes; a further signal ends the copying."""

    job: JobContainer
    outputs: Path
    noted: Interruption
    reporter: Reporter

    def collect(self, ended: Ended) -> tuple[Ended, RunError | None]:
        """Copy the output; how the run ended, and why the output is not here as a whole.

        What could not be copied stays where it is: the container is kept, and named in the error.
        """
        before = self.noted.count
        try:
            found = self._unpacked(lambda: self.noted.count > before)
        except (OSError, TruncatedError, RunError) as error:
            self.job.keep = not self.job.is_gone()
            return ended, self._incomplete(ended, error)
        self._tell(found)
        if self.noted.count > before:
            ended = replace(ended, status="cancelled", signal=self.noted.number)
        return ended, None

    def _unpacked(self, stop: Callable[[], bool]) -> Unpacked:
        with (
            self.reporter.transfer("output", 0) as advance,
            # An engine holds on to a container whose archive is not read to its end.
            closing(self._archive(advance)) as archive,
        ):
            return unpack_output(
                archive,
                self.outputs,
                root=OUTPUTS.strip("/"),
                renamed={LOG: _ITS_LOG},
                stop=stop,
            )

    def _archive(self, advance: Callable[[int], None]) -> Generator[bytes, None, None]:
        given: dict[str, Any] = {"params": {"path": OUTPUTS}, "stream": True, "timeout": ANSWER}
        with (
            engine_errors("the engine does not give it"),
            asked(self.job.container, "archive", **given) as answer,
        ):
            if answer.status_code != HTTPStatus.OK:
                raise RunError(
                    f"the engine does not give it: {' '.join(answer.text.split())[:500]}",
                    hint="see the engine's own log",
                )
            for chunk in answer.iter_content(_CHUNK):
                advance(len(chunk))
                yield chunk

    def _incomplete(self, ended: Ended, error: Exception) -> RunError:
        name = self.job.name
        kept = f"it is kept for a day: `docker cp {name}:{OUTPUTS} DIR`, `docker rm -f -v {name}`"
        gone = f"somebody removed the container {name}, as `docker events` tells"
        return RunError(
            f"the job ended with exit code {ended.exit_code}, but its output cannot be brought to "
            f"{str(self.outputs)!r}: {getattr(error, 'strerror', None) or error}",
            hint=kept if self.job.keep else gone,
        )

    def _tell(self, found: Unpacked) -> None:
        if found.stopped:
            self.reporter.warning(
                f"interrupted: the output in {str(self.outputs)!r} is not complete"
            )
        left_out = [(name, why) for name, why in found.left_out if not _OF_THE_SDK.search(name)]
        if left_out:
            shown = "; ".join(f"{name!r} {why}" for name, why in left_out[:_SHOWN])
            self.reporter.warning(f"left out of the output ({len(left_out)}): {shown}")
