from __future__ import annotations

import codecs
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch_action.core import requirement_line
from launch_action.core.errors import BuildError
from launch_action.core.requirement import (
    Entry,
    Include,
    LocalRequirement,
    Option,
    Origin,
    Requirement,
)
from launch_action.core.requirements_file import read_requirements, variables

SHA = "a" * 64


def read(text: str) -> tuple[Entry, ...]:
    return read_requirements(text.encode(), "r.txt")


def one(text: str) -> Entry:
    (found,) = read(text)
    return found


def fault(text: str) -> str:
    with pytest.raises(BuildError) as caught:
        read(text)
    return caught.value.message


def test_comments_blank_lines_and_continuations_keep_line_numbers() -> None:
    found = read("# top\n\nnumpy \\\n  >=1.20 # why\n\n  # indented\npandas\n")
    assert [(str(e.origin), e.text) for e in found if isinstance(e, Requirement)] == [
        ("r.txt:3", "numpy   >=1.20"),
        ("r.txt:7", "pandas"),
    ]


def test_extras_markers_and_urls_are_kept_as_written() -> None:
    text = 'Requests[socks]>=2 ; python_version < "3.13"'
    found = one(text)
    assert isinstance(found, Requirement)
    assert (found.name, found.text, found.exact) == ("requests", text, False)


def test_hashes_are_taken_off_and_kept() -> None:
    found = one(f"A.b==1.0 \\\n  --hash=sha256:{SHA} \\\n  --hash sha512:{'B' * 128}\n")
    assert isinstance(found, Requirement)
    assert found == Requirement(
        Origin("r.txt", 1), "A.b==1.0", "a-b", "", (f"sha256:{SHA}", f"sha512:{'b' * 128}"), True
    )


@pytest.mark.parametrize(
    "text",
    [
        "numpy @ https://host/numpy-1.0-py3-none-any.whl",
        "https://host/numpy-1.0-py3-none-any.whl",
        "https://host/a%2Fb/numpy-1.0-py3-none-any.whl#sha256=00 ; python_version > '3'",
    ],
)
def test_the_url_of_a_wheel_is_a_direct_requirement(text: str) -> None:
    found = one(text)
    assert isinstance(found, Requirement)
    assert found.name == "numpy"
    assert found.url.startswith("https://host/")
    assert found.exact


@pytest.mark.parametrize(
    ("text", "path", "suffix", "editable"),
    [
        ("./pkg", "./pkg", "", False),
        ("-e .", ".", "", True),
        ("--editable=./a[x,y]", "./a", "[x,y]", True),
        ("wheels/a-1-py3-none-any.whl ; os_name == 'posix'", "wheels/a-1-py3-none-any.whl",
         " ; os_name == 'posix'", False),
        ("a-1-py3-none-any.whl", "a-1-py3-none-any.whl", "", False),
        ("file:./pkg", "./pkg", "", False),
        ("../up", "../up", "", False),
        ("a @ file:./pkg", "./pkg", "", False),
    ],
)  # fmt: skip
def test_local_paths_are_recognised(text: str, path: str, suffix: str, editable: bool) -> None:
    assert one(text) == LocalRequirement(Origin("r.txt", 1), path, suffix, editable)


def test_includes_and_options_are_read_in_both_spellings() -> None:
    found = read(
        "-r a.txt\n--requirement=b.txt\n-cc.txt\n-i https://i/\n--index-url=https://j/\n"
        "--extra-index-url https://k/ --pre\n-f ./wheels\n--no-index\n--only-binary=:all:\n"
    )
    assert [e.path for e in found if isinstance(e, Include)] == ["a.txt", "b.txt", "c.txt"]
    assert [e.constraint for e in found if isinstance(e, Include)] == [False, False, True]
    assert [(e.name, e.value) for e in found if isinstance(e, Option)] == [
        ("index-url", "https://i/"),
        ("index-url", "https://j/"),
        ("extra-index-url", "https://k/"),
        ("pre", ""),
        ("find-links", "./wheels"),
        ("no-index", ""),
        ("only-binary", ":all:"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + b"numpy\r\npandas\r\n",
        codecs.BOM_UTF16_LE + "numpy\npandas\n".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "numpy\npandas\n".encode("utf-16-be"),
        b"# -*- coding: latin-1 -*-\nnumpy # caf\xe9\npandas\n",
        b"numpy\rpandas",
    ],
)
def test_byte_order_marks_encodings_and_line_ends_are_understood(content: bytes) -> None:
    names = [e.name for e in read_requirements(content, "r.txt") if isinstance(e, Requirement)]
    assert names == ["numpy", "pandas"]


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(BuildError, match=r"^r\.txt: not text"):
        read_requirements(b"numpy \xff\xfe\n", "r.txt")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\nnumpy=>2\n", "r.txt:2: not a requirement: 'numpy=>2'"),
        ("https://me:secret@[bad\n", "r.txt:1: not a URL: 'https://[bad'"),
        ("# coding: undefined\n", "r.txt: not text"),
        (f"a; {'(' * 3000}os_name=='a'", "r.txt:1: not a requirement: 'a; ((("),
        ("--bogus x", "r.txt:1: unknown option '--bogus'"),
        ("numpy==1 --hash=md5:00", "r.txt:1: not a hash: 'md5:00'"),
        ("numpy==1 --global-option=x", "r.txt:1: --global-option is not followed"),
        ("-r", "r.txt:1: no value for '-r'"),
        ("hg+https://host/a", "r.txt:1: not a git repository that can be fetched"),
        ("a @ svn+https://host/a", "r.txt:1: not a git repository that can be fetched"),
        ("git+git://host/a", "r.txt:1: not a git repository that can be fetched"),
        ("git+file:///srv/a", "r.txt:1: not a git repository that can be fetched"),
        ("git@host:a.git", "r.txt:1: not a git repository that can be fetched"),
        ("-e https://host/a", "r.txt:1: not a path of the build context"),
        ("numpy==1 'unclosed --x 'a", "r.txt:1: "),
    ],
)
def test_what_cannot_be_read_is_named_with_file_and_line(text: str, words: str) -> None:
    assert fault(text).startswith(words)


def test_no_credential_of_a_url_is_in_a_message() -> None:
    assert "hunter2" not in fault("hg+https://me:hunter2@host/a")
    assert "hunter2" not in fault("-e https://me:hunter2@host/a")


def test_the_names_of_variables_are_found_and_comments_are_not() -> None:
    text = b"-i https://${USER_1}:${TOKEN}@host/\n# ${NOT}\na # ${NEITHER}\n${lower}/x.whl\n"
    assert variables(text, "r.txt") == ("TOKEN", "USER_1")


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_its_file(text: str) -> None:
    message = "r.txt:"
    with suppress(BuildError):
        try:
            read(text)
        except BuildError as error:
            message = error.message
            raise
    assert message.startswith("r.txt:")


@given(st.from_regex(requirement_line._PLAIN, fullmatch=True))
def test_what_is_read_as_plain_is_read_as_packaging_reads_it(text: str) -> None:
    origin = Origin("r.txt", 1)
    expected = requirement_line._parsed(text, (), origin)
    assert requirement_line._named(text, (), origin) == expected


SPECIFIERS = st.lists(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["==", "!=", "<=", ">=", "<", ">", "~=", "===", "=", ""]),
        st.sampled_from(["", " ", "\t"]),
        st.sampled_from(
            ["1", "1.2", "1.*", "1.2rc1", "1.2.post1.dev2", "1.0+cu121", "1!2.0", "v1", "1.0.", "*"]
        ),
    ),
    max_size=3,
).map(",".join)


def told(parse: Callable[..., object], text: str, origin: Origin) -> object:
    """What parsing gives, or what it says when it refuses."""
    try:
        return parse(text, (), origin)
    except BuildError as error:
        return error.message


@given(st.sampled_from(["a", "A.b", "a-", "numpy[x, y-z]", "a[]", "a [x]", "(a)"]), SPECIFIERS)
def test_a_line_near_the_plain_form_means_what_packaging_says(name: str, specifiers: str) -> None:
    text, origin = name + specifiers, Origin("r.txt", 1)
    expected = told(requirement_line._parsed, text, origin)

    assert told(requirement_line._named, text, origin) == expected


@pytest.mark.parametrize(
    "text",
    ["numpy", "numpy==1.26.4", "Pandas>=2,<3", "a.b[x,y] ~= 1.2", "torch==2.5.1+cu121", "x!=1.*"],
)
def test_what_people_write_is_plain(text: str) -> None:
    assert requirement_line._PLAIN.fullmatch(text)
