"""The build context of real commits: files, submodules, LFS, and what is wrong with forged ones."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from support.repositories import (
    Work,
    forge_tree,
    git,
    lfs_pointer,
    make_repository,
    store_lfs,
)

from launch_action.core.context import Context, TreeFile, sort_key
from launch_action.core.dockerignore import Ignore
from launch_action.core.errors import InputError, LaunchError, SourceError
from launch_action.core.links import escaping_links
from launch_action.git.checkout import inspect
from launch_action.git.tree import CommitContext, open_context

BIG = bytes(range(256)) * 20_000  # 5 MB: several chunks


@pytest.fixture
def work(tmp_path: Path) -> Work:
    made = make_repository(tmp_path / "work")
    made.write({"run.sh": "#!/bin/sh\n", "jobs/train/train.py": "train\n", "empty": ""})
    (made.path / "run.sh").chmod(0o755)
    (made.path / "jobs" / "link").symlink_to("train/train.py")
    made.commit({".python-version": "3.12\n", "jobs/.python-version": "3.11\n", "big": BIG})
    return made


def opened(work: Work, path: str = "", ref: str | None = None) -> CommitContext:
    return open_context(inspect(work.path, ref=ref), path)


def content(context: Context) -> dict[str, bytes]:
    return {file.path: b"".join(chunks) for file, chunks in context.contents(context.files)}


def test_the_files_have_kind_content_and_size(work: Work) -> None:
    context: Context = opened(work)
    found = {file.path: (file.kind, file.size) for file in context.files}
    assert found == {
        ".python-version": ("file", 5),
        "big": ("file", len(BIG)),
        "empty": ("file", 0),
        "jobs/.python-version": ("file", 5),
        "jobs/link": ("symlink", 14),
        "jobs/train/train.py": ("file", 6),
        "run.sh": ("executable", 10),
    }
    train = next(file for file in context.files if file.path.endswith("train.py"))
    assert train.content == f"git:{work.git('rev-parse', 'HEAD:jobs/train/train.py')}"


def test_the_contents_are_those_of_the_commit_and_not_of_the_workspace(work: Work) -> None:
    expected = content(opened(work))
    assert expected["big"] == BIG
    assert expected["jobs/link"] == b"train/train.py"
    work.write({"jobs/train/train.py": "dirty\n", "new.py": "untracked\n"})
    (work.path / "run.sh").unlink()
    work.git("add", "new.py")
    assert content(opened(work)) == expected


def test_chunks_are_at_most_one_mebibyte(work: Work) -> None:
    context = opened(work)
    sizes = [len(chunk) for _, chunks in context.contents(context.files) for chunk in chunks]
    assert max(sizes) == 1024 * 1024


def test_contents_come_in_the_order_asked_for_and_unread_ones_are_skipped(work: Work) -> None:
    context = opened(work)
    backwards = tuple(reversed(context.files)) * 50  # more requests than are sent ahead
    read = {}
    for number, (file, chunks) in enumerate(context.contents(backwards)):
        assert file == backwards[number]
        if number % 3 == 0:
            read[file.path] = b"".join(chunks)
        elif number % 3 == 1:
            next(chunks, None)
    assert read == content(context)


def test_a_stream_may_be_left_early(work: Work) -> None:
    context = opened(work)
    stream = context.contents(context.files * 100)
    next(stream)
    del stream
    assert context.read("empty") == b""


def test_another_commit_than_head_can_be_read(work: Work) -> None:
    first = work.git("rev-parse", "HEAD")
    work.commit({"jobs/train/train.py": "second\n"})
    assert opened(work, ref=first).read("jobs/train/train.py") == b"train\n"
    assert opened(work).read("jobs/train/train.py") == b"second\n"


def test_a_context_below_the_top_has_paths_from_there(work: Work) -> None:
    for spelling in ("jobs", "jobs/", "./jobs", "jobs/train/.."):
        paths = [file.path for file in opened(work, spelling).files]
        assert paths == [".python-version", "link", "train/train.py"]


def test_reading_what_is_not_there_gives_none(work: Work) -> None:
    context = opened(work, "jobs")
    assert context.read("train") is None
    assert context.read("nothing") is None
    assert context.read("../run.sh") is None


def test_reading_a_file_over_the_limit_is_an_error(work: Work) -> None:
    work.commit({"huge": b"x" * (16 * 1024 * 1024 + 1)})
    with pytest.raises(SourceError, match="'huge' has 16777217 bytes"):
        opened(work).read("huge")


def test_files_above_the_context_are_read_by_their_path_from_the_top(work: Work) -> None:
    context = opened(work, "jobs/train")
    paths = ("jobs/.python-version", ".python-version", "jobs/runtime.txt", "jobs/link", "jobs")
    assert context.outer(*paths) == {
        "jobs/.python-version": b"3.11\n",
        ".python-version": b"3.12\n",
    }


def test_read_may_be_called_from_several_threads(work: Work) -> None:
    context = opened(work)
    wrong: list[str] = []

    def read() -> None:
        for _ in range(50):
            if context.read("big") != BIG or context.read("run.sh") != b"#!/bin/sh\n":
                wrong.append("mixed up")

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_paths_may_hold_any_bytes_and_are_sorted_by_them(tmp_path: Path) -> None:
    names = [
        "line\nfeed",
        "tab\tname",
        "caf\udce9",
        "\u00e9",
        "\U0001f600",
        "a b",
        "a/b",
        "a-b",
        '"q"',
    ]
    work = make_repository(tmp_path / "work")
    work.commit({name: name.encode("utf-8", "surrogateescape") for name in names})
    found = content(opened(work))
    assert list(found) == sorted(names, key=sort_key)
    assert found == {name: sort_key(name) for name in names}


def test_odd_directories_can_be_the_context(tmp_path: Path) -> None:
    work = make_repository(tmp_path / "work")
    odd = ("line\nfeed", "caf\udce9", "-r", ":(top)", "*", "HEAD:x")
    work.commit({f"{name}/x": name.encode("utf-8", "surrogateescape") for name in odd})
    for name in odd:
        assert opened(work, name).read("x") == sort_key(name)


@pytest.mark.parametrize("path", ["..", "../work", "a/../..", "/etc", "jobs\0"])
def test_a_context_outside_the_repository_is_an_input_error(work: Work, path: str) -> None:
    with pytest.raises(InputError, match="outside"):
        opened(work, path)


def test_a_context_that_the_commit_does_not_have(work: Work) -> None:
    (work.path / "jobs" / "new").mkdir()
    with pytest.raises(SourceError, match="has no directory 'jobs/new'"):
        opened(work, "jobs/new/deeper")


@pytest.mark.parametrize(("path", "kind"), [("run.sh", "file"), ("jobs/link", "symbolic link")])
def test_a_context_that_is_no_directory(work: Work, path: str, kind: str) -> None:
    with pytest.raises(SourceError, match=f"is a {kind}"):
        opened(work, path)


def test_an_empty_commit_has_an_empty_context(tmp_path: Path) -> None:
    work = make_repository(tmp_path / "work")
    work.commit()
    assert opened(work).files == ()


def test_links_that_leave_the_context_are_named_and_kept(tmp_path: Path) -> None:
    work = make_repository(tmp_path / "work")
    work.commit({"ctx/dir/x": "x", "outside": "x"})
    targets = {
        "in": "dir/x", "dir/up": "../in", "dangling": "nowhere", "loop": "loop",
        "out": "../outside",
        "abs": "/etc/passwd", "dir/sly": "../d/../../outside", "d": "dir", "through": "d/../../x",
        "dir/fine": "../dir/../in",
    }  # fmt: skip
    for name, target in targets.items():
        (work.path / "ctx" / name).symlink_to(target)
    work.commit()
    context = opened(work, "ctx")
    escaping = escaping_links(context.files, context.read)
    assert escaping == ("abs", "dir/sly", "out", "through")
    for name in targets:  # the kernel agrees
        real = os.path.realpath(work.path / "ctx" / name)
        assert (name in escaping) == (not real.startswith(str(work.path / "ctx"))), name
    assert {file.path for file in context.files if file.kind == "symlink"} == set(targets)


# Objects


def test_a_missing_object_is_an_error_that_names_the_file(work: Work) -> None:
    context = opened(work)
    oid = work.git("rev-parse", "HEAD:jobs/train/train.py")
    (work.path / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    with pytest.raises(SourceError, match=r"'jobs/train/train\.py' is missing"):
        content(context)
    with pytest.raises(SourceError, match=r"'jobs/train/train\.py' is missing"):
        context.read("jobs/train/train.py")


def test_a_damaged_object_is_an_error(work: Work) -> None:
    context = opened(work)
    oid = work.git("rev-parse", "HEAD:big")
    place = work.path / ".git" / "objects" / oid[:2] / oid[2:]
    place.chmod(0o644)
    damaged = bytearray(place.read_bytes())
    damaged[len(damaged) // 2 :] = bytes(len(damaged) - len(damaged) // 2)
    place.write_bytes(damaged)
    with pytest.raises(SourceError):
        content(context)


@pytest.mark.parametrize("name", [b"..", b".", b"a/../../x", b"../etc/passwd", b"/etc/passwd"])
def test_a_forged_path_is_refused(work: Work, name: bytes) -> None:
    blob = work.git("hash-object", "-w", "--stdin", stdin=b"evil")
    tree = forge_tree(work, ("100644", "blob", blob, name))
    commit = work.git("commit-tree", tree, "-m", "forged")
    with pytest.raises(LaunchError, match="impossible path"):
        opened(work, ref=commit)


def test_a_forged_link_that_is_also_a_directory_is_refused(work: Work) -> None:
    link = work.git("hash-object", "-w", "--stdin", stdin=b"/etc")
    inner = forge_tree(work, ("100644", "blob", link, b"passwd"))
    tree = forge_tree(work, ("120000", "blob", link, b"a"), ("40000", "tree", inner, b"a"))
    commit = work.git("commit-tree", tree, "-m", "forged")
    with pytest.raises(SourceError, match="a path twice: 'a'"):
        opened(work, ref=commit)


def test_a_forged_tree_with_a_name_twice_is_refused(work: Work) -> None:
    blob = work.git("hash-object", "-w", "--stdin", stdin=b"x")
    tree = forge_tree(work, ("100644", "blob", blob, b"a"), ("120000", "blob", blob, b"a"))
    commit = work.git("commit-tree", tree, "-m", "forged")
    with pytest.raises(SourceError, match="a path twice"):
        opened(work, ref=commit)


# Submodules


@pytest.fixture
def outer(work: Work, tmp_path: Path) -> Work:
    """`vendor/lib` is a submodule, which holds another one at `deep`."""
    deep = make_repository(tmp_path / "deep")
    deep.commit({"d.py": "deep\n"})
    library = make_repository(tmp_path / "library")
    library.commit({"src/l.py": "library\n", "z": "z\n"})
    library.git("submodule", "add", "--quiet", f"file://{deep.path}", "deep")
    library.commit()
    work.git("submodule", "add", "--quiet", f"file://{library.path}", "vendor/lib")
    work.git("submodule", "update", "--quiet", "--init", "--recursive")
    work.commit({"vendor/lib.txt": "beside\n", "vendor/lib-x": "beside\n"})
    return work


def test_submodules_are_in_the_context_with_their_files(outer: Work) -> None:
    outer.write({"vendor/lib/src/l.py": "dirty\n"})
    found = content(opened(outer, "vendor"))
    assert found["lib/src/l.py"] == b"library\n"
    assert found["lib/deep/d.py"] == b"deep\n"
    assert list(found) == sorted(found, key=sort_key)
    assert "lib" not in found


def test_a_submodule_is_read_at_the_recorded_commit(outer: Work) -> None:
    Work(outer.path / "vendor" / "lib").commit({"src/l.py": "newer\n"})
    assert opened(outer).read("vendor/lib/src/l.py") == b"library\n"


def test_the_context_may_be_a_submodule_or_lie_in_one(outer: Work) -> None:
    assert opened(outer, "vendor/lib").read("src/l.py") == b"library\n"
    assert opened(outer, "vendor/lib/deep").read("d.py") == b"deep\n"
    inside = opened(outer, "vendor/lib/src")
    assert content(inside) == {"l.py": b"library\n"}
    assert inside.outer("vendor/lib/z", ".python-version") == {
        "vendor/lib/z": b"z\n",
        ".python-version": b"3.12\n",
    }
    with pytest.raises(SourceError, match="no directory 'vendor/lib/nowhere'"):
        opened(outer, "vendor/lib/nowhere")


def test_a_submodule_that_is_not_initialised_is_named_with_the_remedy(outer: Work) -> None:
    Work(outer.path / "vendor/lib").git("submodule", "deinit", "--quiet", "--force", "deep")
    with pytest.raises(SourceError, match="'vendor/lib/deep' is not initialised") as caught:
        opened(outer)
    assert "git submodule update --init" in caught.value.hint
    assert "submodules: recursive" in caught.value.hint


def test_a_submodule_without_the_recorded_commit_is_named(outer: Work, tmp_path: Path) -> None:
    unknown = "1" * 40
    outer.git("update-index", "--cacheinfo", f"160000,{unknown},vendor/lib")
    outer.git("commit", "--quiet", "-m", "x")
    with pytest.raises(SourceError, match="'vendor/lib' does not have the recorded commit 1111"):
        opened(outer)


def test_a_missing_submodule_that_is_ignored_does_not_matter(outer: Work) -> None:
    outer.git("submodule", "deinit", "--quiet", "--force", "vendor/lib")
    prunes = Ignore.parse("vendor/lib\n").prunes
    context = open_context(inspect(outer.path), prunes=prunes)
    assert not [file for file in context.files if file.path.startswith("vendor/lib/")]
    assert context.read("vendor/lib.txt") == b"beside\n"


# LFS


DATA = b"weights" * 300_000


@pytest.fixture
def lfs(work: Work) -> Work:
    work.commit(
        {
            ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
            "data/w.bin": lfs_pointer(DATA),
            "data/note.txt": lfs_pointer(b"only looks like a pointer"),
            "data/small.bin": "not a pointer\n",
        }
    )
    store_lfs(work.path / ".git", DATA)
    return work


def test_an_lfs_file_has_its_content_and_its_digest(lfs: Work) -> None:
    context = opened(lfs)
    file = next(file for file in context.files if file.path == "data/w.bin")
    pointer = lfs_pointer(DATA).decode().split()
    assert file == TreeFile("data/w.bin", "file", pointer[3], len(DATA))
    assert content(context)["data/w.bin"] == DATA
    assert context.read("data/w.bin") == DATA
    assert context.read("data/note.txt") == lfs_pointer(b"only looks like a pointer")
    assert context.read("data/small.bin") == b"not a pointer\n"


def test_attributes_above_the_context_count(lfs: Work) -> None:
    assert opened(lfs, "data").read("w.bin") == DATA


def test_a_linked_worktree_shares_the_lfs_content(lfs: Work, tmp_path: Path) -> None:
    lfs.git("worktree", "add", "--quiet", "-b", "topic", str(tmp_path / "linked"))
    assert opened(Work(tmp_path / "linked")).read("data/w.bin") == DATA


def test_another_lfs_storage_is_honoured(lfs: Work, tmp_path: Path) -> None:
    (lfs.path / ".git" / "lfs").rename(tmp_path / "elsewhere")
    lfs.git("config", "lfs.storage", str(tmp_path / "elsewhere"))
    assert opened(lfs).read("data/w.bin") == DATA


def test_lfs_content_that_is_not_there_is_named_with_the_remedy(lfs: Work) -> None:
    (store_lfs(lfs.path / ".git", DATA)).unlink()
    context = opened(lfs)
    for attempt in (
        lambda: context.read("data/w.bin"),
        lambda: content(context),
        lambda: context.check(context.files),
    ):
        with pytest.raises(SourceError, match=r"'data/w\.bin'") as caught:
            attempt()
        assert "git lfs pull" in caught.value.hint
        assert "lfs: true" in caught.value.hint
    context.check(file for file in context.files if not file.path.startswith("data/"))


@pytest.mark.parametrize("damaged", [DATA[:-1], DATA[:-1] + b"!"])
def test_damaged_lfs_content_is_an_error(lfs: Work, damaged: bytes) -> None:
    store_lfs(lfs.path / ".git", DATA).write_bytes(damaged)
    with pytest.raises(SourceError, match="damaged"):
        content(opened(lfs))


def test_what_git_lfs_itself_made_is_read(tmp_path: Path) -> None:
    work = make_repository(tmp_path / "work")
    work.git("lfs", "install", "--local")
    work.git("lfs", "track", "*.bin", "with space/*")
    work.commit({"x.bin": DATA, "with space/y": DATA[:-7], "z.txt": "z"})
    assert content(opened(work)) == {
        ".gitattributes": (work.path / ".gitattributes").read_bytes(),
        "with space/y": DATA[:-7],
        "x.bin": DATA,
        "z.txt": b"z",
    }
    assert inspect(work.path).dirty == ()


def test_a_submodule_keeps_its_lfs_content_in_its_own_place(lfs: Work, tmp_path: Path) -> None:
    library = make_repository(tmp_path / "library")
    library.commit({".gitattributes": "m filter=lfs\n", "m": lfs_pointer(b"model")})
    lfs.git("submodule", "add", "--quiet", f"file://{library.path}", "sub")
    lfs.commit()
    store_lfs(lfs.path / ".git" / "modules" / "sub", b"model")
    assert opened(lfs).read("sub/m") == b"model"


def test_which_files_are_lfs_agrees_with_git(tmp_path: Path) -> None:
    """Every file is a pointer, so those that git says LFS filters are those with content."""
    work = make_repository(tmp_path / "work")
    attributes = {
        ".gitattributes": (
            "# comment\n[attr]big filter=lfs -text\n*.bin filter=lfs\n/root.dat filter=lfs\n"
            "data/** filter=lfs\ndata/keep.txt -filter\nsub/*.pt big\n**/deep/x filter=lfs\n"
            'a[[:space:]]b.txt filter=lfs\n"q uoted" filter=lfs\n*.no filter=other\n'
            "[a-c].rng filter=lfs\n"
            "w?.t filter=lfs\ndir/ filter=lfs\nsub/lost.bin !filter\n\\!esc filter=lfs\n"
            "*.x filter\n"
            "  lead.ing   text   filter=lfs  \nx/**/y.z filter=lfs\n*[!0-9].neg filter=lfs\n"
        ),
        "sub/.gitattributes": "*.bin -filter\nmore.bin filter=lfs\n/top filter=lfs\n",
        "sub/deeper/.gitattributes": "* filter=lfs\n",
    }
    names = [
        "a.bin", "d/a.bin", "root.dat", "d/root.dat", "data/a", "data/b/c", "data/keep.txt",
        "sub/m.pt", "sub/d/m.pt", "x/deep/x", "deep/x", "deep/y", "a b.txt", "q uoted",
        "a.no", "b.rng", "d.rng",
        "wx.t", "w/.t", "dir/file", "sub/lost.bin", "sub/more.bin", "sub/d/more.bin", "sub/top",
        "sub/d/top", "sub/deeper/any", "sub/deeper/n/any", "!esc", "q.x", "lead.ing", "x/y.z",
        "x/1/2/y.z",
        "a.neg", "1.neg", "data2/a", "d/data/a", "caf\u00e9.bin", "sub/deeper/q.bin",
    ]  # fmt: skip
    content_of = {name: f"content of {name}".encode() for name in names}
    work.commit({**attributes, **{name: lfs_pointer(c) for name, c in content_of.items()}})
    said = work.git("check-attr", "-z", "filter", "--", *names).split("\0")
    expected = {path for path, value in zip(said[0::3], said[2::3], strict=False) if value == "lfs"}
    found = {f.path for f in opened(work).files if f.content.startswith("sha256:")}
    assert found == expected
    assert 15 < len(expected) < len(names)


def test_a_repository_without_lfs_attributes_reads_no_pointers(work: Work) -> None:
    work.commit({"looks.bin": lfs_pointer(b"x")})
    file = next(f for f in opened(work).files if f.path == "looks.bin")
    assert file.content.startswith("git:")


def test_many_files_are_listed_and_read_in_bounded_time_and_order(tmp_path: Path) -> None:
    work = make_repository(tmp_path / "work")
    count = 20_000
    lines = [b"commit refs/heads/main\ncommitter C <c@example.com> 1700000000 +0000\ndata 1\nx\n"]
    for i in range(count):
        lines.append(b"M 100644 inline d%d/f%d.py\ndata %d\n%d\n" % (i % 97, i, len(str(i)), i))
    git(work.path, "fast-import", "--quiet", stdin=b"".join(lines))
    context = opened(work)
    assert len(context.files) == count
    for file, chunks in context.contents(context.files):
        name = file.path.rpartition("/")[2]
        assert b"".join(chunks) == name[1:-3].encode()
