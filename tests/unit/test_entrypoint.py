"""Entry points are split as a shell splits words, and name the script."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch_action.core.entrypoint import parse_entrypoint, script_of
from launch_action.core.errors import InputError


def test_quoting_is_kept() -> None:
    assert parse_entrypoint("python -c 'import x; x.y(\"z\")' a\\ b") == (
        "python",
        "-c",
        'import x; x.y("z")',
        "a b",
    )


@pytest.mark.parametrize(
    ("text", "context", "script"),
    [
        ("python train.py", "", "train.py"),
        ("python -u ./src/../train.py --lr 0.1", "", "train.py"),
        ("python job.py", "jobs/hello_world", "jobs/hello_world/job.py"),
        ("python -m pkg.mod --x y.py", "jobs/a", "pkg.mod"),
        ("python3.11 -X dev -m pkg", "", "pkg"),
        ("torchrun --nproc 2 train.py", "", "train.py"),
        ("torchrun --nproc 2 -m pkg.train", "", "pkg.train"),
        ("python train.py -m pytest", "", "train.py"),
        ("bash train.sh a.py", "a", "a/train.sh"),
        ("./run --fast", "a/b", "a/b/run"),
        ("train", "a", "train"),
        ("python", "", "python"),
        ("/opt/bin/start", "a", "/opt/bin/start"),
    ],
)
def test_the_script_is_found(text: str, context: str, script: str) -> None:
    assert script_of(parse_entrypoint(text), context) == script


@pytest.mark.parametrize("text", ["python ../train.py", "a/../../b.sh", ".."])
def test_a_path_out_of_the_context_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"leaves the build context"):
        parse_entrypoint(text)


@pytest.mark.parametrize("text", ["python a..b.py", "python x.py --range 1..2", "python -c '1..2'"])
def test_dots_inside_a_word_are_just_dots(text: str) -> None:
    assert parse_entrypoint(text)


@pytest.mark.parametrize("text", ["", "   ", "''", "python 'x"])
def test_nothing_to_run_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError):
        parse_entrypoint(text)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("python -mpkg.mod", "pkg.mod"),
        ("python3 -um pkg.mod -m other", "pkg.mod"),
        ("accelerate launch -m pkg.train", "pkg.train"),
        ("python -m torch.distributed.run --nproc_per_node 2 train.py", "train.py"),
        ("python -m torch.distributed.run --standalone -m pkg.train", "pkg.train"),
        ("python -m cProfile -o out train.py", "train.py"),
        ("python -m coverage run -m pkg.train", "pkg.train"),
        ("python -m pdb", "pdb"),
        ("env CONFIG=base.py python train.py", "train.py"),
        ("uv run --with rich python train.py", "train.py"),
        ("bash -c 'cd src && python train.py --lr 1'", "train.py"),
        ("bash -lc 'python -m pkg.mod'", "pkg.mod"),
        ("sh -c 'echo \"unclosed'", "sh"),
        ("sh -c", "sh"),
        ("python -c 'import x; print(\"train.py\")' y.py", "python"),
        ("python -c 'run.py'", "python"),
        ("python -m", "python"),
        ("pytest -m slow tests/x.py", "tests/x.py"),
        ("Rscript model.R", "model.R"),
        ("./bin/python -m pkg", "pkg"),
        ("python https://host/a/../../../b", "python"),
    ],
)
def test_what_only_launches_the_job_does_not_name_it(text: str, script: str) -> None:
    assert script_of(parse_entrypoint(text), "") == script


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
PARTS = st.sampled_from(
    ["python", "-m", "-c", "a.py", "./a.py", "x/../b.sh", "bash", "torchrun", "..", "../x.py", "-",
     "--", "A=b.py", "pkg.mod", "/opt/run.py", "./run", "a..b", "-um", "-mx", "https://x/../.."]
)  # fmt: skip
CONTEXTS = st.sampled_from(["", ".", "jobs", "jobs/a b", "ü"])


@given(st.lists(WORDS | PARTS, min_size=1, max_size=6), CONTEXTS)
def test_any_words_are_kept_as_they_are_or_refused(words: list[str], context: str) -> None:
    try:
        found = parse_entrypoint(shlex.join(words))
    except InputError:
        return
    assert list(found) == words
    script = script_of(found, context)
    assert script
    assert ".." not in script.split("/") or script in words


@given(st.text(max_size=40))
def test_any_text_is_an_entry_point_or_an_input_error(text: str) -> None:
    try:
        found = parse_entrypoint(text)
    except InputError:
        return
    assert script_of(found, "jobs")
    assert parse_entrypoint(shlex.join(found)) == found


def test_what_no_program_could_be_given_is_refused_at_once() -> None:
    with pytest.raises(InputError, match="over the limit"):
        parse_entrypoint("python " + "x" * 10_000_000)
