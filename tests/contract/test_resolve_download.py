"""Fetching wheels from a real server that misbehaves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from support.index import Index, make_wheel, serve_index

from launch_action.builders.layers.download import Downloader, OnlyUvCan
from launch_action.builders.layers.index_auth import Logins
from launch_action.builders.layers.lock import LockedWheel
from launch_action.cache import Cache
from launch_action.core.errors import BuildError

BIG = {"big.bin": bytes(range(256)) * 4096}


@pytest.fixture
def index() -> Iterator[Index]:
    with serve_index() as found:
        yield found


class Case:
    """One wheel on the index and what fetches it; `pauses` are the waits that were made."""

    def __init__(self, index: Index, directory: Path, login: tuple[str, str] | None = None):
        name, self.data = make_wheel("alpha", "1.0", files=BIG)
        url = index.add((name, self.data))
        digest = hashlib.sha256(self.data).hexdigest()
        self.wheel = LockedWheel("alpha", "1.0", name, url, digest, len(self.data))
        self.pauses: list[float] = []
        self.received = 0
        self.cache = Cache(directory / "cache")
        logins = Logins(((index.url, *login),)) if login else Logins()
        self.downloader = Downloader(self.cache, logins, sleep=self.pauses.append)

    def fetch(self, **changed: object) -> bytes:
        wheel = replace(self.wheel, **changed)  # type: ignore[arg-type]
        return self.downloader.fetch(wheel, self._count).read_bytes()

    def _count(self, size: int) -> None:
        self.received += size

    def nothing_is_left(self) -> bool:
        return not [p for p in self.cache.root.rglob("*") if p.is_file()]


def test_a_wheel_is_fetched_once_and_counted(index: Index, tmp_path: Path) -> None:
    case = Case(index, tmp_path)
    assert case.fetch() == case.data
    assert case.fetch() == case.data
    assert case.received == len(case.data)
    assert len(index.seen) == 1


@pytest.mark.parametrize("fault", [429, 500, 503, "cut"])
def test_a_passing_fault_is_waited_out(index: Index, tmp_path: Path, fault: int | str) -> None:
    case = Case(index, tmp_path)
    index.faults["/files/"] = [fault, fault]
    assert case.fetch() == case.data
    assert case.received == len(case.data)
    assert 0.25 <= case.pauses[0] <= 0.75 <= 2 * case.pauses[1] <= 3


def test_what_arrived_before_a_cut_is_not_asked_for_again(index: Index, tmp_path: Path) -> None:
    case = Case(index, tmp_path)
    index.faults["/files/"] = ["cut"]
    assert case.fetch() == case.data
    assert [one.range for one in index.seen] == ["", f"bytes={len(case.data) // 2}-"]


def test_a_server_without_ranges_sends_everything_again(index: Index, tmp_path: Path) -> None:
    case = Case(index, tmp_path)
    index.ranges = False
    index.faults["/files/"] = ["cut"]
    assert case.fetch() == case.data
    assert case.received == len(case.data)


def test_a_fault_that_stays_is_an_error_after_five_attempts(index: Index, tmp_path: Path) -> None:
    case = Case(index, tmp_path)
    index.faults["/files/"] = [503] * 9
    with pytest.raises(BuildError, match=r"cannot fetch alpha-1.0.* 127.0.0.1.*HTTP status 503"):
        case.fetch()
    assert len(case.pauses) == 4
    assert case.nothing_is_left()


def test_a_server_that_is_gone_is_an_error(index: Index, tmp_path: Path) -> None:
    case = Case(index, tmp_path)
    with pytest.raises(BuildError, match="Connection refused"):
        case.fetch(url="http://127.0.0.1:1/alpha.whl")


def test_the_time_a_server_asks_for_is_waited(index: Index, tmp_path: Path) -> None:
    case = Case(index, tmp_path)
    index.faults["/files/"] = [429]
    index.retry_after = "7"
    case.fetch()
    assert case.pauses == [7.0]


def test_other_bytes_are_refused_and_not_kept(index: Index, tmp_path: Path) -> None:
    case = Case(index, tmp_path)
    index.faults["/files/"] = ["wrong"]
    with pytest.raises(BuildError, match="is not the file that was locked: sha256:"):
        case.fetch()
    assert case.nothing_is_left()


@pytest.mark.parametrize("difference", [-1, 1])
def test_another_size_is_refused(index: Index, tmp_path: Path, difference: int) -> None:
    case = Case(index, tmp_path)
    with pytest.raises(BuildError, match=r"is not the file that was locked: .* bytes"):
        case.fetch(size=len(case.data) + difference)
    assert case.nothing_is_left()


def test_hashes_of_another_kind_are_checked_too(index: Index, tmp_path: Path) -> None:
    case = Case(index, tmp_path)
    right = f"sha512:{hashlib.sha512(case.data).hexdigest()}"
    assert case.fetch(hashes=(right,)) == case.data
    with pytest.raises(BuildError, match="none of its hashes holds"):
        case.fetch(hashes=(f"sha512:{'0' * 128}",))


def test_a_wheel_without_a_known_digest_is_named_by_what_arrives(
    index: Index, tmp_path: Path
) -> None:
    case = Case(index, tmp_path)
    unknown = replace(case.wheel, sha256="", size=None)
    assert case.downloader.complete(unknown) == case.wheel
    assert case.downloader.complete(case.wheel) is case.wheel
    assert case.fetch() == case.data
    assert len(index.seen) == 1


def test_a_file_that_is_gone_is_not_asked_for_again(index: Index, tmp_path: Path) -> None:
    case = Case(index, tmp_path)
    with pytest.raises(BuildError, match="HTTP status 404"):
        case.fetch(url=f"{index.root}/files/alpha/gone.whl")
    assert len(index.seen) == 1


def test_a_login_is_sent_to_its_own_server_only(tmp_path: Path) -> None:
    login = ("bob", "secret")
    with serve_index(login=login) as index, serve_index() as other:
        case = Case(index, tmp_path, login)
        index.redirects["/files/alpha/moved.whl"] = other.add((case.wheel.filename, case.data))
        assert case.fetch(url=f"{index.root}/files/alpha/moved.whl") == case.data
        assert index.seen[0].authorization.startswith("Basic ")
        assert [one.authorization for one in other.seen] == [""]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_login_is_left_to_uv(index: Index, tmp_path: Path, status: int) -> None:
    case = Case(index, tmp_path)
    index.faults["/files/"] = [status]
    with pytest.raises(OnlyUvCan) as caught:
        case.fetch()
    assert caught.value.status == status


def test_a_size_that_no_one_told_is_asked_for(index: Index, tmp_path: Path) -> None:
    case = Case(index, tmp_path)
    assert case.downloader.size(replace(case.wheel, size=None)) == len(case.data)
    assert [one.method for one in index.seen] == ["HEAD"]


def test_many_threads_share_a_downloader(index: Index, tmp_path: Path) -> None:
    case = Case(index, tmp_path)
    wheels = [case.wheel]
    for number in range(20):
        name, data = make_wheel(f"p{number}", "1.0")
        digest = hashlib.sha256(data).hexdigest()
        wheels.append(LockedWheel(f"p{number}", "1.0", name, index.add((name, data)), digest))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(case.downloader.fetch, wheels * 2))
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in found] == [
        one.sha256 for one in wheels * 2
    ]


def test_a_proxy_of_the_environment_is_used(index: Index, tmp_path: Path) -> None:
    case = Case(index, tmp_path)
    # Our index answers requests in a proxy's form: with a whole URL in the first line.
    through = replace(case.downloader, environment={"http_proxy": index.root}, _pools={})
    wheel = replace(case.wheel, url=case.wheel.url.replace(index.root, "http://far.invalid"))
    assert through.fetch(wheel).read_bytes() == case.data
    around = replace(through, environment={"http_proxy": index.root, "no_proxy": "far.invalid"},
                     cache=Cache(tmp_path / "other"), _pools={})  # fmt: skip
    with pytest.raises(BuildError, match=r"far\.invalid"):
        around.fetch(wheel)
