"""What previews leave goes: when their pull request is closed, and by a sweep of what is left."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.github_api import GitHubServer
from support.github_packages import Packages, github_registry
from support.github_runner import StepResult
from support.program import Ended, Machine, failed, succeeded
from support.registry import Logins, Running, running
from support.registry_proxy import Fault, proxy_to
from support.repositories import Work
from support.services import push_layout
from support.versions import check_complete
from support.workflow import NAME, Workflow, good, workflow

from launch_action.core.ports import Content
from launch_action.core.reference import Repository
from launch_action.core.removal import Removal, survey
from launch_action.core.store import JobStore
from launch_action.core.tags import hidden
from launch_action.core.tombstone import is_tombstone
from launch_action.core.turns import taken_of
from launch_action.oci.layout import LayoutContent
from launch_action.oci.registries import Registries

pytest_plugins = ["support.action_fixtures", "support.program_fixtures"]
pytestmark = [pytest.mark.network, pytest.mark.registry]


@dataclass(frozen=True)
class Store:
    """A job's store with versions of several commits: `job` is its reference without an alias."""

    machine: Machine
    work: Work
    options: tuple[str, ...]
    job: str
    image: tuple[str, ...]
    content: Content

    def build(self, text: str, *aliases: str) -> str:
        """A version of a commit of its own, with these aliases alone; its digest."""
        self.work.commit({"train.py": f"print({text!r})\n"})
        named = [word for alias in aliases for word in ("-a", alias)]
        asked = ("build", "-J", "train", *self.image, *self.options, *named, "--json")
        found = succeeded(self.machine.run(*asked, cwd=self.work.path)).document
        return str(found["job_digest"])

    def cleanup(self, *arguments: str) -> Ended:
        return self.machine.run("cleanup", self.job, *arguments, cwd=self.work.path)

    def aliases(self) -> dict[str, str]:
        """What every alias but those of commits names; all of it is whole."""
        check_complete(self.content)
        found = JobStore(self.content).versions()
        return {
            str(tag): str(version.digest)
            for version, tags in found
            for tag in tags
            if not tag.startswith("sha-")
        }

    def versions(self) -> set[str]:
        return {str(version.digest) for version, _ in JobStore(self.content).versions()}


@pytest.fixture(params=["registry", "keeping registry", "layout"])
def store(
    request: pytest.FixtureRequest,
    machine: Machine,
    work: Work,
    options: tuple[str, ...],
    tmp_path: Path,
) -> Iterator[Store]:
    """A registry that deletes, one that does not, or the local store. CI has no `latest`."""
    on_ci = Machine(machine.root, machine.cache, {"CI": "true"})
    if request.param == "layout":
        content = LayoutContent(machine.store / "train", "train")
        yield Store(on_ci, work, options, "train", (), content)
        return
    with running(tmp_path / "registry", delete=request.param == "registry") as server:
        name = f"{server.address}/acme/train"
        opened = Registries(Logins()).open(Repository.parse(name), writable=True)
        yield Store(on_ci, work, options, name, ("--image", name), opened)


def test_a_sweep_takes_what_only_previews_and_commits_reach(store: Store) -> None:
    store.work.git("checkout", "--quiet", "--detach")
    first, second = store.build("1", "pr-1"), store.build("2")
    released = store.build("3", "v1.2.3", "latest", "pr-3")
    third = store.build("4", "pr-4")
    before = store.aliases()
    tags = store.content.tags()

    shown = succeeded(store.cleanup("--keep", "0", "--dry-run", "--json")).document
    assert shown["dry_run"] is True
    (one,) = shown["repositories"]
    assert {v["version"] for v in one["versions"]} == {first, second, third}
    assert one["aliases"] == ["pr-3"]
    assert (store.aliases(), store.content.tags()) == (before, tags)

    # The newest stay, and nothing is as old as that.
    assert "kept" in succeeded(store.cleanup("--keep", "3")).out
    assert store.versions() == {first, second, released, third}
    assert set(store.aliases()) == {"v1.2.3", "latest", "pr-1", "pr-4"}
    succeeded(store.cleanup("--keep", "0", "--older-than", "5200w"))
    assert store.versions() == {first, second, released, third}

    told = succeeded(store.cleanup("--keep", "0"))
    assert all(digest in told.out for digest in (first, second, third))
    assert store.aliases() == {"v1.2.3": released, "latest": released}
    assert store.versions() == {released}
    assert not [tag for tag in live(store) if hidden(tag) and not tag.startswith("key-")]

    # Nothing is left to be done, and what was released runs.
    again = succeeded(store.cleanup("--keep", "0", "--json")).document["repositories"][0]
    assert (again["versions"], again["aliases"], again["kept"]) == ([], [], 1)
    run = store.machine.run(
        "run", f"{store.job}:v1.2.3", "-r", "local-process", cwd=store.work.path
    )
    assert "3" in succeeded(run).out


def live(store: Store) -> list[str]:
    """The tags that name more than a tombstone."""
    found = [(tag, store.content.get_manifest(tag)) for tag in store.content.tags()]
    return [tag for tag, manifest in found if manifest and not is_tombstone(manifest)]


def test_aliases_that_are_named_go_whatever_their_age(store: Store) -> None:
    store.work.git("checkout", "--quiet", "--detach")
    mine, both = store.build("1", "pr-12"), store.build("2", "pr-12b", "pr-13")
    other = store.build("3", "pr-14")

    done = succeeded(store.cleanup("-a", "pr-12", "-a", "pr-12b", "--json")).document

    (one,) = done["repositories"]
    assert [v["version"] for v in one["versions"]] == [mine]
    assert one["aliases"] == ["pr-12b"]
    assert store.aliases() == {"pr-13": both, "pr-14": other}
    assert store.versions() == {both, other}
    # One that is gone already is no error: a cleanup may run twice.
    succeeded(store.cleanup("-a", "pr-12"))


def settled(store: Store) -> dict[str, str]:
    """The aliases, once the registry has done what it was told before the kill."""
    until = time.monotonic() + 20
    while True:
        try:
            return store.aliases()
        except AssertionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def test_a_cleanup_that_is_killed_anywhere_completes_when_it_runs_again(store: Store) -> None:
    store.work.git("checkout", "--quiet", "--detach")
    kept = store.build("kept", "main")
    for number in range(6):
        store.build(str(number), f"pr-{number}")
    killed = 0
    for delay in (0.15, 0.2, 0.25, 0.3, 0.35, 0.4):
        with store.machine.started(
            "cleanup", store.job, "--keep", "0", cwd=store.work.path
        ) as child:
            time.sleep(delay)
            child.send_signal(signal.SIGKILL)
            killed += child.wait() == -signal.SIGKILL
        assert settled(store)["main"] == kept
    assert killed

    succeeded(store.cleanup("--keep", "0"))

    assert store.aliases() == {"main": kept}
    assert store.versions() == {kept}
    assert [tag for tag in live(store) if tag.startswith(("going-", "pr-"))] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--older-than", "soon"), "soon"),
        (("--keep", "few"), "few"),
        (("-a", "v1.2"), "v1.2"),
        (("-a", "latest"), "latest"),
        (("-a", "a b"), "a b"),
        (("x:pr-1",), "x:pr-1"),
        (("nothing-of-this-name",), "nothing-of-this-name"),
    ],
)
def test_what_cannot_be_cleaned_is_told(
    machine: Machine, work: Work, arguments: tuple[str, ...], words: str
) -> None:
    (machine.store / "train").mkdir(parents=True)
    ended = machine.run("cleanup", *arguments, cwd=work.path)

    assert words in failed(ended, 6 if words.startswith("nothing") else 2).error


# ---------------------------------------------------------------------------- the action


@pytest.fixture(scope="module", params=["registry", "keeping registry"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("registry")
    with running(folder, delete=request.param == "registry") as found:
        yield found


@pytest.fixture
def flow(
    tmp_path: Path, tool_cache: Path, server: Running, python_base_layout: Path
) -> Iterator[Workflow]:
    place = tmp_path.name.replace("_", "-").lower().strip("-")
    base = f"{server.address}/base/{place}:3.11"
    push_layout(python_base_layout, base)
    with workflow(tmp_path, f"{server.address}/acme/{place}/train", base, tool_cache) as found:
        yield found


def named(flow: Workflow) -> dict[str, str]:
    """What every alias names; all of it is whole."""
    content = opened(flow)
    check_complete(content)
    found = JobStore(content).versions()
    return {str(tag): str(version.digest) for version, tags in found for tag in tags}


def test_a_closed_pull_request_leaves_nothing_of_its_own(flow: Workflow) -> None:
    main = good(flow.push()).outputs["job-digest"]
    first = flow.commit
    flow.work.commit({"train.py": "print('tried')\n"})
    good(flow.pull(7))
    # And one that is merged by moving the branch to its commit.
    flow.work.git("checkout", "--quiet", first)
    merged_commit = flow.work.commit({"train.py": "print('merged')\n"})
    merged = good(flow.pull(8)).outputs["job-digest"]
    good(flow.push())

    closed = good(flow.pull(7, "closed"))
    good(flow.pull(8, "closed"))

    assert named(flow) == {
        f"sha-{first}": main,
        f"sha-{merged_commit}": merged,
        "main": merged,
        "latest": merged,
    }
    done = json.loads(closed.outputs["metadata"])["cleanup"][0]
    assert done["versions"][0]["aliases"][0] == "pr-7"
    assert "pr-7" in closed.summary
    assert f"deleted      {flow.image}@{done['versions'][0]['version']}" in closed.log.text
    # It may run twice.
    again = good(flow.pull(7, "closed"))
    assert json.loads(again.outputs["metadata"])["cleanup"][0]["versions"] == []
    assert "there was nothing to remove" in again.log.text


def test_a_deleted_branch_leaves_its_alias_and_no_more(flow: Workflow) -> None:
    flow.work.git("checkout", "--quiet", "-b", "feature/x")
    ref = {"GITHUB_REF": "refs/heads/feature/x", "GITHUB_REF_NAME": "feature/x"}
    mine = good(flow.step("push", ref, {})).outputs["job-digest"]
    assert named(flow) == {f"sha-{flow.commit}": mine, "feature-x": mine}

    good(flow.delete("feature/x"))

    assert named(flow) == {f"sha-{flow.commit}": mine}


def test_a_schedule_sweeps(flow: Workflow) -> None:
    good(flow.pull(7))
    kept = good(flow.push()).outputs["job-digest"]
    flow.work.commit({"train.py": "print(2)\n"})
    young = good(flow.pull(8)).outputs["job-digest"]

    def sweep(age: str, **inputs: str) -> StepResult:
        options = f"{flow.inputs['build-options']}\nolder-than={age}\nkeep=0"
        asked = {"mode": "cleanup", "build-options": options, **inputs}
        return good(flow.step("schedule", {}, asked))

    # GitHub cannot be asked which pull requests are open: none of theirs goes.
    flow.also["GITHUB_API_URL"] = "http://127.0.0.1:9"
    assert "no preview goes this time" in sweep("0s").raw
    assert set(named(flow).values()) == {kept, young}
    # Without a token age alone counts: the commit is old, and was previewed just now.
    sweep("1d", github_token="")
    assert set(named(flow).values()) == {kept, young}
    told = sweep("0s", github_token="")
    assert set(named(flow).values()) == {kept}
    assert "previews go by their age alone: pr-7, pr-8; with a token" in told.raw


def test_nothing_of_an_outsider_s_pull_request_is_touched(flow: Workflow) -> None:
    good(flow.pull(7))
    before = named(flow)
    head = {"sha": flow.commit, "ref": "main", "repo": {"full_name": "mallory/mono-jobs"}}
    pull = {"number": 7, "head": head, "base": {"ref": "main", "sha": "b" * 40}, "state": "closed"}
    payload = {"action": "closed", "number": 7, "pull_request": pull}
    ref = {"GITHUB_REF": "refs/pull/7/merge", "GITHUB_HEAD_REF": "main", "GITHUB_BASE_REF": "main"}

    good(flow.step("pull_request", ref, {}, payload))

    assert named(flow) == before


def test_an_open_pull_request_is_not_cleaned_up(flow: Workflow) -> None:
    good(flow.pull(7))
    before = named(flow)

    step = flow.pull(7, "synchronize", mode="cleanup")

    assert step.code == 2
    assert "#7 is open" in step.raw
    assert named(flow) == before


# ---------------------------------------------------------------------------- at GitHub


@pytest.fixture
def github(flow: Workflow, github_api: GitHubServer) -> GitHubServer:
    flow.also["GITHUB_API_URL"] = github_api.url
    flow.inputs["deployment"] = "true"
    flow.inputs["build-options"] = flow.inputs["build-options"].replace("comment=false", "")
    github_api.state.pull(github_api.repository(), 7, flow.commit)
    return github_api


def test_comment_and_deployment_say_that_it_is_removed(
    flow: Workflow, github: GitHubServer
) -> None:
    good(flow.pull(7))
    repository = github.repository()
    (deployment,) = repository.deployments
    assert repository.state_of(deployment) == "success"
    assert "report-pr-7-" in " ".join(tags(flow))

    good(flow.pull(7, "closed"))

    assert repository.state_of(deployment) == "inactive"
    (body,) = repository.bodies(7)
    assert "removed" in body
    assert named(flow) == {}
    assert [tag for tag in tags(flow) if not hidden(tag)] == [] or not deletes(flow)

    # Opened again it is there again.
    good(flow.pull(7, "reopened"))
    assert "pr-7" in named(flow)


def tags(flow: Workflow) -> list[str]:
    return list(opened(flow).tags())


def deletes(flow: Workflow) -> bool:
    return Removal(opened(flow), "probe").deletes()


def opened(flow: Workflow) -> Content:
    return Registries(Logins()).open(Repository.parse(flow.image), writable=True)


def test_what_github_refuses_is_a_warning(flow: Workflow, github: GitHubServer) -> None:
    good(flow.pull(7))
    github.allow(contents="read", pull_requests="read", deployments="read")

    step = good(flow.pull(7, "closed"))

    assert named(flow) == {}
    warnings = " ".join(step.log.of("warning"))
    assert "deployments: write" in warnings
    assert "pull-requests: write" in warnings or "issues: write" in warnings


def test_a_store_that_cannot_be_cleaned_fails_the_step_and_github_is_told(
    flow: Workflow, github: GitHubServer
) -> None:
    good(flow.pull(7))
    (deployment,) = github.repository().deployments
    with proxy_to(flow.image.partition("/")[0]) as proxy:
        proxy.faults.append(Fault("status", "GET", "/tags/list", times=99, status=403))
        image = f"{proxy.address}/{flow.image.partition('/')[2]}"

        step = flow.pull(7, "closed", image=image)

    assert step.code == 5, step.raw
    assert len(step.log.of("error")) == 1
    assert github.repository().state_of(deployment) == "inactive"
    assert "pr-7" in named(flow)
    good(flow.pull(7, "closed"))
    assert named(flow) == {}


def test_jobs_below_the_image_that_the_comment_names_are_cleaned(
    flow: Workflow, github: GitHubServer
) -> None:
    """As of a launch.yaml: the step that cleans up needs no checkout of it."""
    below = replace(flow, image=f"{flow.image}/eval")
    good(flow.pull(7, image=below.image))
    assert set(named(below)) == {"pr-7", f"sha-{flow.commit}"}

    good(flow.pull(7, "closed"))

    assert named(below) == {}


def test_a_sweep_leaves_the_previews_of_open_pull_requests(
    flow: Workflow, github: GitHubServer
) -> None:
    previewed = good(flow.pull(7)).outputs["job-digest"]
    flow.work.commit({"train.py": "print(2)\n"})
    good(flow.pull(8))
    options = f"{flow.inputs['build-options']}\nolder-than=0s\nkeep=0"
    asked = {"mode": "cleanup", "build-options": options}

    good(flow.step("schedule", {}, asked))
    assert named(flow)["pr-7"] == previewed
    assert "pr-8" not in named(flow)

    # On a command line too.
    asker = Machine(
        flow.root / "asker",
        flow.cache / "cache",
        {
            "GITHUB_TOKEN": github.token,
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_API_URL": github.url,
        },
    )
    swept = ("cleanup", flow.image, "--older-than", "0s", "--keep", "0")
    assert "warning" not in succeeded(asker.run(*swept, cwd=flow.work.path)).err
    assert named(flow)["pr-7"] == previewed

    # Its commit is old, and it was previewed just now: its alias says so.
    github.repository().pulls[7]["state"] = "closed"
    options = options.replace("older-than=0s", "older-than=1d")
    good(flow.step("schedule", {}, asked | {"build-options": options}))
    assert named(flow)["pr-7"] == previewed
    good(flow.step("schedule", {}, asked))
    assert named(flow) == {}


# ---------------------------------------------------------------------------- in GitHub's registry


@pytest.fixture
def at_github(flow: Workflow, github: GitHubServer, server: Running) -> Iterator[Workflow]:
    """The flow with `ghcr.io/acme/...`: a proxy of this network leads there."""
    github.state.packages = Packages(server)
    path = flow.image.partition("/")[2]
    with github_registry(server) as proxy:
        flow.also |= {"http_proxy": f"http://{proxy.address}", "no_proxy": "127.0.0.1"}
        flow.inputs["image"] = f"ghcr.io/{path}"
        flow.inputs["build-options"] += "\ninsecure-registry=ghcr.io"
        yield flow


@pytest.mark.parametrize("server", ["registry"], indirect=True)
def test_nothing_of_a_closed_pull_request_stays_at_ghcr_io(
    at_github: Workflow, github: GitHubServer
) -> None:
    flow = at_github
    kept = good(flow.push()).outputs["job-digest"]
    flow.work.commit({"train.py": "print('tried')\n"})
    gone = good(flow.pull(7)).outputs["job-digest"]
    assert {gone, kept} == set(named(flow).values())

    step = good(flow.pull(7, "closed"))

    assert set(named(flow).values()) == {kept}
    assert opened(flow).get_manifest(gone) is None
    # And which run has removed it, for one that is started again.
    assert all(one.version or taken_of(one.manifest) for one in survey(opened(flow)))
    assert step.log.of("warning") == []
    assert github.count("DELETE", "/orgs/acme/packages/container/") > 1
    good(flow.pull(7, "reopened"))
    assert named(flow)["pr-7"] == gone


@pytest.mark.parametrize("server", ["registry"], indirect=True)
def test_a_sweep_takes_what_no_index_names_from_ghcr_io(
    at_github: Workflow, github: GitHubServer, server: Running
) -> None:
    flow = at_github
    kept = good(flow.push()).outputs["job-digest"]
    flow.work.commit({"train.py": "print('tried')\n"})
    preview = good(flow.pull(7)).outputs
    good(flow.pull(7, "closed"))
    assert opened(flow).get_manifest(preview["digest"])
    options = f"{flow.inputs['build-options']}\nolder-than=1d\nkeep=0"
    asked = {"mode": "cleanup", "build-options": options}

    good(flow.step("schedule", {}, asked))
    assert opened(flow).get_manifest(preview["digest"])
    week_ago = time.time() - 7 * 86400
    for link in server.folder.rglob("_manifests/revisions/sha256/*/link"):
        os.utime(link, (week_ago, week_ago))
    step = good(flow.step("schedule", {}, asked))

    assert opened(flow).get_manifest(preview["digest"]) is None
    (done,) = json.loads(step.outputs["metadata"])["cleanup"]
    assert preview["digest"] in done["orphans"]
    assert f"{len(done['orphans'])} manifests without a name" in step.raw
    assert set(named(flow).values()) == {kept}
    check_complete(opened(flow))
    assert good(flow.pull(7, "reopened")).outputs["digest"] == preview["digest"]
    check_complete(opened(flow))


@pytest.mark.parametrize("server", ["registry"], indirect=True)
def test_without_the_right_to_packages_ghcr_io_keeps_tombstones(
    at_github: Workflow, github: GitHubServer
) -> None:
    flow = at_github
    good(flow.pull(7))
    github.allow(contents="read", pull_requests="write", deployments="write", packages="read")

    step = good(flow.pull(7, "closed"))

    assert named(flow) == {}
    (warning,) = step.log.of("warning")
    assert "`packages: write`" in warning
    assert flow.inputs["image"].partition("/")[2] in warning
