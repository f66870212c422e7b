"""A directory as a source: what is in it after the ignore rules, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path

import pytest
from support.repositories import make_repository

from launch_action.code.directory import DirectoryContext, directory_of, open_directory
from launch_action.core.context import TreeFile
from launch_action.core.errors import InputError, SourceError

KEY = "-----BEGIN PRIVATE KEY-----\n"


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def untold(_title: str, _total: int) -> nullcontext[Callable[[int], None]]:
    return nullcontext(lambda _: None)


def opened(root: Path, *allowed: str) -> DirectoryContext:
    return open_directory(root, allowed=allowed, transfer=untold)


def paths(root: Path, *allowed: str) -> list[str]:
    return [file.path for file in opened(root, *allowed).files]


def test_files_are_sorted_hashed_and_keep_their_execute_bit(tmp_path: Path) -> None:
    write(tmp_path, {"b.py": "2", "a/x.sh": "1", "a.py": ""})
    (tmp_path / "a/x.sh").chmod(0o750)
    (tmp_path / "link").symlink_to("a/x.sh")
    (tmp_path / "dir").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")

    found = opened(tmp_path)

    kinds = [(file.path, file.kind, file.size) for file in found.files]
    assert kinds == [
        ("a.py", "file", 0), ("a/x.sh", "executable", 1), ("b.py", "file", 1),
        ("dir", "symlink", 1), ("link", "symlink", 6),
    ]  # fmt: skip
    assert found.read("b.py") == b"2"
    assert found.read("link") == b"a/x.sh"
    assert found.read("none") is None
    assert [b"".join(chunks) for _, chunks in found.contents(found.files)][1] == b"1"


def test_what_git_ignores_and_caches_are_left_out(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "train.py": "", ".git/config": "", "wandb/run-1/x": "", "pkg/wandb/y.py": "",
            "env/pyvenv.cfg": "", "env/lib/x.py": "", "pkg/__pycache__/m.pyc": "", ".venv/x": "",
            "launch-output/1/f": "", ".gitignore": "*.log\n/data/\n!keep.log\n", "a.log": "",
            "keep.log": "", "data/big": "", "pkg/data/small": "",
            "pkg/.gitignore": "!a.log\nsmall\n", "pkg/a.log": "",
            ".launchignore": "notes/\n!pkg/data/small\n", "notes/x": "",
        },
    )  # fmt: skip

    assert paths(tmp_path) == [
        ".gitignore", ".launchignore", "keep.log", "pkg/.gitignore", "pkg/a.log", "pkg/data/small",
        "pkg/wandb/y.py", "train.py",
    ]  # fmt: skip


def test_it_ignores_what_git_ignores(tmp_path: Path) -> None:
    """The same rules as git's own, over a tree that has every kind of pattern."""
    work = make_repository(tmp_path / "repository")
    work.write(
        {
            ".gitignore": "*.tmp\n/top\nbuild/\n**/deep/*.x\na/**/z\n!a/keep/z\n"
            "space\\ \n# no\n\\#yes\n",
            "x.tmp": "", "top": "", "sub/top": "", "build/x": "", "sub/build/x": "",
            "s/deep/1.x": "", "s/deep/1.y": "", "a/b/c/z": "",
            "a/keep/z": "", "a/z": "", "space ": "", "#yes": "",
            "# no": "", "sub/.gitignore": "!*.tmp\nlocal\n", "sub/y.tmp": "", "sub/local": "",
        }
    )  # fmt: skip
    listed = work.git("ls-files", "--others", "--exclude-standard", "-z").split("\0")

    assert paths(work.path) == sorted(filter(None, listed))
    inside = work.git("-C", "sub", "ls-files", "--others", "--exclude-standard", "-z").split("\0")
    assert paths(work.path / "sub") == sorted(filter(None, inside))
    assert paths(work.path / "build") == ["x"]  # ignored as a whole, and named all the same


@pytest.mark.parametrize("name", [".env", "keys/id_rsa", "cert.pem"])
def test_a_credential_is_refused_by_name_until_it_is_let_in(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"train.py": "", name: KEY})

    with pytest.raises(SourceError, match="look like credentials") as refused:
        opened(tmp_path)

    assert repr(name) in refused.value.message
    assert KEY.strip() not in refused.value.message + refused.value.context
    assert "--allow-file" in refused.value.hint
    assert name in paths(tmp_path, name)
    write(tmp_path, {".launchignore": f"{name}\n"})
    assert name not in paths(tmp_path)


@pytest.mark.parametrize("target", ["../other", "/etc/passwd", "a/../../x"])
def test_a_link_that_leaves_the_directory_is_refused(tmp_path: Path, target: str) -> None:
    root = write(tmp_path / "source", {"train.py": "", "a/b": ""})
    (root / "link").symlink_to(target)

    with pytest.raises(SourceError, match="leave the directory: 'link'"):
        opened(root)


def test_a_file_that_changes_after_it_was_hashed_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, {"same.py": "12", "longer.py": "12", "shorter.py": "12", "gone.py": "12"})
    found = opened(tmp_path)
    write(tmp_path, {"same.py": "34", "longer.py": "123", "shorter.py": "1"})
    (tmp_path / "gone.py").unlink()

    for name in ("same.py", "longer.py", "shorter.py", "gone.py"):
        with pytest.raises(SourceError, match=r"changed|cannot be read"):
            found.read(name)


def test_names_that_are_no_text_are_kept(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \n.py")
    write(tmp_path, {name: "x", "*.py": "y"})

    assert sorted(paths(tmp_path)) == sorted(["*.py", name])
    assert opened(tmp_path).read(name) == b"x"


def test_an_empty_directory_and_what_is_none_are_told(tmp_path: Path) -> None:
    write(tmp_path, {"wandb/x": ""})
    with pytest.raises(SourceError, match="nothing to record"):
        opened(tmp_path)
    for text in (str(tmp_path / "none"), str(tmp_path / "wandb/x")):
        with pytest.raises(InputError, match="uri"):
            directory_of(text)


def test_a_directory_below_is_a_context_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, {"jobs/a/train.py": "1", "jobs/b/x.py": "2", ".python-version": "3.11"})
    found = opened(tmp_path)

    below = found.below("jobs/a")

    assert [file.path for file in below.files] == ["train.py"]
    assert below.read("train.py") == b"1"
    assert found.outer(".python-version", "none") == {".python-version": b"3.11"}
    with pytest.raises(SourceError, match="'jobs/c'"):
        found.below("jobs/c")


def test_reading_is_bounded_in_memory(tmp_path: Path) -> None:
    """Half a gigabyte in one file, hashed and read by a process of at most 300 MB."""
    with (tmp_path / "big.bin").open("wb") as file:
        file.truncate(512 << 20)
    script = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (300 << 20,) * 2)\n"
        "from pathlib import Path\n"
        "from contextlib import nullcontext\n"
        "from launch_action.code.directory import open_directory\n"
        f"c = open_directory(Path({str(tmp_path)!r}), allowed=(),"
        " transfer=lambda *_: nullcontext(lambda _: None))\n"
        "print(sum(len(k) for _, chunks in c.contents(c.files) for k in chunks))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert done.stdout.strip() == str(512 << 20), done.stderr


def test_the_content_decides_and_nothing_else(tmp_path: Path) -> None:
    one = write(tmp_path / "one", {"a/x.py": "1", "b.py": "2"})
    other = write(tmp_path / "other", {"b.py": "2", "a/x.py": "1"})
    os.utime(other / "b.py", (0, 0))
    (other / "b.py").chmod(0o604)

    same: tuple[TreeFile, ...] = opened(one).files
    assert same == opened(other).files


def test_a_path_may_be_deeper_than_python_counts(tmp_path: Path) -> None:
    with ExitStack() as stack:
        at = os.open(tmp_path, os.O_RDONLY)
        stack.callback(os.close, at)
        for _ in range(1200):
            os.mkdir("d", dir_fd=at)
            at = os.open("d", os.O_RDONLY, dir_fd=at)
            stack.callback(os.close, at)
        os.close(os.open("main.py", os.O_CREAT | os.O_WRONLY, dir_fd=at))

    try:
        assert paths(tmp_path) == ["d/" * 1200 + "main.py"]
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)  # shutil recurses


def test_patterns_that_cannot_be_are_told_and_many_stars_take_no_time(tmp_path: Path) -> None:
    write(tmp_path, {"main.py": "", ".launchignore": "[z-a]\n"})
    with pytest.raises(InputError, match=r"launchignore.*bad character range"):
        opened(tmp_path)
    write(tmp_path, {".launchignore": "*" * 3000 + "a\n", "xa": ""})
    assert paths(tmp_path) == [".launchignore", "main.py"]
