"""A registry that takes only media types of its own list still holds jobs (GitLab's does)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.registry import Logins, running
from support.registry_proxy import Fault, Proxy, proxy_to
from support.versions import check_complete, put_image, spec

from launch_action.core.errors import RegistryError
from launch_action.core.image import OCI_CONFIG, OCI_LAYER
from launch_action.core.reference import Repository, Tag
from launch_action.core.store import JobStore
from launch_action.oci.registries import Registries
from launch_action.oci.registry import RegistryContent

pytestmark = pytest.mark.registry
REFUSAL = (
    b'{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid",'
    b'"detail":"unknown media type: application/vnd.launch-action.job.v1+json"}]}'
)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    with running(tmp_path / "registry") as server, proxy_to(server.address) as found:
        yield found


def opened(proxy: Proxy) -> RegistryContent:
    return Registries(Logins()).open(Repository.parse(f"{proxy.address}/acme/job"), writable=True)


def refuse(proxy: Proxy) -> None:
    proxy.faults.append(Fault("status", "PUT", "/manifests/", status=400, body=REFUSAL))


def test_a_job_is_stored_in_words_that_the_registry_knows(proxy: Proxy) -> None:
    content = opened(proxy)
    wanted = spec()
    put_image(content, "a")
    refuse(proxy)
    store = JobStore(content)

    recorded = store.record(wanted)
    store.point(recorded.version, [Tag("v1")])

    found = JobStore(opened(proxy)).load("v1")
    assert found.job
    job = content.get_manifest(found.job.digest)
    assert job
    assert "artifactType" not in job.document()
    assert job.config().media_type == OCI_CONFIG
    assert {layer.media_type for layer in job.layers()} == {OCI_LAYER}
    files = (wanted.files.document, wanted.files.frozen)
    assert JobStore(opened(proxy)).job_files(found) == files
    check_complete(content)


def test_the_next_run_does_not_ask_again(proxy: Proxy) -> None:
    content = opened(proxy)
    put_image(content, "a")
    refuse(proxy)
    store = JobStore(content)
    store.point(store.record(spec()).version, [Tag("v1")])
    proxy.seen.clear()
    later = JobStore(opened(proxy))
    assert later.find_build(spec().build_key)

    again = later.record(spec())

    assert again.written is False
    assert proxy.count("PUT") == 0


def test_another_refusal_is_told(proxy: Proxy) -> None:
    content = opened(proxy)
    put_image(content, "a")
    body = b'{"errors":[{"code":"MANIFEST_INVALID","message":"no","detail":{"a":1}}]}'
    proxy.faults.append(Fault("status", "PUT", "/manifests/", status=400, body=body))

    with pytest.raises(RegistryError, match="MANIFEST_INVALID: no"):
        JobStore(content).record(spec())
