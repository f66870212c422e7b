"""A plan as a list of steps, for people and programs: what `--dry-run` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from launch_action.core.dataclass import dataclass
from launch_action.core.job import CodeSource, GitSource
from launch_action.core.plan import LaunchPlan

if TYPE_CHECKING:
    from launch_action.core.layers_plan import LayersPlan
    from launch_action.core.plan import BuildPlan


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the plan, for people and programs."""

    name: str
    detail: str


def describe(plan: LaunchPlan) -> list[dict[str, Any]]:
    """The steps as JSON objects."""
    return [{"step": step.name, "detail": step.detail} for step in steps(plan)]


def steps(plan: LaunchPlan) -> tuple[Step, ...]:
    """The plan as a list of steps."""
    store = plan.store
    found = [
        Step("source", f"{_origin(plan)}, {_context(plan)}"),
        Step("job", f"{plan.job_name}, entry point {' '.join(plan.build.entrypoint)}"),
        *_build_steps(plan.build),
        Step("push" if store.kind == "registry" else "store", store.name),
        *([Step("alias", ", ".join(plan.aliases))] if plan.aliases or not plan.held else []),
    ]
    if plan.attest.wanted:
        found.append(Step("attest", ", ".join(plan.attest.wanted)))
    if plan.run:
        found.append(Step("queue", plan.queue) if plan.queue else Step("run", "the job version"))
    if plan.held:
        found.append(Step("alias", f"{', '.join(plan.held.shown)}, if the run goes well"))
    return tuple(found)


def _origin(plan: LaunchPlan) -> str:
    match plan.source:
        case GitSource():
            return f"{plan.source.remote} at {plan.source.commit[:12]}"
        case CodeSource():
            return f"artifact {plan.source.artifact}"
        case _:
            assert_never(plan.source)


def _context(plan: LaunchPlan) -> str:
    files = plan.build.files
    place = f"directory {plan.source.build_context}" if plan.source.build_context else "root"
    return f"{place}, {len(files)} files of {sum(f.size for f in files)} bytes"


def _build_steps(build: BuildPlan) -> list[Step]:
    platforms = ", ".join(map(str, build.platforms))
    how = Step("build", f"{build.builder}: {build.reason}")
    match build.builder:
        case "layers":
            return [Step("base", f"{build.base}, for {platforms}"), *_python_steps(build), how]
        case "buildkit":
            bases = ", ".join(build.bases) or "scratch"
            inner = _python_steps(build.generated) if build.generated else []
            return [Step("base", f"{bases}, for {platforms}"), *inner, how]
        case _:
            assert_never(build)


def _python_steps(build: LayersPlan) -> list[Step]:
    as_of = f", as of {build.cutoff}" if build.cutoff else ""
    return [
        Step("python", f"{build.python.version} ({build.python.source})"),
        Step("dependencies", f"{build.dependencies.main or 'none: the code alone'}{as_of}"),
    ]
