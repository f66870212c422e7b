"""A W&B server that is read: the key goes nowhere else, and nothing it answers is trusted."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import xxhash
from support.wandb_api.server import KEY, WandbServer, serve
from support.wandb_host import Host
from support.wandb_put import git_source, job_files, md5_text, put_artifact

from launch_action.core.errors import (
    InputError,
    RefusedError,
    ServiceError,
    SourceError,
    StoreError,
)
from launch_action.core.wandb_reference import ArtifactReference, parse_job_reference
from launch_action.wandb.account import Account, find_account
from launch_action.wandb.jobs import WandbJob, fetch_code, find_code, read_job
from launch_action.wandb.server import Server

pytest_plugins = ["support.wandb_fixtures"]

LOGIN = f"Basic {base64.b64encode(f'api:{KEY}'.encode()).decode()}"
JOB = job_files("image", {"image": "a/b"})


@pytest.fixture
def wandb(tmp_path: Path) -> Iterator[WandbServer]:
    with serve(tmp_path / "wandb") as server:
        yield server


def server_at(url: str, key: str = KEY, **environment: str) -> Server:
    return Server(url, key, environment, sleep=lambda _: None)


def content(server: Server, url: str) -> bytes:
    with server.opened(url) as chunks:
        return b"".join(chunks)


def test_the_key_goes_to_its_server_alone(wandb_host: Host, other_host: Host) -> None:
    server = server_at(wandb_host.url())
    other = other_host.says("/x", b"there")
    wandb_host.says("/own", b"here")
    wandb_host.moves("/away", other)
    back = other_host.moves("/back", wandb_host.url("/own"))

    assert content(server, wandb_host.url("/own")) == b"here"
    assert content(server, other) == b"there"
    assert content(server, wandb_host.url("/away")) == b"there"
    assert content(server, back) == b"here"
    assert {login for _, login in other_host.asked} == {""}
    assert {login for _, login in wandb_host.asked} == {LOGIN}


def test_what_a_proxy_in_front_wants_goes_to_its_server_alone(
    wandb_host: Host, other_host: Host
) -> None:
    extra = {"WANDB_X_EXTRA_HTTP_HEADERS": '{"X-Pass": "let me in"}'}
    wandb_host.moves("/away", other_host.says("/x", b"there"))
    wandb_host.says("/graphql", b'{"data": {"viewer": null}}')
    server = server_at(wandb_host.url(), **extra)
    assert server.ask("query Viewer { viewer { entity } }", {}) == {"viewer": None}
    assert content(server, wandb_host.url("/away")) == b"there"
    assert (wandb_host.passes, other_host.passes) == (["let me in"] * 2, [""])
    assert {login for _, login in wandb_host.asked} == {LOGIN}
    # Who asks without a key says nothing else of itself either.
    server_at(wandb_host.url(), "", **extra).ask("query Viewer { viewer { entity } }", {})
    assert wandb_host.passes[-1] == ""


@pytest.mark.parametrize(
    "value",
    [
        "let-me-in",
        '["let-me-in"]',
        '{"X-Pass": 1}',
        '{"X-Pass": "let-me-in\\n"}',
        '{"X-Pass": "let-me-in\\u4e00"}',
        '{"X-P\\u00e4ss": "let-me-in"}',
        '{"X Pass": "let-me-in"}',
        '{"": "let-me-in"}',
    ],
)
def test_what_are_no_headers_is_told_without_its_secret(value: str) -> None:
    with pytest.raises(InputError, match="WANDB_X_EXTRA_HTTP_HEADERS is no JSON object") as caught:
        server_at("https://wandb.example", WANDB_X_EXTRA_HTTP_HEADERS=value)

    assert "let-me-in" not in caught.value.message + caught.value.hint


def test_a_question_is_not_redirected(wandb_host: Host, other_host: Host) -> None:
    other_host.says("/graphql", b'{"data": {}}')
    wandb_host.moves("/graphql", other_host.url("/graphql"), 307)

    with pytest.raises(ServiceError, match="does not answer the question: 307"):
        server_at(wandb_host.url()).ask("query X { x }", {})
    assert other_host.asked == []


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "http://127.0.0.1:9/x", "ftp://host/x", "s3://bucket/x", "//host/x", "x",
     "https://", "http://[bad", "data:,x"],
)  # fmt: skip
def test_files_of_an_encrypted_server_come_by_https_alone(url: str) -> None:
    server = server_at("https://wandb.example.com")

    with pytest.raises(ServiceError, match="not fetched"):
        content(server, url)


def test_a_redirect_is_held_to_the_same(wandb_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    server = server_at(wandb_host.url())
    wandb_host.moves("/file", "file:///etc/passwd")
    wandb_host.moves("/loop", wandb_host.url("/loop"))

    with pytest.raises(ServiceError, match="not fetched"):
        content(server, wandb_host.url("/file"))
    with pytest.raises(ServiceError, match="redirected more than 5 times"):
        content(server, wandb_host.url("/loop"))


def test_a_signature_of_an_address_and_the_key_are_in_no_error(wandb_host: Host) -> None:
    server = server_at(wandb_host.url())
    for url in (wandb_host.url("/gone?Signature=s3cr3t"), "http://u:s3cr3t@127.0.0.1:9/x?s3cr3t"):
        with pytest.raises(ServiceError) as caught:
            content(server, url)
        assert "s3cr3t" not in caught.value.message + caught.value.hint
        assert KEY not in caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:1", "http:///x", "ftp://a", "http://u:s3cr3t@a", "http://[::1", "http://[zz]/",
        "http://a:x", "http://a:99999", "http://a b", "http://a/?x=1", "http://a#x",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(InputError, match="not the address of a W&B server") as caught:
        server_at(url)
    assert "s3cr3t" not in caught.value.message


@pytest.mark.parametrize("url", ["http://a..b", f"http://{'a' * 64}.b"])
def test_a_name_that_no_host_can_have_is_not_reached(url: str) -> None:
    with pytest.raises(ServiceError, match="cannot be reached"):
        server_at(url).ask("query X { x }", {})


def test_an_answer_that_leads_nowhere_is_an_error(wandb_host: Host) -> None:
    wandb_host.moves("/away", "http://[zz]/")

    with pytest.raises(ServiceError, match="cannot be reached"):
        content(server_at(wandb_host.url()), wandb_host.url("/away"))


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b'{"errors": [{"message": "not logged in"}]}', "does not take the key: 401 (not log"),
        (403, b"", "refuses this: 403"),
        (404, b"<html>", "404 (<html>)"),
        (200, b"", "does not answer"),
        (200, b"[]", "does not answer"),
        (200, b'{"data": 5}', "does not answer"),
        (200, b'{"errors": ["x"], "data": {}}', "(x)"),
        (200, b'{"errors": [{"message": "a\\nerror: forged"}]}', "(a error: forged)"),
        (200, b"[" * 100_000, "does not answer"),
        (500, b"", "500"),
    ],
)
def test_what_is_no_answer_is_one_line(
    wandb_host: Host, status: int, body: bytes, words: str
) -> None:
    wandb_host.says("/graphql", body, status)

    with pytest.raises(ServiceError) as caught:
        server_at(wandb_host.url()).ask("query X { x }", {})
    assert words in caught.value.message
    assert "\n" not in caught.value.message
    # Who is no W&B is not asked again, and is told before anything is pushed.
    is_final = status in (401, 403) or (status != 500 and b"errors" not in body)
    assert isinstance(caught.value, RefusedError) == is_final


def test_what_w_b_refuses_in_its_own_words_is_not_put_down_to_its_address(
    wandb: WandbServer,
) -> None:
    wandb.fail("X", 409)

    with pytest.raises(ServiceError, match="409") as caught:
        Server(wandb.url, KEY, {}).ask("query X { x }", {})
    assert "what it says may tell why" in caught.value.hint


def test_a_server_that_is_busy_is_asked_again(wandb: WandbServer) -> None:
    put_artifact(wandb, "acme/demo/train", JOB)
    wandb.fail("ArtifactMembershipByName", 429, headers={"Retry-After": "7"}, times=2)
    waited: list[float] = []
    server = Server(wandb.url, KEY, {}, sleep=waited.append)

    read_job(server, parse_job_reference("acme/demo/train"))

    assert waited == [7.0, 7.0]


def test_who_is_not_patient_asks_once(wandb_host: Host) -> None:
    url = wandb_host.says("/graphql", status=503)
    server = Server(url.removesuffix("/graphql"), KEY, {}, patient=False)

    with pytest.raises(ServiceError):
        server.ask("query Viewer { viewer { id } }", {})

    assert len(wandb_host.asked) == 1


def test_nobody_waits_for_as_long_as_a_server_says(wandb_host: Host) -> None:
    wandb_host.says("/graphql", status=503, headers={"Retry-After": "86400"})
    waited: list[float] = []

    with pytest.raises(ServiceError):
        Server(wandb_host.url(), KEY, {}, sleep=waited.append).ask("query X { x }", {})
    assert waited == [20.0] * 3


def test_a_server_that_is_not_there_is_told(wandb: WandbServer) -> None:
    wandb.stop()

    with pytest.raises(ServiceError, match=r"cannot be reached at http://127\.0\.0\.1"):
        server_at(wandb.url).ask("query X { x }", {})
    wandb.start()


@pytest.mark.parametrize("url", ["wandb.example.com", "file:///x", "http://", "http://me:pw@host"])
def test_what_is_no_address_of_a_server_is_an_input_error(url: str) -> None:
    with pytest.raises(InputError) as caught:
        server_at(url)
    assert "pw" not in caught.value.message


# Artifacts that somebody else put there.


def job_at(wandb: WandbServer, name: str = "acme/demo/train:v0") -> WandbJob:
    return read_job(server_at(wandb.url), parse_job_reference(name))


def change(path: str, **entry: Any) -> Callable[[dict[str, Any]], object]:
    """What makes a manifest have this entry for a path."""

    def changed(contents: dict[str, Any]) -> None:
        known = contents.get(path)
        contents[path] = {**(known or {"digest": md5_text(b"x"), "size": 1}), **entry}

    return changed


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "wandb-job.json/x"])
def test_a_list_of_files_that_leaves_its_artifact_is_refused(wandb: WandbServer, path: str) -> None:
    put_artifact(wandb, "acme/demo/train", JOB, change=change(path))

    with pytest.raises(StoreError, match=r"no path inside|a file and a directory"):
        job_at(wandb)
    assert not any(name.startswith("GET /storage") for name in wandb.operations[4:])


def test_a_list_of_files_is_held_against_the_digest_of_its_artifact(wandb: WandbServer) -> None:
    put_artifact(wandb, "acme/demo/train", JOB, digest="0" * 32)

    with pytest.raises(StoreError, match="has the digest"):
        job_at(wandb)


@pytest.mark.parametrize("other", [b"", b"{}", b"x" * 100_000])
def test_a_file_is_held_against_its_digest_and_size(wandb: WandbServer, other: bytes) -> None:
    put_artifact(wandb, "acme/demo/train", JOB)
    wandb.state.blob(md5_text(JOB["wandb-job.json"])).write_bytes(other)

    with pytest.raises(StoreError, match="is not what its list of files says"):
        job_at(wandb)


def test_a_document_that_is_too_large_is_not_even_asked_for(wandb: WandbServer) -> None:
    put_artifact(
        wandb, "acme/demo/train", JOB, change=change("wandb-job.json", size=2 * 1024 * 1024)
    )

    with pytest.raises(StoreError, match="over the limit"):
        job_at(wandb)
    assert not any(name.startswith("GET") for name in wandb.operations[3:])


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"{}", b"nonsense", json.dumps({"source_type": "image", "source": 5}).encode(),
     json.dumps({"source_type": "magic", "source": {}}).encode(), b"[" * 50_000],
)  # fmt: skip
def test_what_is_no_job_document_is_a_store_error(wandb: WandbServer, document: bytes) -> None:
    put_artifact(wandb, "acme/demo/train", {"wandb-job.json": document})

    with pytest.raises(StoreError, match=r"wandb-job\.json of job 'acme/demo/train:v0'"):
        job_at(wandb)


def test_a_version_that_was_never_completed_is_named(wandb: WandbServer) -> None:
    put_artifact(wandb, "acme/demo/train", JOB)
    (row,) = wandb.versions("acme/demo/train")
    row["state"] = "DELETED"

    with pytest.raises(StoreError, match=r"deleted|no job|has no"):
        job_at(wandb)


@pytest.mark.parametrize(
    "artifact",
    ["", "x", "wandb-artifact://", "wandb-artifact://_id/", "wandb-artifact://_id/a/b",
     "wandb-artifact://https://evil.example/acme/demo/x:v0", "wandb-artifact://../../x:v0",
     "wandb-artifact://a/b/../x", "file:///etc/passwd", "wandb-client-artifact://x/y",
     "wandb-artifact://_id/$(x)"],
)  # fmt: skip
def test_code_is_an_artifact_of_the_job_s_own_server(wandb: WandbServer, artifact: str) -> None:
    with pytest.raises(StoreError, match="no artifact of its own server"):
        find_code(server_at(wandb.url), artifact)


def test_code_is_an_artifact_of_type_code(wandb: WandbServer) -> None:
    identifier = put_artifact(wandb, "acme/demo/weights", {"w": b"w"}, kind="model")

    with pytest.raises(StoreError, match="of type 'model'"):
        find_code(server_at(wandb.url), f"wandb-artifact://_id/{identifier}")
    with pytest.raises(StoreError, match="of type 'model'"):
        find_code(server_at(wandb.url), "wandb-artifact://acme/demo/weights:v0")
    with pytest.raises(StoreError, match="no artifact with the identifier"):
        find_code(server_at(wandb.url), "wandb-artifact://_id/QXJ0aWZhY3Q6OTk5")


@contextmanager
def _silent(_: str, __: int) -> Iterator[Callable[[int], None]]:
    yield lambda _: None


def code_at(wandb: WandbServer, root: Path, *allowed: str) -> None:
    server = server_at(wandb.url)
    version = find_code(server, "wandb-artifact://acme/demo/code-x:v0")
    root.mkdir()
    fetch_code(server, version, root, allowed=allowed, transfer=_silent)


def test_code_is_written_as_its_list_says(wandb: WandbServer, tmp_path: Path) -> None:
    files = {"main.py": b"x", "a/b/c.txt": b"", "trän.py": b"y" * 1_000_000}
    put_artifact(wandb, "acme/demo/code-x", files, kind="code")

    code_at(wandb, tmp_path / "code")

    written = {p.relative_to(tmp_path / "code"): p for p in (tmp_path / "code").rglob("*")}
    assert {str(n): p.read_bytes() for n, p in written.items() if p.is_file()} == files


# What a team does whose server has it switched on; the SDK asks the server first.
_LOGS_XXH128 = """
import wandb
code = wandb.Artifact("code-x", "code", digest_algorithm="XXH128")
for name in ("main.py", "a.py"):
    with code.new_file(name) as file:
        file.write("x = 1\\n")
with wandb.init(project="demo", entity="acme", settings=wandb.Settings(silent=True)) as run:
    assert run.log_artifact(code).wait().digest_algorithm == "MANIFEST_XXH128"
"""


def test_code_with_digests_of_the_other_kind_is_held_against_them(
    wandb: WandbServer, tmp_path: Path
) -> None:
    wandb.state.xxhash = True
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **wandb.environment}
    logs = [sys.executable, "-c", _LOGS_XXH128]
    subprocess.run(logs, cwd=tmp_path, env=environment, check=True, timeout=120)

    code_at(wandb, tmp_path / "code")
    assert (tmp_path / "code/main.py").read_text() == "x = 1\n"

    digest = base64.b64encode(xxhash.xxh128(b"x = 1\n").digest()).decode()
    wandb.state.blob(digest).write_bytes(b"x = 2\n")
    with pytest.raises(StoreError, match="is not what its list of files says"):
        code_at(wandb, tmp_path / "changed")


def test_credentials_that_w_and_b_took_along_are_refused(
    wandb: WandbServer, tmp_path: Path
) -> None:
    files = {"main.py": b"x", ".env": b"KEY=1", "deploy/id_rsa": b"k"}
    put_artifact(wandb, "acme/demo/code-x", files, kind="code")

    with pytest.raises(SourceError, match=r"'\.env', 'deploy/id_rsa'"):
        code_at(wandb, tmp_path / "code")
    code_at(wandb, tmp_path / "let-in", ".env", "deploy/id_rsa")
    assert (tmp_path / "let-in/.env").exists()


def test_more_code_than_anybody_writes_is_refused(wandb: WandbServer, tmp_path: Path) -> None:
    put_artifact(
        wandb, "acme/demo/code-x", {"x": b"x"}, kind="code", change=change("x", size=1 << 40)
    )

    with pytest.raises(StoreError, match="over the limit"):
        code_at(wandb, tmp_path / "code")


def test_the_document_keeps_what_w_and_b_wrote(wandb: WandbServer) -> None:
    source = git_source("https://u:p@github.com/acme/mono.git", "a" * 40, "main.py")
    put_artifact(wandb, "acme/demo/train", job_files("repo", source, frozen=b"a==1\n"))
    job = job_at(wandb)

    assert json.loads(job.raw)["source"] == source
    assert job.frozen == b"a==1\n"
    assert job.version.reference == ArtifactReference("acme", "demo", "train", "v0")


# Whose key, which server.


def account(directory: Path, key: str = "", **environment: str) -> Account:
    return find_account({"HOME": str(directory), **environment}, directory, key=key)


def test_the_key_is_the_option_s_the_environment_s_or_the_login_s(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text(
        "machine api.wandb.ai login user password from-login\n"
        "machine wandb.acme.com login user password of-acme\n"
        "default login user password of-anybody\n"
    )
    team = {"WANDB_BASE_URL": "https://wandb.acme.com"}

    assert account(tmp_path, "given", WANDB_API_KEY="e").key == "given"
    assert account(tmp_path, WANDB_API_KEY="e").key == "e"
    assert account(tmp_path, WANDB_API_KEY="").key == ""
    assert account(tmp_path).key == "from-login"
    assert account(tmp_path).key_place == str(tmp_path / ".netrc")
    assert account(tmp_path, WANDB_BASE_URL="https://api.forge.coreweave.com").key == "from-login"
    assert account(tmp_path, **team).key == "of-acme"
    assert account(tmp_path, WANDB_BASE_URL="https://evil.example").key == ""
    assert "from-login" not in repr(account(tmp_path))


def test_settings_of_the_directory_win_over_the_user_s_and_lose_to_the_environment(
    tmp_path: Path,
) -> None:
    user, here = tmp_path / ".config/wandb", tmp_path / "wandb"
    for folder in (user, here):
        folder.mkdir(parents=True)
    (user / "settings").write_text("[default]\nentity = u\nproject = u\nbase_url = https://u/\n")
    (here / "settings").write_text("[default]\nentity = h\n")
    found = account(tmp_path, WANDB_PROJECT="e")

    assert (found.entity, found.project, found.base_url) == ("h", "e", "https://u")
    (here / "settings").write_text("entity = h\n")
    with pytest.raises(InputError, match="settings"):
        account(tmp_path)


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("https://api.wandb.ai", "https://wandb.ai"),
        ("https://api.forge.coreweave.com", "https://forge.coreweave.com/wandb"),
        ("https://api.acme.com", "https://app.acme.com"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("https://acme.wandb.io/", "https://acme.wandb.io"),
    ],
)
def test_the_pages_of_a_server_are_where_its_own_interface_is(
    tmp_path: Path, url: str, page: str
) -> None:
    found = account(tmp_path, WANDB_BASE_URL=url)

    assert found.run_url("acme", "de mo", "abc") == f"{page}/acme/de%20mo/runs/abc"
    given = account(tmp_path, WANDB_BASE_URL=url, WANDB_APP_URL="https://app/")
    assert given.app_url == "https://app"
