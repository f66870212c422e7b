from __future__ import annotations

import conftest
import pytest


@pytest.fixture(autouse=True)
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conftest, "missing", lambda need: f"{need} is not here")


def test_what_a_machine_lacks_is_skipped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAUNCH_REQUIRE", raising=False)

    with pytest.raises(pytest.skip.Exception, match="engine is not here"):
        conftest.demand("engine")


def test_what_is_required_and_lacking_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAUNCH_REQUIRE", "registry,engine")

    with pytest.raises(pytest.fail.Exception, match="LAUNCH_REQUIRE names engine"):
        conftest.demand("engine")


def test_what_is_there_is_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conftest, "missing", lambda _: "")
    monkeypatch.setenv("LAUNCH_REQUIRE", "engine")

    conftest.demand("engine")
