"""What a launch tells a program: the action's outputs, which are the keys of `--json` with `-`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import LaunchError


@dataclass(frozen=True, slots=True)
class Output:
    """One output; `name` is its key in `--json`."""

    name: str
    help: str

    @property
    def action_name(self) -> str:
        """Its kebab-case name in action.yml."""
        return self.name.replace("_", "-")


OUTPUTS = (
    Output("job", "Job version, as `repository@digest`."),
    Output("job_name", "Name of the job."),
    Output("job_digest", "Digest of the job version."),
    Output("image", "Image, as `repository@digest`."),
    Output("digest", "Digest of the image: the platform's manifest, or the index of several."),
    Output("tags", "Aliases of the job version, one per line."),
    Output("pushed", "Whether the job version is in a registry."),
    Output("cache_hit", "Whether an image of the same build key was there before."),
    Output(
        "wandb_job",
        "Job version at W&B to launch, as `entity/project/name:v3`: the image job where there is "
        "one, else the blueprint; with a queue the one that it got.",
    ),
    Output("wandb_job_url", "Page of that job version at W&B."),
    Output("run_id", "Identifier of the run."),
    Output(
        "run_status",
        "How it ended: succeeded, failed, timeout, cancelled, skipped; or running.",
    ),
    Output("run_exit_code", "Exit code of the job itself."),
    Output("run_url", "Page of the run."),
    Output("metrics", "Metrics that the run left, as a JSON object."),
    Output("metadata", "Source, build key, base, timings and bytes, as a JSON object."),
)
_NAMES = frozenset(output.name for output in OUTPUTS)


class Outcome:
    """The outputs of one run of this program, filled as they become known."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {output.name: None for output in OUTPUTS}

    def announce(self, found: Mapping[str, Any]) -> None:
        """Take what became known. `metadata` objects are merged, everything else is replaced."""
        unknown = set(found) - _NAMES
        if unknown:
            raise AssertionError(f"BUG: not outputs: {sorted(unknown)}")
        for name, value in found.items():
            known = self.values[name]
            merge = name == "metadata" and isinstance(known, dict)
            self.values[name] = {**known, **value} if merge else value

    def document(self, error: LaunchError | None = None) -> dict[str, Any]:
        """The one JSON document: every key always there, and `error` where there was one."""
        return dict(self.values) if error is None else {**self.values, "error": described(error)}


def described(error: LaunchError) -> dict[str, Any]:
    """An error as the JSON document has it."""
    return {
        "code": error.code,
        "exit": error.exit_code,
        "message": error.message,
        "hint": error.hint,
    }


def output_text(value: Any) -> str:
    """An output as GitHub takes it: lists a line each, objects as JSON, unknown as nothing."""
    import json

    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "\n".join("" if one is None else str(one) for one in value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
