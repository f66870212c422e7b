"""How content moves to and from a registry: mounts, pieces, storage hosts, mirrors, pages."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from support.registry import LOGIN, Logins, Running, blob_of, free_port, running, serving
from support.registry_proxy import Fault, Proxy, proxy_to

from launch_action.core.errors import InputError, RegistryError
from launch_action.core.image import EMPTY, OCI_MANIFEST, Descriptor, Manifest
from launch_action.core.ports import read_blob
from launch_action.core.reference import Repository
from launch_action.oci.registries import Registries
from launch_action.oci.registry import RegistryContent
from launch_action.oci.retry import Patience

pytestmark = pytest.mark.registry
DATA = os.urandom(1_500_000)
QUICK = Patience(tries=3, base=0.01, answer=5)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("transfer")) as found:
        yield found


@pytest.fixture
def proxy(server: Running) -> Iterator[Proxy]:
    with proxy_to(server.address) as found:
        yield found


@pytest.fixture
def registries() -> Registries:
    return Registries(Logins(), patience=QUICK)


@pytest.fixture
def content(proxy: Proxy, registries: Registries, tmp_path: Path) -> RegistryContent:
    path = tmp_path.name.lower().replace("_", "-").strip("-")
    return registries.open(Repository.parse(f"{proxy.address}/{path}"), writable=True)


@pytest.fixture
def origin(proxy: Proxy, registries: Registries, tmp_path: Path) -> RegistryContent:
    """Another repository of the same registry."""
    path = tmp_path.name.lower().replace("_", "-").strip("-")
    return registries.open(Repository.parse(f"{proxy.address}/base/{path}"), writable=True)


def put(content: RegistryContent, data: bytes) -> Descriptor:
    descriptor = blob_of(data)
    content.put_blob(descriptor, lambda: io.BytesIO(data))
    return descriptor


def put_manifest(content: RegistryContent, tag: str) -> Manifest:
    content.put_blob(EMPTY, lambda: io.BytesIO(b"{}"))
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": EMPTY.document(),
        "layers": [],
    }
    manifest = Manifest.make(document)
    content.put_manifest(manifest, tag)
    return manifest


def test_an_upload_takes_two_requests_and_one_connection(
    content: RegistryContent, proxy: Proxy
) -> None:
    for data in (b"one", b"two", b"three"):
        put(content, data)

    assert [seen.method for seen in proxy.seen] == ["POST", "PUT"] * 3
    assert proxy.connections == 1
    assert content.traffic.requests == 6
    assert content.traffic.sent == len(b"onetwothree")


def test_it_is_asked_whether_a_large_blob_is_there(content: RegistryContent, proxy: Proxy) -> None:
    put(content, DATA)

    assert [seen.method for seen in proxy.seen] == ["HEAD", "POST", "PUT"]


def test_what_a_manifest_here_names_is_not_sent_again(
    content: RegistryContent, proxy: Proxy
) -> None:
    manifest = put_manifest(content, "v1")
    again = Registries(Logins()).open(content.repository, writable=True)
    assert again.get_manifest("v1") == manifest
    proxy.seen.clear()

    assert again.put_blob(EMPTY, lambda: io.BytesIO(b"{}")) == "present"
    assert proxy.seen == []


def test_progress_is_told_and_taken_back_when_a_try_begins_anew(
    content: RegistryContent, proxy: Proxy
) -> None:
    proxy.faults.append(Fault("status", "PUT", status=500))
    told: list[int] = []

    content.put_blob(blob_of(DATA), lambda: io.BytesIO(DATA), progress=told.append)

    assert sum(told) == len(DATA)
    assert min(told) == -len(DATA)


def test_a_blob_of_the_same_registry_is_mounted(
    content: RegistryContent, origin: RegistryContent, proxy: Proxy
) -> None:
    descriptor = put(origin, DATA)
    before = (origin.traffic.received, content.traffic.sent)

    assert content.copy_blob(descriptor, origin) == "mounted"

    assert (origin.traffic.received, content.traffic.sent) == before
    assert read_blob(content, descriptor) == DATA


def test_a_mount_that_becomes_an_upload_is_carried_on_in_its_session(
    content: RegistryContent, origin: RegistryContent, proxy: Proxy
) -> None:
    descriptor = put(origin, DATA)
    proxy.seen.clear()
    proxy.faults.append(Fault("no-query", "POST", "mount="))

    assert content.copy_blob(descriptor, origin) == "sent"

    assert [proxy.count(method) for method in ("HEAD", "POST", "PUT", "GET")] == [1, 1, 1, 1]
    assert read_blob(content, descriptor) == DATA


@pytest.mark.parametrize("status", [400, 403, 404, 405])
def test_a_mount_that_is_refused_becomes_an_upload(
    content: RegistryContent, origin: RegistryContent, proxy: Proxy, status: int
) -> None:
    descriptor = put(origin, DATA)
    proxy.faults.append(Fault("status", "POST", "mount=", status=status))

    assert content.copy_blob(descriptor, origin) == "sent"
    assert read_blob(content, descriptor) == DATA


def test_a_body_that_is_too_large_for_a_proxy_goes_in_pieces(
    content: RegistryContent, proxy: Proxy
) -> None:
    proxy.limit = 400_000

    first, second = put(content, DATA), put(content, DATA + b"again")

    assert read_blob(content, first) == DATA
    assert read_blob(content, second) == DATA + b"again"
    sizes = [int(s.headers["content-length"]) for s in proxy.seen if s.method in ("PUT", "PATCH")]
    # What was learnt from the first blob is known for the second.
    assert sum(size > proxy.limit for size in sizes) <= 2
    assert proxy.count("PATCH") >= 2 * (len(DATA) // proxy.limit)


def test_pieces_survive_a_fault(content: RegistryContent, proxy: Proxy) -> None:
    proxy.limit = 800_000
    proxy.faults.append(Fault("reset", "PATCH", at=100_000))
    proxy.faults.append(Fault("status", "PATCH", status=500))

    assert read_blob(content, put(content, DATA)) == DATA


def test_a_proxy_that_takes_nothing_is_an_error(content: RegistryContent, proxy: Proxy) -> None:
    proxy.limit = 1000

    with pytest.raises(RegistryError, match="413") as caught:
        put(content, DATA)

    assert "proxy" in caught.value.hint


@pytest.mark.parametrize("kind", ["relative", "query"])
def test_an_upload_session_may_be_relative_and_have_a_query(
    content: RegistryContent, proxy: Proxy, kind: str
) -> None:
    class Sessions(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        puts: list[str] = []  # noqa: RUF012

        def do_PUT(self) -> None:
            self.puts.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    location = "session/1" if kind == "relative" else "/s?_state=a%2Fb"
    headers = {"Location": location}
    with serving(Sessions) as sessions:
        if kind == "query":
            headers["Location"] = f"http://{sessions}{location}"
        proxy.faults.append(Fault("status", "POST", status=202, headers=headers))
        if kind == "relative":
            proxy.faults.append(Fault("status", "PUT", status=201))
        content.put_blob(blob_of(b"x"), lambda: io.BytesIO(b"x"))

    query = f"digest=sha256%3A{blob_of(b'x').digest.hex}"
    if kind == "query":
        assert Sessions.puts == [f"/s?_state=a%2Fb&{query}"]
    else:
        path = f"/v2/{content.repository.path}/blobs/uploads/session/1?{query}"
        assert proxy.seen[-1].path == path


def test_a_storage_host_gets_no_login(tmp_path: Path) -> None:
    seen: list[dict[str, str]] = []

    class Storage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append({k.lower(): v for k, v in self.headers.items()})
            self.send_response(200)
            self.send_header("Content-Length", str(len(DATA)))
            self.end_headers()
            self.wfile.write(DATA)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    with (
        running(tmp_path / "locked", password=True) as locked,
        proxy_to(locked.address) as proxy,
        serving(Storage) as storage,
    ):
        content = Registries(Logins({proxy.address: LOGIN})).open(
            Repository.parse(f"{proxy.address}/acme/train")
        )
        content.tags()
        proxy.faults.append(
            Fault("redirect", "GET", "/blobs/", location=f"http://{storage}/x?signature=secret")
        )
        assert read_blob(content, blob_of(DATA)) == DATA

    assert "authorization" in proxy.seen[-1].headers
    assert [("authorization" in headers) for headers in seen] == [False]


def test_a_storage_address_that_has_expired_is_asked_for_again(
    content: RegistryContent, proxy: Proxy
) -> None:
    descriptor = put(content, DATA)

    class Expired(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403, "Request has expired")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    with serving(Expired) as storage:
        proxy.faults.append(
            Fault("redirect", "GET", "/blobs/", location=f"http://{storage}/?signature=hush")
        )
        assert read_blob(content, descriptor) == DATA


def test_redirects_without_end_are_an_error(content: RegistryContent, proxy: Proxy) -> None:
    proxy.faults.append(Fault("redirect", "GET", times=99, location="/v2/again"))

    with pytest.raises(RegistryError, match="redirects without end"):
        content.get_manifest("v1")


def test_tags_are_read_page_by_page(content: RegistryContent, proxy: Proxy) -> None:
    put_manifest(content, "z")
    path = f"/v2/{content.repository.path}/tags/list"
    pages = [(b'{"tags": ["b", "a"]}', f'<{path}?n=2&last=b>; rel="next"')]
    pages += [(b'{"tags": ["c"]}', f"<http://{proxy.address}{path}?n=2&last=c>; rel=next")]
    for body, link in pages:
        proxy.faults.append(Fault("status", "GET", status=200, body=body, headers={"Link": link}))

    assert content.tags() == ("a", "b", "c", "z")

    asked = [seen.path.partition("?")[2] for seen in proxy.seen if seen.method == "GET"]
    assert asked == ["n=1000", "n=2&last=b", "n=2&last=c"]


def test_pages_that_repeat_themselves_are_an_error(content: RegistryContent, proxy: Proxy) -> None:
    link = {"Link": f'</v2/{content.repository.path}/tags/list?n=1>; rel="next"'}
    proxy.faults.append(
        Fault("status", "GET", status=200, body=b'{"tags":["a"]}', headers=link, times=99)
    )

    with pytest.raises(RegistryError, match="without end"):
        content.tags()


def test_a_page_of_another_host_gets_no_login(tmp_path: Path) -> None:
    with (
        running(tmp_path / "locked", password=True) as locked,
        proxy_to(locked.address) as proxy,
        proxy_to(locked.address) as elsewhere,
    ):
        content = Registries(Logins({proxy.address: LOGIN}), patience=QUICK).open(
            Repository.parse(f"{proxy.address}/acme/train")
        )
        content.has_blob(EMPTY.digest)
        link = {"Link": f'<http://{elsewhere.address}/v2/acme/train/tags/list>; rel="next"'}
        proxy.faults.append(
            Fault("status", "GET", status=200, body=b'{"tags":["a"]}', headers=link)
        )
        with pytest.raises(RegistryError):
            content.tags()

    assert all("authorization" not in seen.headers for seen in elsewhere.seen)


def test_a_registry_that_deletes_nothing_says_so(tmp_path: Path) -> None:
    with running(tmp_path / "kept", delete=False) as server:
        content = Registries(Logins()).open(server.repository("acme/train"), writable=True)
        manifest = put_manifest(content, "v1")

        assert not content.delete_manifest(manifest.descriptor.digest)
        assert not content.delete_tag("v1")
        assert content.get_manifest("v1") == manifest


def test_docker_hub_is_read_from_the_first_mirror_that_answers(server: Running) -> None:
    direct = Registries(Logins())
    there = direct.open(server.repository("library/python"), writable=True)
    layer, manifest = put(there, DATA), put_manifest(there, "3.11-slim")
    notes: list[str] = []
    dead = f"http://127.0.0.1:{free_port()}"
    mirrored = Registries(
        Logins(), mirrors=(dead, f"http://{server.address}"), note=notes.append
    ).open(Repository.parse("python"), mirrored=True)

    assert mirrored.get_manifest("3.11-slim") == manifest
    assert read_blob(mirrored, layer) == DATA
    assert mirrored.name == "docker.io/library/python"
    assert any("asking" in note for note in notes)


def test_a_damaged_mirror_is_left_for_the_next(server: Running, proxy: Proxy) -> None:
    there = Registries(Logins()).open(server.repository("library/python"), writable=True)
    layer = put(there, b"a small layer")
    proxy.faults.append(Fault("corrupt", "GET", at=3, times=99))
    mirrors = (f"http://{proxy.address}", f"http://{server.address}")

    mirrored = Registries(Logins(), mirrors=mirrors).open(Repository.parse("python"), mirrored=True)

    assert read_blob(mirrored, layer) == b"a small layer"


def test_a_proxy_of_the_environment_is_used_with_its_login(proxy: Proxy) -> None:
    """The registry's name is known to nobody: what arrives came through the proxy."""
    environment = {"HTTP_PROXY": f"http://user:p%40ss@{proxy.address}", "NO_PROXY": "other.invalid"}
    registries = Registries(
        Logins(), environment=environment, insecure=("registry.invalid",), patience=QUICK
    )
    content = registries.open(Repository.parse("registry.invalid/acme/proxied"), writable=True)

    assert read_blob(content, put(content, DATA)) == DATA

    login = base64.b64encode(b"user:p@ss").decode()
    assert {s.headers["proxy-authorization"] for s in proxy.seen} == {f"Basic {login}"}
    assert all(s.path.startswith("http://registry.invalid/v2/") for s in proxy.seen)


def test_a_proxy_that_is_gone_is_named_without_its_login() -> None:
    environment = {"HTTP_PROXY": f"http://user:hunter2@127.0.0.1:{free_port()}"}
    registries = Registries(
        Logins(), environment=environment, insecure=("registry.invalid",), patience=QUICK
    )

    with pytest.raises(RegistryError, match="proxy failed: Connection refused") as caught:
        registries.open(Repository.parse("registry.invalid/acme/proxied")).tags()

    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize(
    "address",
    ["socks5://me:hunter2@h:1", "http://me:hunter2@h:port", "http://me:hunter2@[::1", " "],
)
def test_what_is_no_proxy_s_address_is_an_input_error(address: str) -> None:
    registries = Registries(Logins(), environment={"HTTPS_PROXY": address}, patience=QUICK)

    with pytest.raises(InputError, match="not the address of a proxy") as caught:
        registries.open(Repository.parse("registry.invalid/acme/proxied")).tags()

    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"


def test_a_proxy_that_wants_a_login_is_asked_once(proxy: Proxy) -> None:
    proxy.faults.append(Fault("status", "CONNECT", status=407, times=9))
    environment = {"HTTPS_PROXY": f"http://{proxy.address}"}
    registries = Registries(Logins(), environment=environment, patience=QUICK)

    with pytest.raises(RegistryError, match=r"the proxy answered 407 \(it wants a login"):
        registries.open(Repository.parse("registry.invalid/acme/proxied")).tags()

    assert proxy.count("CONNECT") == 1


def test_nothing_of_http_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, launch_action.oci.registries; "
        "print(*{'urllib3', 'ssl', 'http.client', 'email', 'socket'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("\n", "")


def test_urllib3_is_imported_for_a_proxy_alone(server: Running) -> None:
    code = (
        "import sys\n"
        "from launch_action.core.reference import Repository\n"
        "from launch_action.oci.registries import Registries\n"
        "class Nobody:\n"
        "    def find(self, registry): return None\n"
        f"Registries(Nobody()).open(Repository.parse('{server.address}/acme/none')).tags()\n"
        "print(*{'urllib3', 'logging', 'encodings.idna'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("\n", "")


MEMORY = """
import hashlib, io, sys
from launch_action.core.image import Descriptor
from launch_action.core.reference import Digest, Repository
from launch_action.oci.registries import Registries

class Nobody:
    def find(self, registry): return None
class Zeros(io.RawIOBase):
    def __init__(self, size): self.left = size
    def read(self, size=-1):
        size = min(size, self.left)
        self.left -= size
        return bytes(size)
def zeros(megabytes):
    digest = hashlib.sha256()
    for _ in range(megabytes):
        digest.update(bytes(1024**2))
    name = Digest("sha256:" + digest.hexdigest())
    return Descriptor("application/octet-stream", name, megabytes * 1024**2)
large, smaller = zeros(1024), zeros(200)
registries = Registries(Nobody())
one = registries.open(Repository.parse(sys.argv[1] + "/large/one"), writable=True)
two = registries.open(Repository.parse(sys.argv[2] + "/large/two"), writable=True)
assert one.put_blob(large, lambda: Zeros(large.size)) == "sent"
with one.open_blob(large) as chunks:
    assert sum(map(len, chunks)) == large.size
assert one.put_blob(smaller, lambda: Zeros(smaller.size)) == "sent"
assert two.copy_blob(smaller, one) == "sent"
# Not ru_maxrss: that begins with what the process had that started this one.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) * 1024)
"""


def test_a_gigabyte_is_put_and_read_in_less_than_100_megabytes() -> None:
    # Not in pytest's own folder, which keeps what is in it for three sessions.
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder, "one")) as one,
        running(Path(folder, "two")) as two,
    ):
        arguments = [sys.executable, "-c", MEMORY, one.address, two.address]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 100 * 1024**2


def test_each_registry_has_its_own_mirrors_with_their_own_logins(
    tmp_path: Path, server: Running
) -> None:
    """The origin is open, its mirror wants a login and puts a prefix before the path."""
    origin = Registries(Logins()).open(server.repository("acme/base"), writable=True)
    put(origin, b"only the origin has this")
    with running(tmp_path / "mirror", password=True) as other:
        logins = Logins({other.address: LOGIN})
        there = Registries(logins).open(other.repository("proxied/acme/base"), writable=True)
        layer, manifest = put(there, DATA), put_manifest(there, "v1")
        with proxy_to(other.address) as before:
            logins.found[before.address] = LOGIN
            notes: list[str] = []
            mirrors = (
                f"{server.address}=http://{before.address}/proxied",
                "ghcr.io=http://127.0.0.1:9/never",
            )
            registries = Registries(logins, mirrors=mirrors, note=notes.append)
            mirrored = registries.open(server.repository("acme/base"), mirrored=True)
            job = registries.open(server.repository("acme/base"))

            assert mirrored.get_manifest("v1") == manifest
            assert read_blob(mirrored, layer) == DATA
            assert {seen.path.split("/acme/")[0] for seen in before.seen} == {"/v2/proxied"}
            only = blob_of(b"only the origin has this")
            assert read_blob(mirrored, only) == b"only the origin has this"
            assert any(f"asking {server.address} instead" in note for note in notes)
            assert job.get_manifest("v1") is None, "a job version is never read from a mirror"


def test_a_blob_is_mounted_from_a_mirror_in_the_same_registry(server: Running) -> None:
    """As in an account with a pull-through cache of its own."""
    there = Registries(Logins()).open(server.repository("cache/library/python"), writable=True)
    layer = put(there, DATA)
    registries = Registries(Logins(), mirrors=(f"http://{server.address}/cache",))
    base = registries.open(Repository.parse("python"), mirrored=True)
    target = registries.open(server.repository("acme/on-a-mirror"), writable=True)

    assert target.copy_blob(layer, base) == "mounted"
    assert read_blob(target, layer) == DATA
