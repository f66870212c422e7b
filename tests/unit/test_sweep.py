"""What a cleanup takes away, by what the tags of a repository name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.versions import spec

from launch_action.core.errors import InputError
from launch_action.core.reference import Tag
from launch_action.core.sweep import (
    Policy,
    Sweep,
    is_fleeting,
    parse_age,
    plan_sweep,
    stale_rows,
)
from launch_action.core.tags import key_tag
from launch_action.core.version import JobVersion, make_version, read_version

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
DAY = 86400
WEEK = Policy(now=int(NOW.timestamp()), older_than=7 * DAY)


def version(seed: str, days: float = 30) -> JobVersion:
    """A version of a commit that many days ago."""
    created = (NOW - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    commit = f"{int(seed, 36):040x}"
    return read_version(make_version(spec(seed, commit=commit, created=created)).index)


def tagged(*found: tuple[JobVersion, str]) -> list[tuple[Tag, JobVersion]]:
    """Every tag of these versions, those that each has among them."""
    pairs = []
    for one, aliases in found:
        own = (f"sha-{one.commit}", key_tag(one.build_key))
        pairs += [(Tag(tag), one) for tag in (*aliases.split(), *own)]
    return pairs


def gone(sweep: Sweep) -> set[str]:
    return {str(one.version.digest) for one in sweep.versions}


def these(*versions: JobVersion) -> set[str]:
    return {str(one.digest) for one in versions}


def test_a_closed_pull_request_takes_its_alias_and_what_only_it_reached() -> None:
    mine, merged, other = version("1", 0), version("2", 0), version("3", 0)
    found = tagged((mine, "pr-12"), (merged, "pr-13 main latest"), (other, ""))
    policy = Policy(now=WEEK.now, gone=frozenset(map(Tag, ("pr-12", "pr-13"))))

    sweep = plan_sweep(found, policy)

    assert gone(sweep) == these(mine)
    assert sweep.versions[0].aliases == ("pr-12", f"sha-{mine.commit}")
    assert sweep.aliases == ((Tag("pr-13"), merged),)
    assert sweep.kept == 2


def test_a_version_of_two_pull_requests_stays_for_the_other() -> None:
    both = version("1")
    policy = Policy(now=WEEK.now, gone=frozenset({Tag("pr-12")}))

    sweep = plan_sweep(tagged((both, "pr-12 pr-13")), policy)

    assert gone(sweep) == set()
    assert sweep.aliases == ((Tag("pr-12"), both),)


@pytest.mark.parametrize(
    "alias", ["latest", "main", "v1.2.3", "v1", "prod", "pr-x", "run-abc", "sha-x"]
)
def test_no_age_takes_what_another_alias_reaches(alias: str) -> None:
    old = version("1", 1000)

    sweep = plan_sweep(tagged((old, f"{alias} pr-3")), WEEK)

    assert gone(sweep) == set()
    assert sweep.aliases == ((Tag("pr-3"), old),)


def test_a_sweep_goes_by_age_and_leaves_the_newest_and_the_open() -> None:
    ages = {"1": 30, "2": 20, "3": 10, "4": 8, "5": 1}
    v = {seed: version(seed, days) for seed, days in ages.items()}
    found = tagged((v["1"], "pr-1"), (v["2"], ""), (v["3"], "pr-3"), (v["4"], "pr-4"), (v["5"], ""))

    assert gone(plan_sweep(found, WEEK)) == these(v["1"], v["2"], v["3"], v["4"])
    # Of all that may go the newest stay, the young ones among them.
    assert gone(plan_sweep(found, replace_policy(keep=3))) == these(v["1"], v["2"])
    spared = plan_sweep(found, replace_policy(open_pulls=frozenset({1, 4})))
    assert gone(spared) == these(v["2"], v["3"])
    assert spared.aliases == ()
    # A preview of an old commit that was made just now.
    stamped = plan_sweep(found, replace_policy(stamps=((3, WEEK.now - DAY),)))
    assert gone(stamped) == these(v["1"], v["2"], v["4"])


def replace_policy(**changes: object) -> Policy:
    return replace(WEEK, **changes)  # type: ignore[arg-type]


def test_what_no_alias_reaches_goes_by_its_age() -> None:
    old, young = version("1", 30), version("2", 1)
    found = [(key_tag(one.build_key), one) for one in (old, young)]

    assert gone(plan_sweep(found, WEEK)) == these(old)


def test_without_an_age_nothing_goes_but_what_is_named() -> None:
    found = tagged((version("1", 900), "pr-1"), (version("2", 900), ""))

    sweep = plan_sweep(found, Policy(now=WEEK.now))

    assert (sweep.versions, sweep.aliases) == ((), ())


@given(
    st.lists(
        st.tuples(
            st.floats(0, 100),
            st.sets(st.sampled_from(["pr-1", "pr-2", "main", "latest", "v1.0", "x"])),
        ),
        max_size=8,
    ),
    st.integers(0, 5),
    st.sets(st.sampled_from(["pr-1", "pr-2"])),
)
def test_whatever_a_lasting_alias_reaches_stays(
    versions: list[tuple[float, set[str]]], keep: int, named: set[str]
) -> None:
    made = [(version(f"{n:x}1", days), aliases) for n, (days, aliases) in enumerate(versions)]
    found = tagged(*((one, " ".join(sorted(aliases))) for one, aliases in made))
    policy = replace_policy(keep=keep, gone=frozenset(map(Tag, named)))

    sweep = plan_sweep(found, policy)

    for one, aliases in made:
        lasting = [alias for alias in aliases if not is_fleeting(alias)]
        assert not (lasting and one.digest in gone(sweep))
    assert all(is_fleeting(tag) for tag, _ in sweep.aliases)
    assert all(is_fleeting(tag) for one in sweep.versions for tag in one.aliases)


@pytest.mark.parametrize(
    ("text", "seconds"), [("7d", 7 * DAY), ("12h", 43200), ("2w", 14 * DAY), ("0s", 0), ("5m", 300)]
)
def test_an_age_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_age(text) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1.5d", "7 days", "1y"])
def test_what_is_no_age_says_what_is(text: str) -> None:
    with pytest.raises(InputError, match="not an age") as caught:
        parse_age(text)
    assert "7d" in caught.value.hint


def test_rows_of_previews_go_with_them() -> None:
    tags = {number: Tag(f"report-pr-{number}-{'0' * 16}") for number in (1, 2, 3, 4)}
    stamps = dict.fromkeys(tags.values(), WEEK.now - 30 * DAY) | {tags[4]: WEEK.now}
    policy = replace_policy(open_pulls=frozenset({3}))

    # The first has its preview still, the third is open, the fourth is young.
    assert stale_rows(stamps, {Tag("pr-1")}, policy) == (tags[2],)
    named = Policy(now=WEEK.now, gone=frozenset({Tag("pr-4")}))
    assert stale_rows(stamps, set(), named) == (tags[4],)
