"""The files beside a run's log, which is an outsider's: no other file of the machine is read."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from support.wandb_log import field, log

from launch_action.core.errors import InputError, SourceError
from launch_action.core.wandb_run import LoggedCode, LoggedFile, RunFacts
from launch_action.wandb_runs.directory import read_run
from launch_action.wandb_runs.find import find_log
from launch_action.wandb_runs.logged_code import CodeFile, logged_code, write_code

SECRET = b"a file of this machine"


def md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The directory of a run that says no more than its id."""
    made = tmp_path / "wandb/offline-run-20260101_000000-abc"
    (made / "files").mkdir(parents=True)
    (made / "run-abc.wandb").write_bytes(log(field(17, field(1, b"abc"))))
    return made


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    found = tmp_path / "secret"
    found.write_bytes(SECRET)
    return found


def environment(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home")}


def code(path: str, place: Path | str, data: bytes = SECRET) -> RunFacts:
    file = LoggedFile(path, md5(data), str(place))
    return RunFacts(run_id="abc", code=LoggedCode("source", (file,)))


def test_a_run_is_found_by_every_name_it_goes_by(run: Path, tmp_path: Path) -> None:
    expected = run.resolve() / "run-abc.wandb"
    (run.parent / "run-20250101_000000-old").mkdir()
    (run.parent / "run-20250101_000000-old/run-old.wandb").write_bytes(b"")
    for name in (run, run / "run-abc.wandb", run.parent, tmp_path):
        assert find_log(str(name), {}) == expected
    assert find_log("", {"WANDB_DIR": str(tmp_path)}) == expected
    (run.parent / "latest-run").symlink_to("run-20250101_000000-old")
    assert find_log(str(tmp_path), {}).name == "run-old.wandb"


def test_what_is_no_run_is_told(run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (run / "files/x.txt").write_text("")
    for name in ("empty", "nowhere"):
        with pytest.raises(SourceError):
            find_log(str(tmp_path / name), {})
    with pytest.raises(InputError, match="not the log of a W&B run"):
        find_log(str(run / "files/x.txt"), {})
    (run / "run-other.wandb").write_bytes(b"")
    with pytest.raises(SourceError, match="more than one log"):
        find_log(str(run), {})


def test_a_latest_run_that_leads_elsewhere_is_not_followed(run: Path, tmp_path: Path) -> None:
    wandb = tmp_path / "other/wandb"
    wandb.mkdir(parents=True)
    (wandb / "latest-run").symlink_to(run)

    with pytest.raises(SourceError, match="no W&B run"):
        find_log(str(wandb), {})


@pytest.mark.parametrize("data", [b"", b"not a log", b":W&B\xe1\xbe\x00"])
def test_a_log_that_cannot_be_read_is_told(run: Path, tmp_path: Path, data: bytes) -> None:
    (run / "run-abc.wandb").write_bytes(data)

    with pytest.raises(SourceError, match="no W&B run can be read"):
        read_run(run / "run-abc.wandb", environment(tmp_path))


def test_links_out_of_the_run_are_not_followed(run: Path, outside: Path, tmp_path: Path) -> None:
    for name in ("requirements.txt", "diff.patch", "wandb-metadata.json"):
        (run / "files" / name).symlink_to(outside)
    (run / "files/code").mkdir()
    (run / "files/code/train.py").symlink_to(outside)
    found = read_run(run / "run-abc.wandb", environment(tmp_path))

    assert (found.run.frozen, found.run.patch, found.code) == (b"", b"", ())


def test_a_linked_directory_of_code_is_not_followed(run: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/train.py").write_bytes(SECRET)
    (run / "files/code").symlink_to(tmp_path / "theirs")

    assert read_run(run / "run-abc.wandb", environment(tmp_path)).code == ()


def test_a_patch_of_any_size_is_not_read(run: Path, tmp_path: Path) -> None:
    with (run / "files/diff.patch").open("wb") as file:
        file.truncate(33 * 1024 * 1024)

    with pytest.raises(SourceError, match="more than 32 MiB"):
        read_run(run / "run-abc.wandb", environment(tmp_path))


def test_code_that_the_log_says_is_elsewhere_is_not_read(
    run: Path, outside: Path, tmp_path: Path
) -> None:
    home = environment(tmp_path)
    staging = tmp_path / "home/.local/share/wandb/artifacts/staging"
    staging.mkdir(parents=True)
    (staging / "link").symlink_to(outside)
    for place in (outside, staging / "link", staging / "../../../../../../secret"):
        found = logged_code(code("train.py", place), run, home)
        assert found.files == ()
        assert "is not on this machine" in found.missing


@pytest.mark.parametrize("path", ["../x.py", "/x.py", "a/../../x.py", "a\0b"])
def test_a_path_that_leaves_the_code_is_refused(run: Path, tmp_path: Path, path: str) -> None:
    found = logged_code(code(path, ""), run, environment(tmp_path))

    assert found.files == ()
    assert "outside its directory" in found.missing


def test_code_is_found_where_it_is_staged_and_where_it_was_uploaded_from(
    run: Path, tmp_path: Path
) -> None:
    staged = tmp_path / "data/artifacts/staging/x"
    digest = hashlib.md5(SECRET).hexdigest()
    cached = tmp_path / "cache/artifacts/obj/md5" / digest[:2] / digest[2:]
    named = {"WANDB_DATA_DIR": str(tmp_path / "data"), "WANDB_CACHE_DIR": str(tmp_path / "cache")}
    for place in (staged, cached):
        place.parent.mkdir(parents=True)
        place.write_bytes(SECRET)
        found = logged_code(code("train.py", staged), run, named)
        assert [one.place for one in found.files] == [place]
        place.unlink()


def test_code_that_changed_since_it_was_logged_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "x"
    place.write_bytes(b"other")

    with pytest.raises(SourceError, match=r"is not the 'train\.py' that the run logged"):
        write_code((CodeFile("train.py", place, md5(SECRET)),), tmp_path / "out")


@pytest.mark.parametrize("other", ["a", "a/b"])
def test_two_files_of_one_name_are_refused(tmp_path: Path, outside: Path, other: str) -> None:
    with pytest.raises(SourceError, match="two files as one"):
        write_code((CodeFile("a", outside), CodeFile(other, outside)), tmp_path / "out")
