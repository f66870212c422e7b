"""A registry that is slow, ill, full, lying or gone, and the client before it."""

from __future__ import annotations

import io
import os
import socket
import time
from pathlib import Path

import pytest
from support.loopback import free_port
from support.registry import Logins, Running, blob_of, running
from support.registry_proxy import Fault, Proxy, proxy_to
from support.versions import put, put_manifest

from launch_action.core.errors import RegistryError
from launch_action.core.image import EMPTY, OCI_MANIFEST, Manifest
from launch_action.core.ports import read_blob
from launch_action.core.reference import Repository
from launch_action.oci.registries import Registries
from launch_action.oci.registry import RegistryContent
from launch_action.oci.retry import Patience

pytestmark = pytest.mark.registry
DATA = os.urandom(3_000_000)
QUICK = Patience(tries=5, base=0.01, answer=5)


@pytest.fixture
def patience() -> Patience:
    return QUICK


@pytest.mark.parametrize(
    "fault",
    [
        Fault("reset", "PUT", at=1_000_000),
        Fault("reset", "POST"),
        Fault("reset", "HEAD"),
        Fault("lose", "PUT"),
        Fault("lose", "POST"),
        *[Fault("status", "PUT", status=status) for status in (408, 425, 429, 500, 502, 503, 504)],
        Fault("status", "PUT", status=404, body=b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}'),
        Fault("status", "PUT", status=400, body=b'{"errors":[{"code":"DIGEST_INVALID"}]}'),
        Fault("status", "POST", status=503, times=3),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.method}-{fault.status}",
)
def test_an_upload_survives(
    content: RegistryContent, proxy: Proxy, notes: list[str], fault: Fault
) -> None:
    proxy.faults.append(fault)

    descriptor = put(content, DATA)

    assert not proxy.faults
    assert notes
    assert proxy.address in notes[0]
    assert read_blob(content, descriptor) == DATA


def test_an_answer_that_was_lost_does_not_send_the_blob_again(
    content: RegistryContent, proxy: Proxy
) -> None:
    proxy.faults.append(Fault("lose", "PUT"))

    put(content, DATA)

    assert proxy.count("PUT") == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault("reset", "GET"),
        Fault("status", "GET", status=500),
        Fault("truncate", "GET", at=1_234_567),
        Fault("truncate", "GET", at=500_000, times=4),
        Fault("status", "GET", status=429, headers={"Retry-After": "0"}),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.at}",
)
def test_a_download_survives(content: RegistryContent, proxy: Proxy, fault: Fault) -> None:
    descriptor = put(content, DATA)
    proxy.faults.append(fault)

    assert read_blob(content, descriptor) == DATA

    assert not proxy.faults


def test_a_broken_download_goes_on_where_it_broke_off(
    content: RegistryContent, proxy: Proxy
) -> None:
    descriptor = put(content, DATA)
    proxy.faults.append(Fault("truncate", "GET", at=2_000_000))
    before = content.traffic.received

    assert read_blob(content, descriptor) == DATA

    ranges = [seen.headers.get("range", "") for seen in proxy.seen if seen.method == "GET"]
    assert ranges[0] == ""
    assert 0 < int(ranges[1].removeprefix("bytes=").removesuffix("-")) <= 2_000_000
    assert content.traffic.received - before < len(DATA) + 300_000


def test_a_broken_download_is_completed_where_ranges_are_not_known(
    content: RegistryContent, proxy: Proxy
) -> None:
    descriptor = put(content, DATA)
    proxy.faults.append(Fault("truncate", "GET", at=2_000_000))
    proxy.faults.append(Fault("no-range", "GET"))

    assert read_blob(content, descriptor) == DATA


def test_manifests_and_tags_survive(content: RegistryContent, proxy: Proxy) -> None:
    proxy.faults.append(Fault("reset", "PUT", "/manifests/"))
    proxy.faults.append(Fault("status", "PUT", "/manifests/", status=502))
    proxy.faults.append(Fault("truncate", "GET", "/manifests/", at=30))
    proxy.faults.append(Fault("corrupt", "GET", "/manifests/", at=30))
    proxy.faults.append(Fault("truncate", "GET", "/tags/", at=5))

    manifest = put_manifest(content, "v1")

    assert content.get_manifest("v1") == manifest
    assert content.tags() == ("v1",)
    assert not proxy.faults


def test_a_small_blob_damaged_on_its_way_is_asked_for_again(
    content: RegistryContent, proxy: Proxy
) -> None:
    descriptor = put(content, b"small")
    proxy.faults.append(Fault("corrupt", "GET", at=2))

    assert read_blob(content, descriptor) == b"small"


def test_a_damaged_blob_is_an_error_and_its_end_is_never_given(
    content: RegistryContent, proxy: Proxy
) -> None:
    descriptor = put(content, DATA)
    proxy.faults.append(Fault("corrupt", "GET", at=100, times=99))
    got: list[bytes] = []

    with content.open_blob(descriptor) as chunks:  # noqa: SIM117  the error comes within
        with pytest.raises(RegistryError, match=f"{descriptor.digest}.*was received damaged"):
            got.extend(chunks)

    assert 0 < sum(map(len, got)) < len(DATA)


def test_a_blob_that_is_damaged_in_the_registry_is_not_copied(
    server: Running, content: RegistryContent
) -> None:
    descriptor = blob_of(DATA + b"rotten")
    origin = Registries(Logins(), patience=QUICK).open(server.repository("rotten"), writable=True)
    origin.put_blob(descriptor, lambda: io.BytesIO(DATA + b"rotten"))
    with server.blob_file(descriptor.digest).open("r+b") as file:
        file.seek(10)
        file.write(b"?")

    with pytest.raises(RegistryError, match="was received damaged"):
        content.copy_blob(descriptor, origin)

    assert not content.has_blob(descriptor.digest)


def test_a_copy_survives_damage_on_the_way(
    server: Running, content: RegistryContent, proxy: Proxy
) -> None:
    with proxy_to(server.address) as before:
        origin = Registries(Logins(), patience=QUICK).open(
            Repository.parse(f"{before.address}/elsewhere"), writable=True
        )
        descriptor = put(origin, DATA + b"copied")
        before.faults.append(Fault("corrupt", "GET", at=100))
        before.faults.append(Fault("truncate", "GET", at=700_000))

        assert content.copy_blob(descriptor, origin) == "sent"

    assert read_blob(content, descriptor) == DATA + b"copied"


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_a_manifest_that_is_another_is_an_error(
    content: RegistryContent, proxy: Proxy, by: str
) -> None:
    manifest = put_manifest(content, "v1")
    proxy.faults.append(Fault("corrupt", "GET", at=40, times=99))

    with pytest.raises(RegistryError, match="was received damaged"):
        content.get_manifest("v1" if by == "tag" else manifest.descriptor.digest)


def test_a_manifest_of_another_digest_than_asked_for_is_an_error(
    content: RegistryContent, proxy: Proxy
) -> None:
    manifest = put_manifest(content, "v1")
    other = blob_of(b"other").digest
    proxy.faults.append(
        Fault("status", "GET", status=200, times=99, body=manifest.data, headers={})
    )

    with pytest.raises(RegistryError, match=f"{other}.*was received damaged"):
        content.get_manifest(other)


def test_a_manifest_is_not_read_without_end(content: RegistryContent, proxy: Proxy) -> None:
    body = b"{" + b" " * (9 * 1024 * 1024)
    proxy.faults.append(Fault("status", "GET", status=200, body=body))

    with pytest.raises(RegistryError, match="larger than the limit of 8388608"):
        content.get_manifest("v1")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>welcome</html>", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"schemaVersion": 1, "tag": "x"}', "kind that is not known"),
        (b'{"mediaType": "text/plain"}', "kind that is not known"),
    ],
)
def test_what_is_no_manifest_is_an_error(
    content: RegistryContent, proxy: Proxy, body: bytes, message: str
) -> None:
    proxy.faults.append(Fault("status", "GET", status=200, body=body))

    with pytest.raises(RegistryError, match=message):
        content.get_manifest("v1")


@pytest.mark.parametrize("location", ["http://[::1/x", "http://127.0.0.1:99999/x", "http://a:b/"])
def test_a_redirect_to_what_is_no_address_is_an_error(
    content: RegistryContent, proxy: Proxy, location: str
) -> None:
    proxy.faults.append(Fault("redirect", "GET", location=location))

    with pytest.raises(RegistryError, match="leads to an address that is not safe"):
        content.get_manifest("v1")


@pytest.mark.parametrize("realm", ["http://[x/token", "http://127.0.0.1:99999/t", "http://a:b/t"])
def test_a_token_server_at_no_address_is_an_error(
    content: RegistryContent, proxy: Proxy, realm: str
) -> None:
    headers = {"WWW-Authenticate": f'Bearer realm="{realm}"'}
    proxy.faults.append(Fault("status", "GET", status=401, headers=headers))

    with pytest.raises(RegistryError, match="no token server that can be trusted"):
        content.tags()


def test_the_registry_s_own_message_is_told_in_one_line(
    content: RegistryContent, proxy: Proxy
) -> None:
    body = b'{"errors":[{"code":"DENIED","message":"quota\\nof \\u001b[31mteam"}]}'
    proxy.faults.append(Fault("status", "POST", status=403, body=body))

    with pytest.raises(RegistryError, match=r"403 writing blob .*: DENIED: quota of") as caught:
        put(content, DATA)

    assert "\n" not in caught.value.message
    assert "\x1b" not in caught.value.message
    assert proxy.count("POST") == 1


def test_a_registry_that_stays_ill_is_an_error_after_five_tries(
    content: RegistryContent, proxy: Proxy, notes: list[str]
) -> None:
    proxy.faults.append(Fault("status", status=500, times=99))

    with pytest.raises(RegistryError, match="500 listing the tags") as caught:
        content.tags()

    assert caught.value.exit_code == 5
    assert len(proxy.seen) == 5
    assert [note.partition("; ")[2].split(" in ")[0] for note in notes] == [
        f"try {n} of 5" for n in (2, 3, 4, 5)
    ]


def test_retry_after_is_waited_for(content: RegistryContent, proxy: Proxy) -> None:
    proxy.faults.append(Fault("status", "GET", status=429, headers={"Retry-After": "1"}))
    begun = time.monotonic()

    content.tags()

    assert 1.0 <= time.monotonic() - begun < 30.0  # a machine may be busy


def test_docker_hub_s_spent_allowance_is_not_asked_for_again(proxy: Proxy) -> None:
    body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"reached your pull rate limit"}]}'
    proxy.faults.append(Fault("status", "GET", status=429, times=99, body=body))
    hub = Registries(Logins(), patience=QUICK)._host("docker.io", f"http://{proxy.address}")
    content = RegistryContent(Repository.parse("python"), (hub,), writable=False)

    with pytest.raises(RegistryError, match=r"429.*pull rate limit") as caught:
        content.get_manifest("3.11-slim")

    assert "--registry-mirror" in caught.value.hint
    assert len(proxy.seen) == 1


def test_a_limit_is_told_in_the_registry_s_own_numbers(proxy: Proxy) -> None:
    headers = {
        "ratelimit-limit": "100;w=21600", "ratelimit-remaining": "0;w=21600",
        "docker-ratelimit-source": "192.0.2.7",
    }  # fmt: skip
    body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"reached your pull rate limit"}]}'
    proxy.faults.append(Fault("status", "GET", status=429, body=body, headers=headers))
    hub = Registries(Logins(), patience=QUICK)._host("docker.io", f"http://{proxy.address}")
    content = RegistryContent(Repository.parse("python"), (hub,), writable=False)

    with pytest.raises(RegistryError) as caught:
        content.get_manifest("3.11-slim")

    assert "100 in 6 h, 0 left" in caught.value.hint
    assert "log in with docker login" in caught.value.hint


def test_a_wait_that_is_too_long_is_told_and_not_begun(
    content: RegistryContent, proxy: Proxy
) -> None:
    proxy.faults.append(Fault("status", "GET", status=429, headers={"Retry-After": "3600"}))
    begun = time.monotonic()

    with pytest.raises(RegistryError, match="429") as caught:
        content.tags()

    assert "it asks to wait 1 h" in caught.value.hint
    assert time.monotonic() - begun < 60
    assert len(proxy.seen) == 1


IMMUTABLE = (
    b'{"errors":[{"code":"TAG_INVALID","message":"The image tag already exists in the repository '
    b'and cannot be overwritten because the tag is immutable."}]}'
)


def test_an_immutable_tag_that_names_the_same_is_no_error(
    content: RegistryContent, proxy: Proxy
) -> None:
    """ECR refuses a tag that is there, whatever it names."""
    manifest = put_manifest(content, "v1")
    proxy.faults.append(Fault("status", "PUT", "/manifests/v1", status=400, body=IMMUTABLE))

    content.put_manifest(manifest, "v1")

    assert not proxy.faults


def test_an_immutable_tag_that_names_another_is_explained(
    content: RegistryContent, proxy: Proxy
) -> None:
    put_manifest(content, "latest")
    document = {
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": EMPTY.document(), "layers": [],
        "annotations": {"a": "b"},
    }  # fmt: skip
    proxy.faults.append(Fault("status", "PUT", "/manifests/latest", status=400, body=IMMUTABLE))

    with pytest.raises(RegistryError, match="TAG_INVALID") as caught:
        content.put_manifest(Manifest.make(document), "latest")

    assert "aliases of a job move" in caught.value.hint


def test_more_patience_than_there_is_is_not_asked_for(
    content: RegistryContent, proxy: Proxy
) -> None:
    content._origin.patience = Patience(total=0.5)
    proxy.faults.append(Fault("status", "GET", status=429, headers={"Retry-After": "3600"}))
    begun = time.monotonic()

    with pytest.raises(RegistryError, match="429"):
        content.tags()

    assert time.monotonic() - begun < 60


def test_a_port_where_nobody_listens_is_an_error_within_seconds() -> None:
    address = f"127.0.0.1:{free_port()}"
    begun = time.monotonic()

    with pytest.raises(RegistryError, match=f"cannot reach {address}: Connection refused") as got:
        Registries(Logins()).open(Repository.parse(f"{address}/acme/train")).tags()

    assert got.value.exit_code == 5
    assert time.monotonic() - begun < 12


def test_a_name_nobody_knows_is_an_error_that_says_so() -> None:
    content = Registries(Logins(), patience=Patience(tries=2, base=0.01)).open(
        Repository.parse("registry.invalid/acme/train")
    )

    with pytest.raises(RegistryError, match="its name is not known"):
        content.tags()


def test_a_server_that_is_silent_is_left_after_a_while() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        patience = Patience(tries=2, base=0.01, answer=0.3)
        content = Registries(Logins(), patience=patience).open(
            Repository.parse(f"{address}/acme/train")
        )
        begun = time.monotonic()

        with pytest.raises(RegistryError, match="stopped answering"):
            content.tags()

        assert time.monotonic() - begun < 20


def test_a_registry_that_dies_in_the_middle_is_an_error(tmp_path: Path) -> None:
    with running(tmp_path / "dying") as server:
        content = Registries(Logins(), patience=QUICK).open(
            server.repository("acme/train"), writable=True
        )
        put(content, b"before")

    with pytest.raises(RegistryError, match=f"cannot reach {server.address}"):
        put(content, DATA)


def test_a_source_that_cannot_be_read_is_not_taken_for_the_network(
    content: RegistryContent, notes: list[str]
) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(RegistryError, match=r"cannot read blob .*Input/output error"):
        content.put_blob(blob_of(DATA), Broken)

    assert notes == []
