"""A preview's deployments as they go on with its legs: a listener that tells GitHub."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from launch_action.core.dataclass import replace
from launch_action.core.errors import Interrupted, LaunchError, ServiceError
from launch_action.core.inputs import Inputs
from launch_action.core.legs import Leg, Values, succeeded
from launch_action.core.ports import Reporter
from launch_action.core.preview_row import Row
from launch_action.github.api import GitHubApi
from launch_action.github.call_queue import CallQueue
from launch_action.github.deployment import Deployment, Deployments, State
from launch_action.github.environment import GitHubContext
from launch_action.github.pulls import PullRequests

# Seconds for all that is left to be told at the end, of a GitHub that answers slowly.
PATIENCE = 90.0
# Seconds for an answer, and for all that is left to be told, after an interruption.
_ANSWER = 2
_LAST = 4.0


def deployment_report(
    inputs: Inputs, event: GitHubContext, reporter: Reporter, row_of: Callable[[Leg], Row]
) -> DeploymentReport:
    """The listener of a step whose input `deployment` is true."""
    api = GitHubApi(event.repository, token=inputs.github_token, api_url=event.api_url)
    return DeploymentReport(api, event, inputs.environment, reporter, row_of)


class DeploymentReport:
    """A Listener (core.legs) that has a deployment for each leg of a preview.

    `row_of` is asked for the row of a leg, in which nothing is secret: who keeps the rows is told
    before this one. GitHub is told from a thread of its own, which alone touches `_made`.
    """

    def __init__(
        self,
        api: GitHubApi,
        event: GitHubContext,
        environment: str,
        reporter: Reporter,
        row_of: Callable[[Leg], Row],
        patience: float = PATIENCE,
    ) -> None:
        self._api = api
        self._event = event
        self._pull_request = event.pull_request or 0  # a preview is of one
        self._environment = environment
        self._reporter = reporter
        self._row_of = row_of
        self._patience = patience
        self._note = ""
        self._deployments = Deployments(api, event.run_url)
        self._calls = CallQueue("deployment")
        self._made: dict[str, Deployment] = {}
        self._interrupted = False

    def begin(self, legs: Sequence[Leg]) -> None:
        """Make the deployments, each in the state `queued`. Raises ServiceError without a token."""
        if not self._api.has_token:
            raise ServiceError(
                "there is no deployment without a token", hint="leave the input github-token out"
            )
        wanted = [self._wanted(self._row_of(leg)) for leg in legs]
        self._calls.put(lambda: self._make(wanted))

    def start(self, leg: Leg) -> None:
        self._put(leg, "in_progress")

    def known(self, leg: Leg, values: Values) -> None:
        """A deployment has no more to say before its end."""

    def end(self, leg: Leg, values: Values, error: LaunchError | None) -> None:
        """Tell how it went; after an interruption this alone, and in a hurry."""
        # A run that an interruption reached is cancelled, and no error.
        cut = isinstance(error, Interrupted) or values["run_status"] == "cancelled"
        if cut and not self._interrupted:
            self._interrupted = True
            self._api.hurry(_ANSWER)
            self._calls.drop()
        state: State = "success" if succeeded(values, error) else "failure"
        row = self._row_of(leg)
        self._put(leg, state, _description(row), row.run_url)

    def close(self) -> None:
        """Wait until all is told. Raises ServiceError where it cannot be."""
        done = self._calls.close(_LAST if self._interrupted else self._patience)
        if not done and not self._interrupted:
            raise ServiceError(
                f"GitHub took more than {self._patience:.0f} s to be told of the deployments",
                hint="they may stay as they are; see https://www.githubstatus.com",
            )
        if self._note:
            self._reporter.info(self._note)

    def _wanted(self, row: Row) -> Deployment:
        """The deployment of a row; which commit it is of is asked for later."""
        return Deployment(
            number=0,
            commit="",
            environment=self._environment,
            pull_request=self._pull_request,
            job=row.title,
            leg=f"{self._event.workflow}/{row.key}",
        )

    def _put(self, leg: Leg, state: State, description: str = "", url: str = "") -> None:
        key = self._wanted(self._row_of(leg)).leg

        def tell() -> None:
            made = self._made.get(key)
            if made is None:  # GitHub tells of it, or an interruption came before
                return
            self._deployments.tell(made, state, description=description, url=url)
            if state == "success":
                self._deployments.supersede(made)

        self._calls.put(tell)

    def _make(self, every: Sequence[Deployment]) -> None:
        commit, run = self._commit(), self._event.run_id
        if run and self._deployments.is_made_by_github(commit, self._environment, run):
            self._note = (
                f"the workflow gives this job the environment {self._environment!r}: "
                "its deployment is GitHub's own, and no second one is made"
            )
            return
        known = self._deployments.of(self._pull_request)
        for wanted in every:
            if self._interrupted:
                return
            made = self._deployments.ensure(replace(wanted, commit=commit), known)
            self._made[wanted.leg] = made
            self._deployments.tell(made, "queued")

    def _commit(self) -> str:
        """The head of the pull request, which a comment on it does not name."""
        if self._event.is_pull_request or self._event.event_name == "workflow_run":
            return self._event.head_sha
        return PullRequests(self._api).get(self._pull_request).head


def _description(row: Row) -> str:
    built = row.reused or "image built"
    ran = row.run_status not in ("", "skipped")
    return row.error or (f"{built}; run: {row.run_status}" if ran else built)
