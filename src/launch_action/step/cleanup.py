"""The action's cleanup: what a closed pull request or a deleted branch leaves, or a sweep finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from launch_action.commands.cleaning import (
    Cleanup,
    age_policy,
    clean,
    close_preview,
    gone_aliases,
    open_pulls,
    remove_branch,
    warn_of_age,
)
from launch_action.commands.cleanup_cli import lines
from launch_action.core.claims import Turn
from launch_action.core.dataclass import dataclass, field, replace
from launch_action.core.errors import InputError, LaunchError, ServiceError
from launch_action.core.markdown import code, table
from launch_action.core.ports import Content
from launch_action.core.reference import Repository, Tag
from launch_action.core.sweep import Policy
from launch_action.github.api import GitHubApi
from launch_action.github.commands import WorkflowCommands
from launch_action.github.environment import GitHubContext
from launch_action.jobs.stored_jobs import local_stores
from launch_action.jobs.wandb_aliases import Forget, forgetting
from launch_action.launches.many_jobs import listed_repositories
from launch_action.planning.workplace import Workplace

Document = dict[str, Any]


def clean_up(commands: WorkflowCommands, place: Workplace, event: GitHubContext) -> int:
    """Do what the event asks for, tell it, and then raise what went wrong first, if anything.

    Raises InputError for a pull request that is open; the exit code is 0 otherwise.
    """
    closing = _Closing(place, event)
    try:
        if event.pull_request is not None and event.is_closed:
            closing.pull_request(event.pull_request)
        elif event.is_deleted:
            closing.branch(event.branch)
        elif event.pull_request is None:
            closing.sweep()
        else:
            raise InputError(
                f"pull request #{event.pull_request} is open: nothing of it is cleaned up",
                hint="run it for `types: [closed]`, or on a schedule for what is old",
            )
    finally:
        _tell(commands, place, closing.done)
    for error in closing.failed[1:]:
        place.reporter.warning(f"not cleaned either: {error.message}; {error.hint}")
    if closing.failed:
        raise closing.failed[0]
    return 0


@dataclass(frozen=True, slots=True)
class _Closing:
    """One cleanup; `done` are its documents, `failed` what repositories raised.

    `listed` says of repositories where their jobs are at W&B, as the launch file has it.
    """

    place: Workplace
    event: GitHubContext
    done: list[Document] = field(default_factory=list)
    failed: list[LaunchError] = field(default_factory=list)
    listed: dict[str, dict[str, str]] = field(default_factory=dict)

    def pull_request(self, number: int) -> None:
        """Everything that previews of a pull request have left, in stores and at GitHub."""
        policy = Policy(now=self.place.started, gone=frozenset({Tag(f"pr-{number}")}))
        self._clean(self._repositories(number), policy, closing=True)
        self._at_github(number)

    def branch(self, branch: str) -> None:
        """The alias of a deleted branch. A deleted tag's stays: it is a release's."""
        if not branch:
            self.place.reporter.info(f"tag {self.event.tag!r} is deleted, and its aliases stay")
            return

        turn = self._turn
        self._each(
            self._repositories(None),
            lambda content: remove_branch(content, branch, turn, self._forget(content)),
        )

    def sweep(self) -> None:
        """What is old; what GitHub says is open stays."""
        event, token = self.event, self.place.inputs.github_token
        asked = bool(token and event.repository)
        pulls: frozenset[int] | None = frozenset()
        if asked:
            pulls = open_pulls(event.repository, token, event.api_url, self.place)
        self._clean(self._repositories(None), age_policy(self.place, pulls))
        if not asked:
            warn_of_age(self.done, self.place)

    def _clean(self, contents: Sequence[Content], policy: Policy, *, closing: bool = False) -> None:
        turn = self._turn if closing else None

        def work(content: Content) -> Document:
            there = close_preview(content, policy, turn)
            return clean(content, Cleanup(there, forget=self._forget(content)))

        self._each(contents, work)

    def _forget(self, content: Content) -> Forget | None:
        """What takes aliases off at W&B; the step's own inputs win over the launch file."""
        place, said = self.place, self.listed.get(content.name, {})
        inputs = place.inputs

        def known(name: str) -> str:
            given = str(getattr(inputs, name))
            from_environment = given == place.environment.get(f"WANDB_{name.upper()}", "")
            return said.get(name, given) if from_environment else given

        named = replace(inputs, project=known("project"), entity=known("entity"))
        return forgetting(replace(place, inputs=named))

    def _each(self, contents: Sequence[Content], work: Callable[[Content], Document]) -> None:
        for content in contents:
            try:
                self.done.append(work(content))
            except LaunchError as error:
                self.failed.append(error)

    def _repositories(self, number: int | None) -> list[Content]:
        """Where previews were pushed to: what `image` says, and below it what the comment says.

        And where the jobs are that the checkout's launch file lists.
        """
        place = self.place
        self.listed.update(listed_repositories(place))
        named = {Repository.parse(one) for one in self.listed}
        if not place.inputs.image:
            found: list[Content] = [
                place.registries.open(one, writable=True) for one in sorted(named)
            ]
            return found or list(local_stores(place))
        image = Repository.parse(place.inputs.image.lower())
        named.add(image)
        if number is not None and self._speaks:
            with self._forgiving("its jobs are looked for in the image repository alone"):
                named |= {one for one in self._said(number) if _is_below(one, image)}
        return [place.registries.open(one, writable=True) for one in sorted(named)]

    def _said(self, number: int) -> Iterator[Repository]:
        """The repositories that the comments on a pull request name; people can edit those."""
        from launch_action.core.preview_comment import ANY_MARKER, read_report
        from launch_action.github.comments import Comments

        with self._api() as api:
            for comment in Comments(api, number).marked(ANY_MARKER):
                for row in read_report(comment.body).rows:
                    if row.store:
                        yield Repository.parse(row.store)

    def _at_github(self, number: int) -> None:
        """Have the deployments and the comment say that it is over."""
        inputs = self.place.inputs
        if inputs.deployment and self._speaks:
            from launch_action.github.deployment import Deployments

            with self._forgiving("the deployments stay as they are"), self._api() as api:
                count = Deployments(api, self.event.run_url).deactivate(number)
                self.place.reporter.info(f"deployments made inactive: {count}")
        # What says that it is removed is true.
        if inputs.comment and self._speaks and not self.failed:
            from launch_action.step.listeners import page_of
            from launch_action.step.preview_board import mark_removed

            with self._forgiving("the comment stays as it is"), self._api() as api:
                mark_removed(api, number, page_of(self.event))

    @property
    def _turn(self) -> Turn | None:
        return self.event.turn(self.place.started)

    @property
    def _speaks(self) -> bool:
        """Whether GitHub can be asked and told anything."""
        return bool(self.place.inputs.github_token and self.event.repository)

    def _api(self) -> GitHubApi:
        token = self.place.inputs.github_token
        return GitHubApi(self.event.repository, token=token, api_url=self.event.api_url)

    @contextmanager
    def _forgiving(self, consequence: str) -> Iterator[None]:
        """What GitHub refuses is a warning: the store is what has to be cleaned."""
        try:
            yield
        except (ServiceError, InputError) as error:
            self.place.reporter.warning(f"{error.message}; {consequence}; {error.hint}")


def _is_below(repository: Repository, image: Repository) -> bool:
    """Whether it is a job's repository of this image's, and no other that somebody wrote there."""
    return repository.registry == image.registry and repository.path.startswith(f"{image.path}/")


def _tell(commands: WorkflowCommands, place: Workplace, done: Sequence[Document]) -> None:
    """Tell in the log, in the summary, and in the output `metadata`, what went."""
    import json

    for line in lines({"dry_run": False, "repositories": done}):
        place.reporter.info(line)
    if done and not any(one["versions"] or one["aliases"] or one["orphans"] for one in done):
        place.reporter.info("there was nothing to remove")
    commands.set_output("metadata", json.dumps({"cleanup": list(done)}))
    rows = [
        (
            code(one["repository"]),
            ", ".join(code(version["version"]) for version in one["versions"]) or "none",
            ", ".join(map(code, _aliases(one))) or "none",
        )
        for one in done
    ]
    if rows:
        head = ("Repository", "Versions deleted", "Aliases removed")
        commands.add_summary(f"### Cleaned up\n\n{table(head, rows)}\n")


def _aliases(document: Document) -> list[str]:
    return [*gone_aliases(document), *(f"wandb:{name}" for name in document["wandb"])]
