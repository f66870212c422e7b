"""An upload that breaks off goes on where the registry says it is; else it begins anew."""

from __future__ import annotations

import io
import os

import pytest
from support.registry import blob_of
from support.registry_proxy import Fault, Proxy

from launch_action.core.errors import RegistryError
from launch_action.core.image import Descriptor
from launch_action.core.ports import read_blob
from launch_action.oci.registry import RegistryContent
from launch_action.oci.retry import Patience

pytestmark = pytest.mark.registry
SIZE = 3_000_000
DATA = os.urandom(SIZE)
LIMIT = 1_000_000
QUICK = Patience(tries=3, base=0.01, answer=5)


def put(content: RegistryContent, moved: list[int] | None = None) -> Descriptor:
    descriptor = blob_of(DATA)
    told = moved if moved is not None else []
    content.put_blob(descriptor, lambda: io.BytesIO(DATA), progress=told.append)
    return descriptor


def pieces(proxy: Proxy) -> list[str]:
    """The ranges of the pieces that were sent, in order."""
    ranges = (seen.headers.get("content-range") for seen in proxy.seen)
    return [found for found in ranges if found]


def test_what_came_of_a_broken_request_is_not_sent_again(
    content: RegistryContent, proxy: Proxy, notes: list[str]
) -> None:
    proxy.faults.append(Fault("keep", "PUT", "/blobs/uploads/", at=1_000_000))
    moved: list[int] = []

    descriptor = put(content, moved)

    assert pieces(proxy) == [f"1000000-{SIZE - 1}"]
    assert read_blob(content, descriptor) == DATA
    assert sum(moved) == SIZE
    assert any("has 1000000 bytes of it: going on from there" in note for note in notes)


def test_an_upload_goes_on_as_often_as_it_gets_further(
    content: RegistryContent, proxy: Proxy
) -> None:
    """More often than anything is tried that gets no further."""
    proxy.faults.append(Fault("keep", "PUT", "/blobs/uploads/", at=300_000, times=7))

    descriptor = put(content)

    assert len(pieces(proxy)) == 7 > QUICK.tries
    assert read_blob(content, descriptor) == DATA


@pytest.mark.parametrize("broken", [Fault("reset", "PATCH", at=1000), Fault("lose", "PATCH")])
def test_the_pieces_that_were_taken_are_not_sent_again(
    content: RegistryContent, proxy: Proxy, broken: Fault
) -> None:
    """Behind a proxy that limits requests, and that keeps a broken one to itself.

    Where the registry has the piece and only the answer was lost, it begins anew.
    """
    proxy.limit = LIMIT
    proxy.faults.append(Fault("hide", "PATCH", times=3))
    proxy.faults.append(broken)

    descriptor = put(content)

    if broken.kind == "reset":
        refused, *sent = pieces(proxy)
        assert refused == "0-1499999"
        assert sent == [
            "0-749999", "750000-1499999", "1500000-2249999", "1500000-2249999", "2250000-2999999",
        ]  # fmt: skip
    assert read_blob(content, descriptor) == DATA


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_registry_that_cannot_go_on_gets_a_new_upload(
    content: RegistryContent, proxy: Proxy, method: str
) -> None:
    """docker-registry ends an upload of which it has another number of bytes than was agreed."""
    if method == "PATCH":
        proxy.limit = LIMIT
        proxy.faults.append(Fault("hide", "PATCH", times=2))
    proxy.faults.append(Fault("cut", method, "/blobs/uploads/", at=200_000))

    descriptor = put(content)

    assert proxy.count("POST", "/blobs/uploads/") >= 2
    assert read_blob(content, descriptor) == DATA


@pytest.mark.parametrize(
    "answer",
    [
        Fault("status", "GET", "/blobs/uploads/", status=404),
        Fault("status", "GET", "/blobs/uploads/", status=405),
        Fault("status", "GET", "/blobs/uploads/", status=204),
        Fault("status", "GET", "/blobs/uploads/", status=204, headers={"Range": "0-99999999"}),
        Fault("status", "GET", "/blobs/uploads/", status=204, headers={"Range": "rubbish"}),
        Fault("status", "GET", "/blobs/uploads/", status=403),
    ],
    ids=lambda fault: f"{fault.status}-{fault.headers}",
)
def test_no_usable_answer_is_a_new_upload(
    content: RegistryContent, proxy: Proxy, answer: Fault
) -> None:
    proxy.faults += [Fault("reset", "PUT", at=1000), answer]

    descriptor = put(content)

    assert not proxy.faults
    assert proxy.count("POST", "/blobs/uploads/") == 2
    assert read_blob(content, descriptor) == DATA


def test_an_answer_about_bytes_spells_them_in_two_ways(
    content: RegistryContent, proxy: Proxy
) -> None:
    proxy.faults.append(Fault("keep", "PUT", "/blobs/uploads/", at=1_000_000))
    proxy.faults.append(
        Fault("hide", "GET", "/blobs/uploads/", headers={"Range": "bytes=0-999999"})
    )

    put(content)

    assert pieces(proxy) == [f"1000000-{SIZE - 1}"]


def test_an_upload_that_is_complete_but_for_its_end_is_ended(
    content: RegistryContent, proxy: Proxy
) -> None:
    proxy.faults.append(Fault("keep", "PUT", "/blobs/uploads/", at=SIZE))

    descriptor = put(content)

    assert pieces(proxy) == []
    assert read_blob(content, descriptor) == DATA


@pytest.mark.parametrize(
    "refusal",
    [
        Fault(
            "status", "PUT", "/blobs/uploads/", status=416, body=b"the request body is too large"
        ),
        Fault("status", "PUT", "/blobs/uploads/", status=413),
    ],
    ids=["416", "413"],
)
def test_a_piece_that_is_too_large_is_made_smaller(
    content: RegistryContent, proxy: Proxy, refusal: Fault
) -> None:
    """ghcr.io takes a blob of any size in one request, and in pieces 4 MiB at a time."""
    proxy.faults += [Fault("keep", "PUT", "/blobs/uploads/", at=1_000_000), refusal]

    descriptor = put(content)

    refused, *sent = pieces(proxy)
    assert refused == f"1000000-{SIZE - 1}"
    assert sent == ["1000000-1999999", "2000000-2999999"]
    assert read_blob(content, descriptor) == DATA


def test_where_pieces_are_not_taken_the_blob_is_sent_whole(
    content: RegistryContent, proxy: Proxy
) -> None:
    proxy.faults.append(Fault("keep", "PUT", "/blobs/uploads/", at=1_000_000))
    proxy.faults.append(Fault("status", "PUT", "/blobs/uploads/", status=405))

    descriptor = put(content)

    assert pieces(proxy) == [f"1000000-{SIZE - 1}"]
    assert read_blob(content, descriptor) == DATA


def test_bytes_that_the_registry_has_wrong_are_all_sent_again(
    content: RegistryContent, proxy: Proxy
) -> None:
    """It says that it has more than it has: the end shows it, and nothing is built upon it."""
    proxy.faults.append(Fault("keep", "PUT", "/blobs/uploads/", at=1_000_000))
    proxy.faults.append(Fault("hide", "GET", "/blobs/uploads/", headers={"Range": "0-1199999"}))

    descriptor = put(content)

    assert read_blob(content, descriptor) == DATA


def test_an_upload_that_gets_nowhere_is_given_up(content: RegistryContent, proxy: Proxy) -> None:
    proxy.faults.append(Fault("reset", "PUT", at=1000, times=99))

    with pytest.raises(RegistryError, match="the connection broke off"):
        put(content)

    assert proxy.count("PUT") == QUICK.tries
