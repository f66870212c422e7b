"""What is read of a build: progress, remarks, failures, installed distributions, configurations."""

from __future__ import annotations

import json
import tarfile

import pytest
from support.bases import File, layer

from launch_action.builders.buildkit.checks import Finding, failure, read_findings, stopped_at
from launch_action.builders.buildkit.client import Redactor, docker_environment
from launch_action.builders.buildkit.configuration import with_logins
from launch_action.builders.buildkit.generated import render_dockerfile
from launch_action.builders.buildkit.installed import Installed, installed, read_layer
from launch_action.builders.buildkit.trace import Trace

# ---- installed distributions ---------------------------------------------------------------------

SITE = "opt/venv/lib/python3.11/site-packages"


def metadata(name: str, version: str) -> File:
    return File(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: no".encode())


def found(*layers: dict[str, File], env: tuple[str, ...] = ()) -> Installed:
    return installed([read_layer([layer(one)]) for one in layers], {"config": {"Env": list(env)}})


def test_the_environment_that_path_finds_first_is_what_counts() -> None:
    base = {
        "usr/lib/python3/dist-packages/pip-23.dist-info/METADATA": metadata("pip", "23"),
        "usr/local/lib/python3.11/site-packages/wheel-1.dist-info/METADATA": metadata("wheel", "1"),
    }
    top = {f"{SITE}/Six-1.16.dist-info/METADATA": metadata("Six", "1.16")}

    assert found(base, top, env=("PATH=/opt/venv/bin:/usr/local/bin:/usr/bin",)) == Installed(
        ("Six==1.16",), "3.11"
    )
    assert found(base, env=("PATH=/opt/venv/bin:/usr/local/bin:/usr/bin",)).lines == ("wheel==1",)
    assert found(base, top).lines == ("pip==23", "Six==1.16", "wheel==1")


def test_what_a_later_layer_removes_is_gone() -> None:
    below = {
        f"{SITE}/a-1.dist-info/METADATA": metadata("a", "1"),
        f"{SITE}/b-1.dist-info/METADATA": metadata("b", "1"),
        "lib/python3.11/site-packages/c-1.dist-info/METADATA": metadata("c", "1"),
    }
    above = {
        f"{SITE}/.wh.a-1.dist-info": File(),
        f"{SITE}/a-2.dist-info/METADATA": metadata("a", "2"),
        "lib/.wh..wh..opq": File(),
    }

    assert found(below, above).lines == ("a==2", "b==1")


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_eggs_are_listed_and_vendored_copies_are_not(kind: int) -> None:
    data = layer(
        {
            "usr/lib/python3/dist-packages/old-1.egg-info/PKG-INFO": metadata("old", "1"),
            f"{SITE}/pip/_vendor/x-1.dist-info/METADATA": metadata("x", "1"),
            f"{SITE}/broken-1.dist-info/METADATA": File(b"nothing"),
        },
        kind,
    )

    assert installed([read_layer([data])], {}).lines == ("old==1",)


def test_the_python_is_what_the_image_says_else_what_its_folders_are_named() -> None:
    files = {f"{SITE}/a-1.dist-info/METADATA": metadata("a", "1")}

    assert found(files, env=("PYTHON_VERSION=3.12.4",)).python == "3.12"
    assert found(files).python == "3.11"
    assert found({}).python == ""
    assert found({}).frozen == b""


# ---- progress of the engine ----------------------------------------------------------------------


def message(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2, len(value)]) + value


def vertex(*fields: tuple[int, bytes | int]) -> bytes:
    return message(1, b"".join(message(number, value) for number, value in fields))


def test_the_engines_progress_reads_like_buildx() -> None:
    step = ((1, b"digest"), (3, b"[1/2] RUN x"))
    trace = Trace()

    lines = [
        *trace.lines(vertex(*step)),
        *trace.lines(vertex(*step, (5, b"t"))),
        *trace.lines(message(3, message(1, b"digest") + message(4, b"out\n\nmore\n"))),
        *trace.lines(vertex(*step, (5, b"t"), (6, b"t"))),
        *trace.lines(vertex(*step, (5, b"t"), (6, b"t"))),
        *trace.lines(vertex((1, b"other"), (3, b"[2/2] RUN y"), (4, 1), (5, b"t"), (6, b"t"))),
        *trace.lines(vertex((1, b"third"), (3, b"exporting"), (7, b"it broke"))),
        *trace.lines(b"\xff\xff\xff"),
    ]

    assert lines == [
        "#1 [1/2] RUN x", "#1 out", "#1 more", "#1 DONE", "#2 [2/2] RUN y", "#2 CACHED",
        "#3 ERROR: it broke",
    ]  # fmt: skip


# ---- remarks and failures ------------------------------------------------------------------------


def test_remarks_have_the_dockerfiles_line() -> None:
    document = {
        "warnings": [
            {"ruleName": "R", "detail": "d", "url": "u",
             "location": {"ranges": [{"start": {"line": 3}, "end": {"line": 3}}]}},
            {"ruleName": "S", "description": "e", "location": None},
        ]
    }  # fmt: skip

    assert read_findings(json.dumps(document)) == (Finding("R: d (u)", 3), Finding("S: e", 0))
    assert read_findings("not JSON") == read_findings("{}") == read_findings("[1]") == ()


def test_a_failure_is_one_line_with_the_dockerfiles_line() -> None:
    said = """\
#5 ERROR: process "/bin/sh -c exit 3" did not complete successfully: exit code: 3
------
Dockerfile:2
--------------------
   1 |     FROM a
   2 | >>> RUN exit 3
--------------------
ERROR: failed to build: failed to solve: process "/bin/sh -c exit 3" did not complete"""

    assert failure(said, "", "jobs/Dockerfile.wandb") == (
        'jobs/Dockerfile.wandb:2: process "/bin/sh -c exit 3" did not complete'
    )
    assert failure("", "", "") == "the generated Dockerfile: the build failed"


_TEXT = """\
# syntax=docker/dockerfile:1
FROM python:3.12
RUN apt-get update \\
 && apt-get install --yes \\
    # why
    nothing
COPY data /data
RUN --mount=type=cache,target=/c pip install nothing
"""


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ("dockerfile parse error line 7: unknown instruction: COPPY", 7),
        ("dockerfile parse error on line 7: unknown instruction: COPPY", 7),
        (
            "executor failed running [/bin/sh -c apt-get update  && apt-get install --yes "
            "    nothing]: exit code: 100",
            3,
        ),
        ('process "/bin/sh -c pip install nothing" did not complete successfully: exit code: 1', 8),
        ('failed to compute cache key: "/data" not found: not found', 7),
        ('failed to calculate checksum of ref x::y: "/data": not found', 7),
        ("executor failed running [/bin/sh -c other]: exit code: 1", 0),
        ("no space left on device", 0),
        ("", 0),
    ],
)
def test_the_engine_s_reason_is_found_in_the_dockerfile(reason: str, line: int) -> None:
    wanted = f"jobs/Dockerfile:{line}" if line else "jobs/Dockerfile"

    assert stopped_at(reason, _TEXT, "jobs/Dockerfile") == wanted
    assert stopped_at(reason, _TEXT, "") == "the generated Dockerfile"


def test_where_buildx_does_not_tell_a_line_it_is_looked_for() -> None:
    said = "ERROR: failed to solve: executor failed running [/bin/sh -c exit 3]: exit code: 3"

    assert failure(said, "FROM x\nRUN exit 3\n", "Dockerfile").startswith("Dockerfile:2: executor")


# ---- the client ----------------------------------------------------------------------------------


def test_no_line_of_a_secret_is_told() -> None:
    redactor = Redactor.of([b"one-secret\nsecond-line\n", b"x", b"one"])

    assert redactor.clean("a one-secret b second-line x one") == "a *** b *** x ***"


def test_the_client_sees_its_own_variables_and_nothing_else() -> None:
    given = {
        "PATH": "/bin", "DOCKER_HOST": "h", "BUILDX_BUILDER": "b", "AWS_PROFILE": "p",
        "WANDB_API_KEY": "k", "GITHUB_TOKEN": "t", "ACTIONS_RUNTIME_TOKEN": "r",
    }  # fmt: skip
    found = docker_environment(given)

    assert {"PATH", "DOCKER_HOST", "BUILDX_BUILDER", "AWS_PROFILE"} <= set(found)
    assert not {"WANDB_API_KEY", "GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN"} & set(found)
    assert "ACTIONS_RUNTIME_TOKEN" in docker_environment(given, "ACTIONS_RUNTIME_TOKEN")


def test_a_login_goes_beside_those_of_a_store() -> None:
    document = {"auths": {"a.example": {}, "b.example": {}}, "credsStore": "pass", "x": 1}

    assert with_logins(document, {"b.example": ("user", "word")}) == {
        "x": 1,
        "auths": {"a.example": {}, "b.example": {"auth": "dXNlcjp3b3Jk"}},
        "credHelpers": {"a.example": "pass"},
    }
    assert with_logins({}, {"b": ("u", "p")}) == {"auths": {"b": {"auth": "dTpw"}}}


# ---- the generated Dockerfile --------------------------------------------------------------------


def test_a_generated_dockerfile_is_pinned_unprivileged_and_starts_the_job() -> None:
    text = render_dockerfile(
        "python@sha256:1", "/usr/local/bin/python3", ("python", "a b.py"), ("/app/src",),
        wheels="wheels/amd64",
    )  # fmt: skip
    lines = text.splitlines()

    assert lines[0] == "FROM python@sha256:1"
    assert "USER 1000:0" in lines
    assert lines[-1] == 'ENTRYPOINT ["python", "a b.py"]'
    assert 'ENV PYTHONPATH="/app/src"' in lines
    assert "--no-index" in text


def test_without_dependencies_nothing_is_installed() -> None:
    assert "install" not in render_dockerfile("a", "/usr/bin/python3", ("x",), ())
