"""What hosted registries do otherwise than docker-registry, each behaviour put before a real one.

Where each was seen is in docs/registries.md.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.registry import LOGIN, Logins, Running, TokenServer, running
from support.registry_proxy import Fault, Proxy, proxy_to
from support.versions import check_complete, put_image, spec

from launch_action.core.errors import RegistryError
from launch_action.core.image import OCI_CONFIG
from launch_action.core.reference import Repository, Tag
from launch_action.core.removal import Doomed, Removal, survey
from launch_action.core.store import JobStore
from launch_action.core.tombstone import is_tombstone
from launch_action.core.version import JobVersion
from launch_action.oci.registries import Registries
from launch_action.oci.registry import RegistryContent
from launch_action.oci.retry import Patience

pytestmark = pytest.mark.registry
QUICK = Patience(tries=2, base=0.01)
MAIN, PULL = Tag("main"), Tag("pr-12")
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    with running(tmp_path / "registry") as server, proxy_to(server.address) as found:
        yield found


def opened(address: str, notes: list[str] | None = None) -> RegistryContent:
    note = notes.append if notes is not None else None
    registries = Registries(Logins({address: LOGIN}), patience=QUICK, note=note)
    return registries.open(Repository.parse(f"{address}/acme/train"), writable=True)


def stored(content: RegistryContent, *aliases: Tag) -> JobVersion:
    put_image(content, "a")
    store = JobStore(content)
    version = store.record(spec()).version
    store.point(version, aliases)
    return version


def live(content: RegistryContent) -> set[str]:
    return {str(one.tag) for one in survey(content) if not is_tombstone(one.manifest)}


# ---------------------------------------------------------------------------- deletion


def test_where_no_token_knows_of_deletion_who_may_push_deletes(
    tokens: TokenServer, guarded: Running
) -> None:
    """Quay."""
    tokens.delete = "unknown"
    content = opened(guarded.address)
    version = stored(content, PULL)

    assert Removal(content, "n").versions([Doomed(version, (PULL,))])

    assert content.tags() == ()
    refused = [one for one in tokens.requests if not all(map(tokens.knows, one.scopes))]
    assert len(refused) == 1


def test_a_login_that_may_only_push_leaves_tombstones(
    tokens: TokenServer, guarded: Running
) -> None:
    """A robot of Harbor; a job's token of GitLab."""
    tokens.delete = "withheld"
    notes: list[str] = []
    content = opened(guarded.address, notes)
    version = stored(content, PULL, MAIN)

    assert Removal(content, "n").alias(PULL)

    assert PULL not in live(content)
    assert JobStore(content).load("main") == version
    assert any("does not let this login delete" in note for note in notes)
    assert not Removal(content, "m").deletes()


@pytest.mark.parametrize("status", [400, 403, 405, 409, 412, 501])
def test_a_deletion_that_is_refused_leaves_tombstones(proxy: Proxy, status: int) -> None:
    """405: Docker Hub, ghcr.io, a locked tag of ACR; 412: an immutable tag of Harbor."""
    content = opened(proxy.address)
    version = stored(content, PULL)
    proxy.faults.append(Fault("status", "DELETE", times=99, status=status))

    assert Removal(content, "n").versions([Doomed(version, (PULL,))])

    assert live(content) == set()


# ---------------------------------------------------------------------------- what is not taken


def test_a_job_without_packages_has_no_empty_blob(proxy: Proxy) -> None:
    """ECR answers 400 or 500, Artifact Registry 400, distribution on S3 500."""
    body = json.dumps({"errors": [{"code": "BLOB_UPLOAD_INVALID", "message": "no parts"}]}).encode()
    proxy.faults.append(
        Fault("status", "PUT", f"/blobs/uploads/.*{EMPTY}", times=99, status=400, body=body)
    )
    content = opened(proxy.address)
    put_image(content, "a")
    wanted = spec()

    version = (
        JobStore(content).record(replace(wanted, files=replace(wanted.files, frozen=b""))).version
    )

    assert JobStore(content).files(version).frozen == b""
    check_complete(content)


def test_a_list_of_media_types_that_a_schema_holds_is_taken_as_one(proxy: Proxy) -> None:
    """A Quay of one's own, whose words are a level deeper than others'."""
    words = "failed to parse manifest: 'application/vnd.x' is not one of ['application/vnd.oci...']"
    error = {"code": "MANIFEST_INVALID", "message": "invalid", "detail": {"message": words}}
    body = json.dumps({"errors": [error]}).encode()
    content = opened(proxy.address)
    put_image(content, "a")
    proxy.faults.append(Fault("status", "PUT", "/manifests/", status=400, body=body))

    version = JobStore(content).record(spec()).version

    assert version.job
    job = content.get_manifest(version.job.digest)
    assert job
    assert job.config().media_type == OCI_CONFIG
    # An attestation has no other form.
    proxy.faults.append(Fault("status", "PUT", "/manifests/", status=400, body=body))
    with pytest.raises(RegistryError, match="is not one of") as raised:
        content.put_manifest(job)
    assert "--no-sbom" in raised.value.hint


# ---------------------------------------------------------------------------- limits


def test_github_s_secondary_limit_is_waited_for(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ghcr.io answers 403, as for a login that may not, and says in words that it passes."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    words = "permission_denied: You have exceeded a secondary rate limit. Please wait a few minutes"
    body = json.dumps({"errors": [{"code": "DENIED", "message": words}]}).encode()
    proxy.faults.append(Fault("status", "POST", "/blobs/uploads/", status=403, body=body))

    stored(opened(proxy.address), MAIN)

    assert waited == [20.0]


# ---------------------------------------------------------------------------- what is not told


def test_a_manifest_whose_digest_is_not_told_is_read(proxy: Proxy) -> None:
    """ECR, Red Hat's registry, a bucket that serves files."""
    content = opened(proxy.address)
    version = stored(content, MAIN)
    proxy.faults.append(Fault("hide", times=99, headers={"Docker-Content-Digest": ""}))

    assert JobStore(opened(proxy.address)).load("main") == version
    assert stored(opened(proxy.address), PULL) == version


def test_error_pages_and_empty_answers_are_told_in_one_line(proxy: Proxy) -> None:
    content = opened(proxy.address)
    for body in (b"", b"<html><h1>Forbidden</h1></html>", b"\xff\xfe", b"[]", b'{"errors": null}'):
        proxy.faults.append(Fault("status", "GET", "/manifests/", status=403, body=body))
        with pytest.raises(RegistryError) as raised:
            content.get_manifest("main")
        assert "403" in raised.value.message
        assert "\n" not in raised.value.message
        assert "<" not in raised.value.message
