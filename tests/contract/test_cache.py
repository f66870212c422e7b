"""The local cache: bounded, least recently used first, whole whatever happens to a process."""

from __future__ import annotations

import fcntl
import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.bases import Remembered

from launch_action.cache import DEFAULT_LIMIT, Cache, cache_limit
from launch_action.core.errors import BuildError, InputError
from launch_action.core.inputs import Inputs
from launch_action.planning.workplace import Workplace

KIB = 1024


def put(cache: Cache, name: str, size: int = KIB, kind: str = "wheels") -> str:
    """A new entry; its key. The next one is used later."""
    key = hashlib.sha256(name.encode()).hexdigest()
    with cache.write(kind, key) as path:
        path.write_bytes(bytes(size))
    time.sleep(0.01)
    return key


def grow(tree: Path, size: int = KIB, files: int = 4) -> Path:
    """Files in a tree; the next thing is used later."""
    for number in range(files):
        place = tree / f"deep-{number}" / "file"
        place.parent.mkdir(parents=True)
        place.write_bytes(bytes(size // files))
    time.sleep(0.01)
    return tree


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is two hours further than the files: nothing is young."""
    now = time.time
    monkeypatch.setattr("launch_action.cache.time.time", lambda: now() + 7200)


def names(cache: Cache, *below: str) -> list[str]:
    return sorted(path.name for path in cache.root.joinpath(*below).iterdir())


# ---- the limit ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("later")
def test_what_was_used_least_recently_goes_until_the_limit_is_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=3 * KIB)
    keys = [put(cache, str(number)) for number in range(6)]
    assert cache.find("wheels", keys[0])

    assert cache.trim() == 3 * KIB
    assert [cache.find("wheels", key) is not None for key in keys] == [1, 0, 0, 0, 1, 1]


@pytest.mark.usefixtures("later")
def test_a_cache_below_its_limit_is_left_alone(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=2 * KIB)
    keys = [put(cache, str(number)) for number in range(2)]
    assert cache.trim() == 0
    assert all(cache.find("wheels", key) for key in keys)


def test_what_is_young_stays(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=0)
    key = put(cache, "one")
    tree = grow(cache.tree("environments", "e" * 64))
    assert cache.trim() == 0
    assert cache.find("wheels", key)
    assert tree.is_dir()


@pytest.mark.usefixtures("later")
def test_a_second_look_within_an_hour_is_not_taken(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=0)
    put(cache, "one")
    (tmp_path / ".trimmed").touch()
    os.utime(tmp_path / ".trimmed", times=(time.time() - 3500,) * 2)
    assert cache.trim() == 0
    os.utime(tmp_path / ".trimmed", times=(time.time() - 3700,) * 2)
    assert cache.trim() == KIB
    put(cache, "two")
    assert cache.trim(pause=0) == KIB


@pytest.mark.usefixtures("later")
def test_a_cache_that_cannot_be_changed_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert Cache(tmp_path / "file", limit=0).trim() == 0
    assert Cache(tmp_path / "none" / "yet", limit=0).trim() == 0


@pytest.mark.usefixtures("later")
def test_only_one_process_looks_at_a_time(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=0)
    put(cache, "one")
    with cache.lock("trim"):
        assert cache.trim() == 0
    assert cache.trim() == KIB


@pytest.mark.usefixtures("later")
def test_what_a_killed_run_left_goes_although_there_is_room(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    put(cache, "one")
    left = [tmp_path / "wheels" / ".partial-a", tmp_path / "wheels" / "ab" / ".partial-b"]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    left.append(grow(cache.directory("apt") / "tmpx1"))
    left.append(grow(tmp_path / ".trash-1" / "unit").parent)
    cache.trim()
    assert not [path for path in left if path.exists()]
    assert len(list((tmp_path / "wheels").rglob("*/*"))) == 1


def test_what_is_being_written_stays(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=0)
    with cache.partial("wheels") as path, cache.write("wheels", "a" * 64) as other:
        path.write_bytes(b"x")
        cache.trim(pause=0)
        assert path.read_bytes() == b"x"
        assert other.exists()
    assert names(cache, "wheels") == ["aa"]


@pytest.mark.parametrize("step", ["touch", "unlink"])
def test_an_interruption_right_after_or_before_a_step_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    real, times = getattr(Path, step), list[Path]()

    def interrupted(path: Path, *arguments: Any, **named: Any) -> None:
        times.append(path)
        if step == "touch" or len(times) > 1:
            real(path, *arguments, **named)
        if len(times) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, step, interrupted)
    with pytest.raises(KeyboardInterrupt), Cache(tmp_path).partial("wheels"):
        pass

    assert times
    assert not list(tmp_path.rglob(".partial-*"))


# ---- trees --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("later")
def test_a_tree_goes_as_a_whole_the_least_recently_used_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=2 * KIB)
    for name in ("one", "two", "three", "four"):
        grow(cache.tree("environments", name * 20))
    cache.tree("environments", "one" * 20)

    assert cache.trim() == 2 * KIB
    assert names(cache, "environments") == ["four" * 20, "one" * 20]
    assert all(len(list((tmp_path / "environments").glob(f"{n * 20}/*/file"))) == 4
               for n in ("one", "four"))  # fmt: skip
    assert not list(tmp_path.glob(".trash-*"))


@pytest.mark.usefixtures("later")
def test_a_tree_whose_files_were_linked_elsewhere_was_used(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit=KIB)
    first = grow(cache.directory("environments") / ("a" * 64))
    second = grow(cache.directory("environments") / ("b" * 64))
    os.link(first / "deep-0" / "file", tmp_path / "run")
    cache.trim()
    assert (first.is_dir(), second.is_dir()) == (True, False)


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize(
    ("kind", "key", "lock"),
    [
        ("environments", "e" * 64, "environment-" + "e" * 16),
        ("pythons", "3.11", "python-3.11"),
        ("apt", "f" * 32, "apt-" + "f" * 32),
    ],
)
def test_a_tree_that_is_locked_stays(tmp_path: Path, kind: str, key: str, lock: str) -> None:
    cache = Cache(tmp_path, limit=0)
    tree = grow(cache.tree(kind, key))
    with cache.lock(lock):
        cache.trim(pause=0)
        assert tree.is_dir()
    cache.trim(pause=0)
    assert not tree.exists()
    assert lock in names(cache, "locks")


@pytest.mark.usefixtures("later")
def test_the_lock_of_another_tree_keeps_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=0)
    tree = grow(cache.tree("pythons", "3.11.9"))
    with cache.lock("python-3.11"):
        cache.trim()
    assert not tree.exists()


@pytest.mark.usefixtures("later")
def test_an_interpreter_that_runs_stays(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=0)
    program = cache.tree("pythons", "3.11") / "bin" / "sleep"
    program.parent.mkdir()
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([program, "60"]) as child:
        try:
            cache.trim(pause=0)
            assert program.exists()
        finally:
            child.kill()
    cache.trim(pause=0)
    assert not program.exists()


@pytest.mark.usefixtures("later")
def test_the_state_of_uv_is_one_unit(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=3 * KIB)
    for bucket in ("archive-v0", "simple-v18"):
        grow(cache.directory("uv") / bucket, 2 * KIB)
    key = put(cache, "one")
    assert cache.trim() == 4 * KIB
    assert not (tmp_path / "uv").exists()
    assert cache.find("wheels", key)


# ---- several processes --------------------------------------------------------------------------

# Every entry's key is the hash of its content, so that half an entry is seen by anybody.
ACTOR = """
import contextlib, hashlib, os, random, sys, time
from pathlib import Path
from launch_action.cache import Cache
role, root, seed, until = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), None
cache, chance, count = Cache(root, limit=200_000), random.Random(seed), 0
def content():
    number = chance.randrange(40)
    return bytes([number]) * (1 + number * 1000)
while until is None or time.time() < until:
    if count == 1:
        until = time.time() + float(sys.argv[4])
        print("at work", flush=True)
    count += 1
    data = content()
    key = hashlib.sha256(data).hexdigest()
    if role == "trim":
        for path in root.glob("kind/??/[0-9a-f]*"):
            with contextlib.suppress(FileNotFoundError):
                os.utime(path, times=(chance.random(), 0))
        cache.trim(pause=0)
    elif role == "write":
        with cache.write("kind", key) as path, path.open("wb") as out:
            for start in range(0, len(data), 4096):
                out.write(data[start:start + 4096])
                out.flush()
    elif (path := cache.find("kind", key)) is not None:
        try:
            found = path.read_bytes()
        except FileNotFoundError:
            continue
        assert hashlib.sha256(found).hexdigest() == key, path
print(count)
"""


def actor(role: str, root: Path, seed: int, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ACTOR, role, root, str(seed), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def assert_whole(root: Path) -> int:
    """Every entry is what its key says; how many there are."""
    found = [p for p in root.glob("kind/??/*") if not p.name.startswith(".partial-")]
    for path in found:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    return len(found)


def test_writers_readers_and_trimmers_never_see_half_an_entry(tmp_path: Path) -> None:
    roles = ("write", "write", "read", "read", "trim", "trim")
    started = [actor(role, tmp_path, seed, 3) for seed, role in enumerate(roles)]
    for child in started:
        out, err = child.communicate(timeout=60)
        assert child.returncode == 0, err
        assert int(out.split()[-1]) > 10
    assert_whole(tmp_path)
    assert not list(tmp_path.rglob(".partial-*"))


def test_a_killed_process_leaves_no_entry_half_written(tmp_path: Path) -> None:
    for seed in range(8):
        started = [actor(role, tmp_path, seed, 60) for role in ("write", "write", "trim")]
        for child in started:
            assert child.stdout
            assert child.stdout.readline() == "at work\n"
        time.sleep(random.Random(seed).random() / 4)
        for child in started:
            child.kill()
            child.communicate()
    assert assert_whole(tmp_path) > 0


@pytest.mark.usefixtures("later")
def test_a_trimmer_that_is_killed_leaves_a_tree_whole_or_gone(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=0)
    code = "import sys; from pathlib import Path; from launch_action.cache import Cache\n" \
        "Cache(Path(sys.argv[1]), limit=0)._trim(2e10)"  # fmt: skip
    partly = 0
    for number in range(6):
        tree = grow(cache.tree("environments", f"{number}" * 64), 2000 * KIB, 2000)
        with subprocess.Popen([sys.executable, "-c", code, tmp_path]) as child:
            while child.poll() is None and not list(tmp_path.glob(".trash-*/unit")):
                time.sleep(0.001)
            child.kill()
        partly += bool(list(tmp_path.glob(".trash-*/unit/*")))
        assert not tree.exists() or len(list(tree.glob("*/file"))) == 2000
    assert partly
    cache.trim(pause=0)
    assert not list(tmp_path.glob(".trash-*"))


def test_a_lock_is_held_against_other_processes(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with (
        cache.lock("name"),
        (tmp_path / "locks" / "name").open() as other,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


# ---- a full disk --------------------------------------------------------------------------------


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    place.mkdir()
    command = ("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place))
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as place:
        cache = Cache(place)
        whole = put(cache, "one")
        with pytest.raises(BuildError, match="No space left on device") as told:
            put(cache, "two", 2 << 20)
        assert "LAUNCH_ACTION_CACHE" in told.value.hint
        with pytest.raises(BuildError, match="No space left on device"), cache.partial("k") as path:
            path.write_bytes(bytes(2 << 20))
        assert cache.find("wheels", whole)
        assert not list(place.rglob(".partial-*"))


# ---- the size of the limit ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", DEFAULT_LIMIT),
        (" ", DEFAULT_LIMIT),
        ("0", 0),
        ("1048576", 1 << 20),
        ("20GB", 20 * 10**9),
        ("20 gb", 20 * 10**9),
        ("500M", 5 * 10**8),
        ("8GiB", 8 << 30),
        ("1.5KiB", 1536),
        ("2TB", 2 * 10**12),
        ("100B", 100),
    ],
)
def test_the_limit_is_bytes_or_a_size(text: str, size: int) -> None:
    assert cache_limit({"LAUNCH_ACTION_CACHE_LIMIT": text}) == size
    assert cache_limit({}) == DEFAULT_LIMIT == 10 << 30


@pytest.mark.parametrize("text", ["lots", "-1", "1e9", "10 PB", "GB", "1.GB", "0x10", "9" * 30])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="LAUNCH_ACTION_CACHE_LIMIT cannot be"):
        cache_limit({"LAUNCH_ACTION_CACHE_LIMIT": text})


def test_the_program_takes_the_limit_from_its_environment(tmp_path: Path) -> None:
    environment = {"LAUNCH_ACTION_CACHE": str(tmp_path), "LAUNCH_ACTION_CACHE_LIMIT": "1GB"}
    place = Workplace(Inputs(), environment, Remembered(), 0)
    assert place.cache == Cache(tmp_path, 10**9)
