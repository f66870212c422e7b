"""A tag is a release: what was built of its commit is promoted by digest, and its aliases move."""

from __future__ import annotations

import html
import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.github_api import GitHubServer, refused
from support.github_runner import StepResult
from support.registry import Logins, Running, running
from support.services import push_layout
from support.versions import put
from support.workflow import Workflow, good, workflow

from launch_action.core.image import OCI_CONFIG, Manifest, canonical, parse_object
from launch_action.core.inputs import Inputs
from launch_action.core.ports import Content, read_blob
from launch_action.core.reference import Repository, Tag
from launch_action.core.store import JobStore
from launch_action.core.version import JobVersion
from launch_action.launches.release_names import name_release
from launch_action.oci.registries import Registries
from launch_action.planning.workplace import Workplace
from launch_action.report import PlainSink, Report

pytest_plugins = ["support.action_fixtures"]
pytestmark = [pytest.mark.network, pytest.mark.registry]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, python_base_layout: Path) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture
def flow(
    tmp_path: Path, tool_cache: Path, server: Running, python_base_layout: Path
) -> Iterator[Workflow]:
    base = f"{server.address}/base/{tmp_path.name.replace('_', '-').lower().strip('-')}:3.11"
    push_layout(python_base_layout, base)
    image = f"{base.rpartition(':')[0].replace('/base/', '/acme/')}/train"
    with workflow(tmp_path, image, base, tool_cache) as found:
        yield found


def content_of(name: str) -> Content:
    return Registries(Logins()).open(Repository.parse(name), writable=True)


def named(flow: Workflow) -> dict[str, JobVersion]:
    """What every visible alias names."""
    store = JobStore(content_of(flow.image))
    return {str(tag): version for version, tags in store.versions() for tag in tags}


def digests(flow: Workflow, *aliases: str) -> set[str]:
    found = named(flow)
    return {str(found[alias].digest) for alias in aliases}


def move_base(flow: Workflow) -> None:
    """Give the base image's tag to another image, as its publisher does every week."""
    repository, _, tag = flow.inputs["build-options"].partition("\n")[0].rpartition(":")
    content = content_of(repository.removeprefix("base-image="))
    old = content.get_manifest(tag)
    assert old
    config = parse_object(read_blob(content, old.config()), "config")
    config["created"] = "2026-01-01T00:00:00Z"
    changed = put(content, canonical(config), OCI_CONFIG)
    content.put_manifest(Manifest.make({**old.document(), "config": changed.document()}), tag)


def test_what_was_previewed_is_what_is_released(flow: Workflow) -> None:
    previewed = good(flow.pull(7))
    assert previewed.outputs["tags"].split() == [f"sha-{flow.commit}", "pr-7"]
    move_base(flow)

    released = good(flow.tag("v1.2.3"))

    assert released.outputs["job-digest"] == previewed.outputs["job-digest"]
    assert released.outputs["digest"] == previewed.outputs["digest"]
    assert released.outputs["cache-hit"] == "true"
    assert released.outputs["pushed"] == "true"
    assert released.outputs["tags"].split() == [
        f"sha-{flow.commit}", "v1.2.3", "v1.2", "v1", "latest"
    ]  # fmt: skip
    assert "is promoted; it is not attested, and its digest stays" in released.raw
    aliases = ("v1.2.3", "v1.2", "v1", "latest", "pr-7")
    assert digests(flow, *aliases) == {previewed.outputs["job-digest"]}

    # Without a version of the commit there is nothing to promote: the base of today, attested.
    flow.work.commit({"train.py": "print('other')\n"})
    built = good(flow.tag("v1.2.4"))
    assert digests(flow, "v1.2.4", "v1.2", "v1", "latest") == {built.outputs["job-digest"]}
    assert digests(flow, "v1.2.3") == {previewed.outputs["job-digest"]}
    assert named(flow)["v1.2.4"].attestations
    # Again: the same version.
    again = good(flow.tag("v1.2.4"))
    assert again.outputs["job-digest"] == built.outputs["job-digest"]


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({"entry-point": "python -u train.py"}, "its entry point is 'python train.py'"),
        ({"build-context": "sub"}, "it is of job"),
        ({"more": "compression=zstd"}, "base image, files, options"),
        ({"job-name": "other"}, "it is of job"),
        ({"more": "sbom=true"}, "sbom is asked for"),
    ],
)
def test_what_was_built_otherwise_is_not_promoted(
    flow: Workflow, inputs: dict[str, str], why: str
) -> None:
    flow.work.commit({"sub/train.py": "print('sub')\n"})
    previewed = good(flow.pull(7))
    more = f"{flow.inputs['build-options']}\nallow-rename=true\n{inputs.pop('more', '')}"

    released = good(flow.tag("v1.0.0", **inputs, **{"build-options": more}))

    assert "is not promoted" in released.raw
    assert why in released.raw
    assert released.outputs["job-digest"] != previewed.outputs["job-digest"]
    assert digests(flow, "v1.0.0", "v1", "latest") == {released.outputs["job-digest"]}


def test_a_patch_of_an_old_line_moves_no_newer_alias(flow: Workflow) -> None:
    first = good(flow.tag("v1.2.8")).outputs["job-digest"]
    flow.work.commit({"train.py": "print(2)\n"})
    newest = good(flow.tag("v2.0.0")).outputs["job-digest"]
    flow.work.git("checkout", "--quiet", "HEAD~1")
    flow.work.commit({"train.py": "print('patched')\n"})
    patch = good(flow.tag("v1.2.9"))

    assert patch.outputs["tags"].split() == [f"sha-{flow.commit}", "v1.2.9", "v1.2", "v1"]
    assert digests(flow, "v2.0.0", "v2.0", "v2", "latest") == {newest}
    assert digests(flow, "v1.2.9", "v1.2", "v1") == {patch.outputs["job-digest"]}
    assert digests(flow, "v1.2.8") == {first}

    # A pre-release, a part of the repository that is another job's, and what is no version.
    flow.work.commit({"train.py": "print(3)\n"})
    assert good(flow.tag("v3.0.0-rc.1")).outputs["tags"].split()[1:] == ["v3.0.0-rc.1"]
    assert good(flow.tag("docs/v9.0.0")).outputs["tags"].split()[1:] == [
        "docs-v9.0.0", "docs-v9.0", "docs-v9"
    ]  # fmt: skip
    assert good(flow.tag("nightly")).outputs["tags"].split()[1:] == ["nightly"]
    assert digests(flow, "latest") == {newest}


FILE = """\
defaults: {entry-point: python train.py}
jobs:
  train: {build-context: jobs/train}
  evaluate: {build-context: jobs/evaluate}
"""


def test_a_tag_with_the_key_of_a_job_releases_that_job_alone(flow: Workflow) -> None:
    scripts = {f"jobs/{key}/train.py": f"print({key!r})\n" for key in ("train", "evaluate")}
    flow.work.commit({"launch.yaml": FILE, **scripts})
    del flow.inputs["entry-point"]

    one = good(flow.tag("evaluate/v1.0.0"))

    assert set(named(replace(flow, image=f"{flow.image}/evaluate"))) == {
        f"sha-{flow.commit}", "evaluate-v1.0.0", "v1.0.0", "v1.0", "v1", "latest"
    }  # fmt: skip
    assert named(replace(flow, image=f"{flow.image}/train")) == {}
    assert "'train' is not released" in one.raw
    # Of a leg that is another job's there is nothing to do.
    assert good(flow.tag("evaluate/v1.0.0", job="train")).outputs["job"] == ""

    good(flow.tag("v1.1.0"))
    for key in ("evaluate", "train"):
        assert "v1.1.0" in named(replace(flow, image=f"{flow.image}/{key}"))


def test_a_tag_that_was_moved_is_told(flow: Workflow) -> None:
    before = good(flow.tag("v1.0.0")).outputs["job-digest"]
    flow.work.commit({"train.py": "print(2)\n"})

    moved = good(flow.tag("v1.0.0"))

    assert any(f"v1.0.0 was {before}" in text for text in moved.log.of("warning"))
    assert digests(flow, "v1.0.0", "latest") == {moved.outputs["job-digest"]}


def test_releases_at_one_time_leave_the_newest_with_the_aliases(flow: Workflow) -> None:
    """Every order of several legs: here the store's own steps, without the builds around them."""
    good(flow.push())
    tags = [f"v1.2.{n}" for n in range(6)]
    versions: dict[str, JobVersion] = {}
    for tag in tags:
        flow.work.commit({"train.py": f"print({tag!r})\n"})
        step = good(flow.pull(1))
        versions[tag] = JobStore(content_of(flow.image)).load(step.outputs["job-digest"])
    start = threading.Barrier(len(tags))

    def release(tag: str) -> None:
        place = Workplace(Inputs(), {}, Report(PlainSink(io.StringIO())), 0)
        store = JobStore(content_of(flow.image))
        start.wait()
        name_release(store, versions[tag], tag, ("train",), place)

    for _ in range(3):
        legs = [threading.Thread(target=release, args=(tag,)) for tag in tags]
        for leg in legs:
            leg.start()
        for leg in legs:
            leg.join()
        newest = str(versions[tags[-1]].digest)
        assert digests(flow, "v1.2.5", "v1.2", "v1", "latest") == {newest}
        store = JobStore(content_of(flow.image))
        for alias in (*tags, "v1.2", "v1", "latest"):
            store.remove_alias(Tag(alias), f"{alias}-again")


# ---------------------------------------------------------------------------- the page


@pytest.fixture
def github(flow: Workflow, github_api: GitHubServer) -> GitHubServer:
    flow.also["GITHUB_API_URL"] = github_api.url
    return github_api


def test_the_page_of_the_release_names_image_and_job(flow: Workflow, github: GitHubServer) -> None:
    notes = "# What is new\r\n\r\n* faster\r\n"
    made = github.state.release(github.repository(), "v1.0.0", notes)

    released = good(flow.tag("v1.0.0"))

    body = made["body"]
    assert body.startswith(notes)
    shown = html.unescape(body)
    assert released.outputs["job"] in shown
    assert f"docker pull {released.outputs['image']}" in body
    assert f"launch-action run {flow.image}:v1.0.0" in body
    sbom = f"/v2/{flow.image.partition('/')[2]}/blobs/sha256:"
    assert sbom in shown
    # Again: the same text, which is not even sent.
    changes = github.count("PATCH")
    good(flow.tag("v1.0.0"))
    assert made["body"] == body
    assert github.count("PATCH") == changes


def test_another_job_of_the_same_release_does_not_lose_its_section(
    flow: Workflow, github: GitHubServer
) -> None:
    made = github.state.release(github.repository(), "v1.0.0", "notes")
    legs = {"one": f"{flow.image}-one", "two": f"{flow.image}-two"}
    steps: list[StepResult] = []
    good(flow.push())  # makes the environment that both steps use

    def release(name: str) -> None:
        runner = replace(flow, root=flow.root / name, inputs=flow.inputs | {"image": legs[name]})
        steps.append(runner.tag("v1.0.0", **{"job-name": name}))

    threads = [threading.Thread(target=release, args=(name,)) for name in legs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [step.code for step in steps] == [0, 0], steps
    assert made["body"].startswith("notes")
    assert all(step.outputs["job"] in html.unescape(made["body"]) for step in steps)


def test_without_a_page_nothing_is_made(flow: Workflow, github: GitHubServer) -> None:
    step = good(flow.tag("v1.0.0"))

    assert "has no GitHub Release" in step.raw
    assert github.count("POST") == github.count("PATCH") == 0
    assert not github.repository().releases


@pytest.mark.parametrize("fault", ["permission", "server", "long"])
def test_a_page_that_cannot_be_written_is_a_warning(
    fault: str, flow: Workflow, github: GitHubServer
) -> None:
    body = "x" * 124_900 if fault == "long" else "notes"
    made = github.state.release(github.repository(), "v1.0.0", body)
    if fault == "permission":
        github.allow(contents="read")
    if fault == "server":
        github.fail(refused(500, "Server Error"), "PATCH", times=20)

    step = good(flow.tag("v1.0.0"))

    (warning,) = [text for text in step.log.of("warning") if "release" in text]
    words = {"permission": "contents: write", "server": "500", "long": "125000"}
    assert words[fault] in warning
    assert made["body"] == body
    assert named(flow)["v1.0.0"]
