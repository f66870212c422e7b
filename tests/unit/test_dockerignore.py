"""Docker's ignore rules. Expected results of the tables are those of moby's own matcher in Go."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import pytest
from docker.utils.build import PatternMatcher, exclude_paths
from hypothesis import given
from hypothesis import strategies as st

from launch_action.core.context import FileKind, TreeFile
from launch_action.core.dockerignore import Ignore, context_digest, select
from launch_action.core.errors import InputError

FILES = (
    "Dockerfile", ".dockerignore", "README.md", "a.py", "docs/README.md", "docs/a.txt",
    "docs/deep/b.md", "src/a.py", "src/pkg/__pycache__/a.pyc", "a.pyc", "x.pyc/y", "build/lib/z",
    "#note", "!bang", "a*b", "dir/a*b", "sub/docs/x", ".env",
)  # fmt: skip
DOCS = ("docs/README.md", "docs/a.txt", "docs/deep/b.md")


def ignored(text: str) -> tuple[str, ...]:
    matches = Ignore.parse(text).matches
    return tuple(path for path in FILES if matches(path))


def kept(text: str) -> tuple[str, ...]:
    return tuple(path for path in FILES if path not in ignored(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("# a comment\n\n   \n*.py", ("a.py",)),
        ("#note", ()),
        (" #note", ("#note",)),  # only a line that begins with `#` is a comment
        (r"\#note", ("#note",)),
        (r"\!bang", ("!bang",)),
        ("!bang", ()),
        ("docs", DOCS),
        ("docs/", DOCS),
        ("/docs", DOCS),
        ("//docs", DOCS),
        ("./docs", DOCS),
        ("docs/.", DOCS),
        ("*/../docs", DOCS),
        ("  docs\t ", DOCS),
        ("docs\r\n", DOCS),
        ("\ufeffdocs", DOCS),
        ("docs*", DOCS),
        ("docs/*", DOCS),
        ("docs/**", DOCS),
        ("DOCS", ()),
        ("**/docs", (*DOCS, "sub/docs/x")),
        ("**/docs/**", (*DOCS, "sub/docs/x")),
        ("*/docs", ("sub/docs/x",)),
        ("doc?/deep", ("docs/deep/b.md",)),
        ("*/deep", ("docs/deep/b.md",)),
        ("**/*/b.md", ("docs/deep/b.md",)),
        ("*.pyc", ("a.pyc", "x.pyc/y")),
        ("**/*.pyc", ("src/pkg/__pycache__/a.pyc", "a.pyc", "x.pyc/y")),
        ("**.pyc", ("src/pkg/__pycache__/a.pyc", "a.pyc", "x.pyc/y")),
        ("**/__pycache__", ("src/pkg/__pycache__/a.pyc",)),
        ("src/**/a.pyc", ("src/pkg/__pycache__/a.pyc",)),
        ("src/**/**/a.pyc", ("src/pkg/__pycache__/a.pyc",)),
        ("?.py", ("a.py",)),
        ("[a-c].py", ("a.py",)),
        ("[^b].py", ("a.py",)),
        ("[^a].py", ()),
        (r"a\*b", ("a*b",)),
        (r"**/a\*b", ("a*b", "dir/a*b")),
        (".*", (".dockerignore", ".env")),
        (".", ()),
        ("/", ()),
        ("..", ()),
        ("../docs", ()),
        ("**", FILES),
        ("**/", FILES),
        ("*", FILES),
        ("*.md\n!README.md", ()),
        ("!a.py\n*.py", ("a.py",)),
        ("docs\n!docs/deep", ("docs/README.md", "docs/a.txt")),
        ("docs\n\n!/docs/a.txt", ("docs/README.md", "docs/deep/b.md")),
        ("docs\n!docs/deep/b.md\ndocs/a.txt", ("docs/README.md", "docs/a.txt")),
    ],
)
def test_what_is_ignored(text: str, expected: tuple[str, ...]) -> None:
    assert ignored(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*\n!src", ("src/a.py", "src/pkg/__pycache__/a.pyc")),
        ("*\n! docs", DOCS),
        ("*\n!src/**/*.py", ("src/a.py",)),
        # The classic builder does not enter a directory that it ignores when the exception begins
        # with a wildcard; BuildKit does, as documented.
        ("**\n!**/*.py", ("a.py", "src/a.py")),
    ],
)
def test_what_is_taken_back_in(text: str, expected: tuple[str, ...]) -> None:
    assert kept(text) == expected


def test_the_last_line_that_matches_decides_for_directories_above_too() -> None:
    """BuildKit forgets `docs/deep` here, as it was ignored already; this is the documented rule."""
    assert ignored("docs\n!docs/deep/b.md\ndocs/deep") == DOCS


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("a[b-d]e", "ace", True),
        ("a[b-d]e", "ae", False),
        ("a[^b-d]e", "aze", True),
        (r"[\]a]", "]", True),
        (r"[\-x]", "-", True),
        (r"[\^x]", "^", True),
        ("[x^]", "^", True),
        ("[[]", "[", True),
        ("[*]", "*", True),  # as filepath.Match documents it; moby makes another class of it
        ("[*]", "x", False),
        ("a[^b]c", "a/c", True),  # as in filepath.Match: a class may match the separator
        ("[à-ï]*", "é", True),
        ("a?b", "a☺b", True),
        ("a?b", "a/b", False),
        ("a*b?c*x", "abxbbxdbxebxczzx", True),
        ("a*b?c*x", "abxbbxdbxebxczzy", False),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/f", True),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", False),
        ("a**/*.txt", "a/dir/dir/file.txt", True),
        ("a(b)c/d.f", "a(b)c/d.f", True),
        ("a.b", "axb", False),
        ("x\\dy", "xdy", True),
        ("a", "a\n", False),
        ("*", "a\nb", True),
        ("**/c", "a\nb/c", True),
        ("caf?", "caf\udce9", True),
        ("a|b", "a", False),
        ("[a&&b]", "&", True),
        ("[a-a]", "a", True),
    ],
)
def test_a_pattern_matches_as_docker_has_it(pattern: str, path: str, expected: bool) -> None:
    assert Ignore.parse(pattern).matches(path) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "!",
        "!/",
        "! ",
        "[",
        "a[",
        "[]a]",
        "[-]",
        "[x-]",
        "[-x]",
        "[a-b-c]",
        "[^",
        "[^bc",
        "a\\",
        "[b-a]",
    ],
)
def test_a_malformed_pattern_is_an_error_that_names_the_line(pattern: str) -> None:
    with pytest.raises(InputError, match="in line 2 ") as caught:
        Ignore.parse(f"fine\n{pattern}\nfine")
    assert repr(pattern.strip()) in caught.value.message


@pytest.mark.parametrize(
    "pattern", ["*a*a*a*a*a*a*a*a*a*a*b", "**/**/**/**/**/**/**/**/**/x", "*a?*a?*a?*a?*a?*a?*b"]
)
def test_a_pattern_cannot_be_made_to_take_for_ever(pattern: str) -> None:
    begin = time.process_time()
    assert not Ignore.parse(pattern).matches("a" * 200 + "/" + "a" * 200)
    assert time.process_time() - begin < 5  # else it is hours


def test_a_directory_is_pruned_only_when_nothing_below_can_come_back() -> None:
    assert Ignore.parse("vendor\n").prunes("vendor/lib")
    assert not Ignore.parse("vendor\n").prunes("other")
    assert not Ignore.parse("vendor\n!vendor/lib/x\n").prunes("vendor/lib")


# docker-py


def docker_py(patterns: list[str], path: str) -> bool:
    return bool(PatternMatcher(patterns).matches(path))  # type: ignore[arg-type]


NAMES = st.sampled_from(["a", "b", "ab", "a.b", "c", "abc", ".a"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
SEGMENTS = st.sampled_from(["a", "b", "ab", "*", "a*", "*b", "?", "a?", "a.b", ".*", "*.*", "[ab]"])
PATTERNS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "!"]),
    st.sampled_from(["", "/", "./"]),
    st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", "/", " "]),
)


@given(st.lists(PATTERNS, max_size=5), st.lists(PATHS, min_size=1, max_size=10))
def test_docker_py_agrees_where_a_pattern_names_a_fixed_depth(
    patterns: list[str], paths: list[str]
) -> None:
    """Lower case and no `**`: its matcher folds case and looks at one parent directory only."""
    mine = Ignore.parse("\n".join(patterns))
    for path in paths:
        assert mine.matches(path) == docker_py(patterns, path), path


def test_docker_py_selects_the_same_files_of_a_real_directory(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    for text in (
        "*.md\n!README.md",
        "docs\n!docs/deep",
        "**/*.pyc",
        "*/docs",
        "src/**/a.pyc",
        ".*",
    ):
        theirs = exclude_paths(str(tmp_path), text.split("\n"))
        # docker-py always sends these two; a builder without an engine has no use for them.
        expected = {*kept(text), "Dockerfile", ".dockerignore"}
        assert {path for path in theirs if (tmp_path / path).is_file()} == expected, text


@pytest.mark.parametrize(
    ("patterns", "path", "expected"),
    [
        (["docs"], "DOCS/a", False),  # docker-py folds case
        (["**/a"], "x/y/a/b/c", True),  # docker-py looks at one parent only
        (["**.pyc"], "x.pyc", True),  # docker-py wants a directory there
        ([r"a\*b"], "a*b", True),  # docker-py knows no escapes
    ],
)
def test_where_docker_py_is_wrong_the_go_code_is_followed(
    patterns: list[str], path: str, expected: bool
) -> None:
    assert Ignore.parse("\n".join(patterns)).matches(path) is expected
    assert docker_py(patterns, path) is not expected


# select and context_digest


def files(*paths: str, kind: FileKind = "file", content: str = "git:0") -> tuple[TreeFile, ...]:
    return tuple(TreeFile(path, kind, content, 1) for path in paths)


def test_git_directories_and_files_are_never_selected() -> None:
    given_files = files(
        ".git", ".git/config", "sub/.git", "sub/.git/x", ".gitignore", "a.git/x", "x"
    )
    for text in (None, "", "!.git\n!**/.git"):
        assert [f.path for f in select(given_files, text)] == [".gitignore", "a.git/x", "x"]


def test_select_keeps_the_order_and_drops_what_is_ignored() -> None:
    assert [f.path for f in select(files("b", "a.log", "a"), "*.log")] == ["b", "a"]


def test_the_digest_depends_on_path_kind_and_content_alone() -> None:
    one = files("a", "b")
    digest = context_digest(one)
    assert len(digest) == 64
    assert context_digest(tuple(reversed(one))) == digest
    others = (
        files("a"), files("a", "c"), files("a", "b", kind="executable"),
        files("a", "b", content="git:1"), files("ab"), (),
    )  # fmt: skip
    assert len({digest, *map(context_digest, others)}) == len(others) + 1


def test_the_digest_takes_names_that_are_not_utf_8() -> None:
    assert context_digest(files("caf\udce9")) != context_digest(files("caf\udce8"))


def test_the_digest_never_changes() -> None:
    """It is part of build keys: another value would make every recorded image unreachable."""
    expected = "facfd5a67acd7fe038c5d5ca038f2228efa160ba0f625c3aac411e7f74cadafe"
    assert context_digest(files("a/b", "c")) == expected


def test_fifty_thousand_files_are_selected_in_a_moment() -> None:
    random = Random(1)
    many = files(*(f"pkg{random.randrange(50)}/sub{i % 700}/module_{i}.py" for i in range(50_000)))
    rules = "\n".join(["**/__pycache__", "**/*.pyc", "*.md", "docs", "**/node_modules", "!docs/x"])
    begin = time.process_time()
    assert len(select(many, rules)) == 50_000
    assert time.process_time() - begin < 2
