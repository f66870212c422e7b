"""What a run's log says, and the job it makes; the log may be an outsider's."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.wandb_log import field, log, varint

from launch_action.core.create_plan import CreatePlan
from launch_action.core.dataclass import replace
from launch_action.core.errors import InputError, LaunchError, SourceError
from launch_action.core.image import Platform
from launch_action.core.inputs import Inputs
from launch_action.core.job import CodeSource, GitSource
from launch_action.core.run_job import FoundRun, plan_run_source, source_kind
from launch_action.core.situation import Situation
from launch_action.core.transaction_log import records
from launch_action.core.wandb_run import LoggedCode, RunFacts, read_facts, with_metadata
from launch_action.core.wandb_types import type_of

COMMIT = "1759231bf22f2d4ab716eb97ad8ad30e4d007342"
FACTS = RunFacts(
    run_id="abcd1234", project="demo", started=1_700_000_000, python="3.11",
    remote="https://me:@github.com/acme/mono.git", commit=COMMIT,
    program="/home/me/mono/jobs/train.py", code_path="jobs/train.py", code_path_local="train.py",
    config={"lr": 0.1},
)  # fmt: skip
RUN = FoundRun(FACTS, b"b==2\nA==1\n", b"", "", (), "it logged no code")
HERE = Situation(Platform("linux", "amd64"), 1_800_000_000, "/store", "1")


def text(number: int, value: str) -> bytes:
    return field(number, value.encode())


def plan(run: FoundRun = RUN, kind: Any = "git", **inputs: Any) -> CreatePlan:
    return plan_run_source(Inputs(**inputs), run, HERE, kind)


def with_facts(**changed: Any) -> FoundRun:
    return replace(RUN, facts=replace(FACTS, **changed))


def test_the_facts_are_read_from_the_records_of_the_log() -> None:
    item = text(1, "lr") + text(16, "0.1")
    nested = text(2, "model") + text(2, "depth") + text(16, "2")
    own = text(1, "_wandb") + text(16, '{"code_path": "code/train.py"}')
    git = text(1, "https://github.com/acme/mono") + text(2, COMMIT)
    started = field(17, varint(8) + varint(1_700_000_000))
    config = field(4, field(1, item) + field(1, nested) + field(1, own))
    run = text(1, "abcd1234") + text(3, "demo") + config + started
    environment = (
        text(2, "CPython 3.11.7") + text(4, "acme/x:1") + text(6, "-m pkg.train") + field(9, git)
    )
    removed = field(2, text(1, "lr"))
    data = log(field(17, run), b"\xff\xff", field(26, environment), field(5, removed))

    facts = read_facts(records(BytesIO(data)))

    assert facts == RunFacts(
        run_id="abcd1234", project="demo", started=1_700_000_000, python="3.11",
        remote="https://github.com/acme/mono", commit=COMMIT, docker="acme/x:1",
        program="-m pkg.train", config={"model": {"depth": 2}},
    )  # fmt: skip


def test_logged_code_is_read_and_of_an_online_run_its_name() -> None:
    entry = text(1, "train.py") + text(2, "bWQ1") + text(6, "/staging/x")
    code = text(4, "code") + text(5, "source-demo") + field(12, field(4, entry))
    other = text(4, "dataset") + text(5, "numbers") + field(12, field(4, entry))
    own = text(1, "_wandb") + text(16, '{"code_path": "source-demo"}')

    offline = read_facts([field(8, code), field(8, other)]).code
    online = read_facts([field(5, field(1, own))]).code

    assert offline
    assert offline.name == "source-demo"
    assert [(one.path, one.local_path) for one in offline.files] == [("train.py", "/staging/x")]
    assert online == LoggedCode("source-demo", ())


@given(st.lists(st.binary(max_size=200)))
def test_any_bytes_give_facts(found: list[bytes]) -> None:
    assert isinstance(read_facts(found), RunFacts)
    read_facts([field(number, one) for one in found for number in (3, 5, 8, 17, 25, 26)])


def test_metadata_fills_in_what_the_log_of_an_older_sdk_lacks() -> None:
    document = {
        "python": "3.9.6", "docker": "x:1", "program": "train.py", "codePath": "train.py",
        "git": {"remote": "https://host/a/b", "commit": COMMIT},
    }  # fmt: skip
    found = with_metadata(RunFacts(run_id="a", docker="y:2"), json.dumps(document).encode())

    assert (found.python, found.docker, found.commit) == ("3.9", "y:2", COMMIT)
    for broken in (b"{", b"[]", b'{"git": 1, "python": 3}'):
        assert with_metadata(FACTS, broken) == FACTS


def test_a_clean_commit_is_the_source_of_its_job() -> None:
    found = plan()

    assert found.source == GitSource("https://github.com/acme/mono.git", COMMIT)
    assert found.job_name == "job-https___github.com_acme_mono-jobs_train.py"
    assert found.entrypoint == ("python", "jobs/train.py")
    assert (found.runtime, found.created) == ("3.11", "2023-11-14T22:13:20Z")
    assert found.frozen == b"A==1\nb==2\n"
    assert found.aliases == (f"sha-{COMMIT}", "run-abcd1234", "latest")


def test_a_commit_with_a_patch_is_not_called_by_the_commit() -> None:
    found = plan(replace(RUN, patch=b"diff"))

    assert found.patch == b"diff"
    assert found.aliases == ("run-abcd1234", "latest")
    assert any("diff.patch" in one for one in found.warnings)


def test_in_ci_latest_is_left_alone() -> None:
    found = plan_run_source(Inputs(alias=("best",)), RUN, replace(HERE, ci=True), "git")

    assert found.aliases == (f"sha-{COMMIT}", "run-abcd1234", "best")


def test_a_build_context_is_taken_off_the_entry_point() -> None:
    found = plan(build_context="jobs/")

    assert found.entrypoint == ("python", "train.py")
    assert found.source == GitSource("https://github.com/acme/mono.git", COMMIT, "jobs")
    assert found.job_name == "job-https___github.com_acme_mono-jobs_train.py"
    for outside in ("other", "../x", "/jobs"):
        with pytest.raises(InputError):
            plan(build_context=outside)


@pytest.mark.parametrize(
    ("paths", "program"),
    [
        (("jobs/train.py", "train.py"), "jobs/train.py"),  # of log_code at the repository's root
        (("train.py",), "train.py"),  # of log_code where the run was started
        (("mono/jobs/train.py",), "mono/jobs/train.py"),  # of log_code above it
    ],
)
def test_the_program_is_found_in_logged_code(paths: tuple[str, ...], program: str) -> None:
    found = plan(replace(RUN, code_name="source-demo", code_paths=paths), "code")

    assert found.source == CodeSource("source-demo")
    assert found.entrypoint == ("python", program)
    assert found.job_name == "job-source-demo"


@pytest.mark.parametrize(
    "run",
    [
        with_facts(code_path=""),
        with_facts(code_path="train.ipynb"),
        with_facts(python=""),
        with_facts(code_path="../../etc/x.py"),
    ],
)
def test_what_no_job_can_be_made_of_is_told(run: FoundRun) -> None:
    with pytest.raises(LaunchError):
        plan(run)

    assert plan(run, entry_point="python x.py", python="3.12").entrypoint == ("python", "x.py")


def test_a_program_is_never_an_option_or_several_words() -> None:
    assert plan(with_facts(code_path="-c x.py")).entrypoint == ("python", "./-c x.py")


@pytest.mark.parametrize(
    ("changed", "kind", "reason"),
    [
        ({}, "git", ""),
        ({"docker": "x:1"}, "git", ""),
        ({"docker": "x:1", "commit": ""}, "image", ""),
        ({"docker": "x:1", "remote": ""}, "image", ""),
        ({"docker": "x:1", "remote": "/srv/git/mono.git"}, "image", ""),
        ({"remote": ""}, "", f"its checkout, at commit {COMMIT[:12]}, had no git remote"),
        ({"remote": "ext::sh -c x"}, "", "its git remote is "),
        ({"commit": "--upload-pack=x"}, "", "it was not in a git checkout with a commit"),
        ({"commit": "", "docker": "x:1", "code": LoggedCode("c", ())}, "", "it logged no code"),
    ],
)
def test_the_first_condition_that_holds_makes_the_job(
    changed: dict[str, Any], kind: str, reason: str
) -> None:
    if kind:
        assert source_kind(with_facts(**changed), "") == kind
        return
    with pytest.raises(SourceError) as caught:
        source_kind(with_facts(**changed), "")
    assert reason in caught.value.message


def test_a_remote_that_cannot_be_shows_no_login() -> None:
    with pytest.raises(SourceError) as caught:
        source_kind(with_facts(remote="ftp://me:s3cr3t@host/x"), "")

    assert "s3cr3t" not in caught.value.message + caught.value.hint


def test_a_source_that_is_asked_for_has_to_be_one_of_three() -> None:
    assert source_kind(with_facts(docker="x:1"), "image") == "image"
    for asked, error in (("repository", InputError), ("artifact", SourceError)):
        with pytest.raises(error, match=asked):
            source_kind(RUN, asked)


def test_names_are_the_options_then_the_sdks() -> None:
    assert plan(with_facts(job_name="theirs:v3")).job_name == "theirs"
    assert plan(with_facts(job_name="theirs:v3"), job_name="mine").job_name == "mine"
    assert plan(job_name_style="wandb").job_name == (
        "job-https___github.com_acme_mono.git_jobs_train.py"
    )


def test_logins_are_taken_out_of_the_list_of_packages() -> None:
    found = plan(replace(RUN, frozen=b"x @ https://me:s3cr3t@host/x.whl\n"))

    assert found.frozen == b"x @ https://host/x.whl\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, {"wb_type": "boolean"}),
        (float("nan"), {"wb_type": "none"}),
        ("wandb-artifact://x", {"wb_type": "artifactVersion"}),
        ([], {"wb_type": "list", "params": {"element_type": {"wb_type": "unknown"}, "length": 0}}),
        (
            [1, 2],
            {"wb_type": "list", "params": {"element_type": {"wb_type": "number"}, "length": 2}},
        ),
    ],
)
def test_values_have_wandbs_types(value: Any, expected: dict[str, Any]) -> None:
    assert type_of(value) == expected


def test_types_of_deep_and_varied_values_come_to_an_end() -> None:
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    varied = [{str(at): at} for at in range(1000)]

    assert "any" in json.dumps(type_of(deep))
    assert type_of(varied)["params"]["element_type"] == {"wb_type": "any"}
