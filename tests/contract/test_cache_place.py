"""Where the local cache is, and what is said when it cannot be there."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from launch_action.cache import Cache, cache_root, user_directory
from launch_action.core.errors import BuildError

HOME = Path(pwd.getpwuid(os.getuid()).pw_dir)


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({"LAUNCH_ACTION_CACHE": "/c", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/c"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/launch-action"),
        ({"XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/launch-action"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/launch-action"),
        ({"HOME": ""}, f"{HOME}/.cache/launch-action"),
        ({"HOME": "relative"}, f"{HOME}/.cache/launch-action"),
        ({}, f"{HOME}/.cache/launch-action"),
    ],
)
def test_the_cache_is_where_the_environment_says(environment: dict[str, str], place: str) -> None:
    assert cache_root(environment) == Path(place)


def test_a_relative_cache_is_the_same_place_for_the_programs_that_are_started() -> None:
    assert cache_root({"LAUNCH_ACTION_CACHE": "here"}) == Path.cwd() / "here"


def test_the_store_is_never_in_the_checkout_by_accident() -> None:
    assert user_directory({"XDG_DATA_HOME": "."}, "XDG_DATA_HOME", "x") == HOME / "x"


def test_a_cache_in_a_place_that_is_no_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = Cache(tmp_path / "file")

    with pytest.raises(BuildError, match="cannot write the cache"):
        cache.directory("uv")
    with pytest.raises(BuildError, match="cannot write the cache"), cache.lock("x"):
        pass
    with pytest.raises(BuildError, match="cannot write the cache"), cache.write("kind", "key"):
        pass
