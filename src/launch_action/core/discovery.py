"""Which jobs of a launch file changed between two commits, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from launch_action.core.context import TreeFile
from launch_action.core.dataclass import dataclass
from launch_action.core.launch_file import ListedJob
from launch_action.core.plan import LaunchPlan

_TOLD = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a job: it changed where there are reasons."""

    key: str
    job_name: str
    reasons: tuple[str, ...] = ()

    def document(self) -> dict[str, object]:
        """As `--json` has it."""
        return {
            "key": self.key,
            "job_name": self.job_name,
            "changed": bool(self.reasons),
            "reasons": list(self.reasons),
        }


def matrix(verdicts: Sequence[Verdict]) -> dict[str, list[dict[str, str]]]:
    """GitHub's matrix of the jobs that changed; nothing else is in it, for it names the legs."""
    return {"include": [{"job": one.key} for one in verdicts if one.reasons]}


def differences(
    before: tuple[ListedJob, LaunchPlan], after: tuple[ListedJob, LaunchPlan]
) -> tuple[str, ...]:
    """Why the job is not what it was: its options, and what decides its image (its build key).

    Both plans are made for one base image, one platform and one day.
    """
    return (*_options(before[0], after[0]), *_builds(before[1], after[1]))


def _options(before: ListedJob, after: ListedJob) -> Iterator[str]:
    names = sorted(before.values.keys() | after.values.keys())
    changed = [name for name in names if before.values.get(name) != after.values.get(name)]
    if changed:
        yield f"its options: {_some(changed)}"


def _builds(before: LaunchPlan, after: LaunchPlan) -> Iterator[str]:
    if before.build.content != after.build.content:
        yield f"files of its build context: {_some(changed_files(before, after))}"
    if before.build.python.version != after.build.python.version:
        yield f"Python {before.build.python.version or '?'} to {after.build.python.version or '?'}"
    if before.schema != after.schema:
        yield "the schema of its inputs"
    same_files = before.build.content == after.build.content
    if same_files and before.build.recipe != after.build.recipe:
        yield "what its image is built with"
    if before.job_name != after.job_name:
        yield f"its name, which was {before.job_name}"


def changed_files(before: LaunchPlan, after: LaunchPlan) -> list[str]:
    """The files that differ, by their paths in the build context."""
    return unequal(_by_path(before.build.files), _by_path(after.build.files))


def _by_path(files: Sequence[TreeFile]) -> dict[str, tuple[str, str]]:
    return {file.path: (file.kind, file.content) for file in files}


def unequal(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """The names that are not there twice with the same value, sorted."""
    return sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))


def matched(patterns: Sequence[str], changed: Collection[str]) -> tuple[str, ...]:
    """The reason where patterns as in .gitignore match what changed in the repository."""
    from pathspec import GitIgnoreSpec

    found = sorted(GitIgnoreSpec.from_lines(patterns).match_files(changed))
    return (f"files of its `paths`: {_some(found)}",) if found else ()


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return ", ".join(names[:_TOLD]) + more
