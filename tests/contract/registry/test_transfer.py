"""How content moves to and from a registry: in how many requests, by mounts, in pieces."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from support.loopback import serving
from support.registry import Logins, blob_of, running
from support.registry_proxy import Fault, Proxy
from support.versions import put, put_manifest

from launch_action.core.errors import RegistryError
from launch_action.core.image import EMPTY
from launch_action.core.ports import read_blob
from launch_action.oci.registries import Registries
from launch_action.oci.registry import RegistryContent

pytestmark = pytest.mark.registry
DATA = os.urandom(1_500_000)


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
