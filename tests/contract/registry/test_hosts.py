"""Answers that lead elsewhere: storage hosts, further pages, mirrors; and who gets which login."""

from __future__ import annotations

import os
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from support.loopback import free_port, serving
from support.registry import LOGIN, Logins, Running, blob_of, running
from support.registry_proxy import Fault, Proxy, proxy_to
from support.versions import put, put_manifest

from launch_action.core.errors import RegistryError
from launch_action.core.image import EMPTY
from launch_action.core.ports import read_blob
from launch_action.core.reference import Repository
from launch_action.oci.registries import Registries
from launch_action.oci.registry import RegistryContent
from launch_action.oci.retry import Patience

pytestmark = pytest.mark.registry
DATA = os.urandom(1_500_000)
QUICK = Patience(tries=3, base=0.01, answer=5)


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


def test_a_page_that_is_not_there_ends_no_list(content: RegistryContent, proxy: Proxy) -> None:
    """Who deletes what no tag names must not take the first page for all."""
    put_manifest(content, "z")
    link = {"Link": f'</v2/{content.repository.path}/tags/list?last=a>; rel="next"'}
    proxy.faults += [
        Fault("status", "GET", status=200, body=b'{"tags":["a"]}', headers=link),
        Fault("status", "GET", status=404),
    ]

    with pytest.raises(RegistryError, match="404 listing the tags"):
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
