"""Entry points are split as a shell splits words, and name the script."""

from __future__ import annotations

import pytest

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
