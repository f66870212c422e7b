"""Claims of layers, and the order of installation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch_action.builders.layers.archive import Entry
from launch_action.builders.layers.claims import Claims, clashing
from launch_action.builders.layers.install_order import install_order
from launch_action.builders.layers.overwrites import in_order, replacing
from launch_action.builders.layers.scheme import Scheme

SCHEME = Scheme("/opt/venv", "3.12")


def file(path: str, content: str = "") -> Entry:
    where = f"{SCHEME.site_packages}/{path}" if not path.startswith("^") else f"opt/venv/{path[1:]}"
    return Entry(where, "file", 0o644, content.encode())


def claims(*paths: str, content: str = "") -> tuple[str, ...]:
    found = Claims([file(path, content) for path in paths])
    assert len(list(found)) == len(paths)
    return found.lines(SCHEME)


def test_a_package_claims_its_directory_and_a_namespace_what_is_in_it() -> None:
    assert claims("numpy/__init__.py", "numpy/core/a.py", "numpy/b.py") == ("~/numpy/",)
    found = claims("nvidia/__init__.py", "nvidia/cublas/lib/a.so", "six.py", "a-1.dist-info/RECORD")
    assert [one.partition("=")[0] for one in found] == [
        "~/nvidia/__init__.py",
        "~/nvidia/cublas/lib/",
        "~/six.py",
    ]
    assert [x.partition("=")[0] for x in claims("^bin/a", "^share/man/man1/a.1")] == [
        "bin/a",
        "share/man/man1/a.1",
    ]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("cv2/a.py", "cv2/b.py"), ("cv2/a.py", "cv2/c.py"), True),
        (("cv2/a.py", "cv2/b.py"), ("cv3/a.py",), False),
        (("space/a/x.py",), ("space/b/x.py",), False),
        (("space/a/x.py", "space/y.py"), ("space/b/x.py",), True),
        (("^bin/a",), ("^bin/b",), False),
    ],
)
def test_layers_clash_where_their_claims_meet(
    one: tuple[str, ...], other: tuple[str, ...], expected: bool
) -> None:
    assert bool(clashing([claims(*one), claims("lonely.py"), claims(*other)])) == expected


def test_the_same_file_twice_is_no_clash() -> None:
    assert clashing([claims("six.py"), claims("six.py")]) == ()
    assert clashing([claims("six.py"), claims("other.py"), claims("six.py", content="x")]) == (0, 2)


@given(
    st.lists(
        st.dictionaries(
            st.lists(st.sampled_from(["a", "b", "c", "__init__.py"]), min_size=1, max_size=3).map(
                "/".join
            ),
            st.sampled_from("xy"),
            max_size=6,
        ),
        min_size=2,
        max_size=4,
    )
)
def test_no_conflict_escapes(layers: list[dict[str, str]]) -> None:
    # A path that is a file in one place and a directory in another is no tree.
    every = {path for layer in layers for path in layer}
    layers = [
        {p: c for p, c in layer.items() if not any(o.startswith(f"{p}/") for o in every)}
        for layer in layers
    ]
    found = set()
    lines = []
    for layer in layers:
        made = Claims([file(path, content) for path, content in layer.items()])
        list(made)
        lines.append(made.lines(SCHEME))
    for number, layer in enumerate(layers):
        for other, files in enumerate(layers):
            if any(files.get(path, content) != content for path, content in layer.items()):
                found |= {number, other}
    assert found <= set(clashing(lines))


def metadata(name: str, *needs: str) -> Entry:
    text = "".join(f"Requires-Dist: {one}\n" for one in needs)
    return file(f"{name}-1.dist-info/METADATA", f"Name: {name}\n{text}\nRequires-Dist: body\n")


def test_what_is_required_is_installed_before_and_a_circle_ends() -> None:
    assert install_order({"a": ["b"], "b": ["c"], "c": [], "d": []}) == ("d", "c", "b", "a")
    assert sorted(install_order({"a": ["b"], "b": ["a"], "c": ["a"]})) == ["a", "b", "c"]
    assert install_order({"a": ["a"]}) == ("a",)


def test_a_dependent_replaces_the_files_of_what_it_requires() -> None:
    parts = [
        ("zeta", [file("t.py", "zeta"), metadata("zeta", "alpha>=1; python_version > '3'")]),
        ("alpha", [file("t.py", "alpha"), metadata("alpha", "zeta; extra == 'test'")]),
    ]
    assert [name for name, _ in in_order(parts)] == ["alpha", "zeta"]
    assert [name for name, _ in in_order([("b", [file("x")]), ("a", [file("y")])])] == ["b", "a"]


def test_what_is_hidden_by_a_layer_above_lies_above_it_again() -> None:
    light = [("zeta", [file("t.py", "zeta"), file("own.py"), metadata("zeta", "alpha")])]
    heavy = [("alpha", [file("t.py", "alpha"), metadata("alpha")])]
    found, lines = replacing([light, heavy])
    assert found == [file("t.py", "zeta")]
    what = f"alpha and zeta both install {file('t.py').path!r}, with different content"
    assert lines == (f"{what}: zeta's is used",)
    assert replacing([heavy, light])[0] == []
