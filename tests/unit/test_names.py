"""Job names and remotes: one name per repository, no credential in any."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch_action.core.aliases import wandb_aliases
from launch_action.core.errors import SourceError
from launch_action.core.names import (
    canonical_remote,
    git_job_name,
    image_job_name,
    recorded_remote,
    safe_name,
    wandb_git_job_name,
)
from launch_action.core.reference import Reference, Tag

ONE_REPOSITORY = [
    "https://github.com/acme/mono",
    "https://github.com/acme/mono.git",
    "https://github.com/acme/mono/",
    "https://github.com/acme/mono.git/",
    "https://GitHub.com:443/acme/mono",
    "http://github.com/acme/mono",
    "https://user:secret@github.com/acme/mono.git?x=1#y",
    "https://ghs_token@github.com/acme/mono",
    "git@github.com:acme/mono.git",
    "github.com:acme/mono",
    "ssh://git@github.com/acme/mono.git",
    "ssh://git@github.com:22/acme/mono",
    "ssh://git@ssh.github.com:443/acme/mono.git",
    "git://github.com/acme/mono",
]


@pytest.mark.parametrize("url", ONE_REPOSITORY)
def test_every_spelling_of_a_repository_gives_one_canonical_remote(url: str) -> None:
    assert canonical_remote(url) == "https://github.com/acme/mono"


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("ssh://git@git.acme.io:2222/a/b.git", "https://git.acme.io:2222/a/b"),
        ("https://git.acme.io:8443/a", "https://git.acme.io:8443/a"),
        ("https://[::1]:3000/a/b", "https://[::1]:3000/a/b"),
        ("https://dev.azure.com/org/proj/_git/repo", "https://dev.azure.com/org/proj/_git/repo"),
        ("/srv/git/mono.git", "file:///srv/git/mono"),
        ("file:///srv/git/mono", "file:///srv/git/mono"),
    ],
)
def test_other_hosts_and_ports_are_kept_apart(url: str, canonical: str) -> None:
    assert canonical_remote(url) == canonical


@pytest.mark.parametrize("url", ["https://", "https://host", "https://host:port/x", "ssh:///x"])
def test_nonsense_is_refused_without_showing_a_credential(url: str) -> None:
    with pytest.raises(SourceError):
        canonical_remote(url)
    with pytest.raises(SourceError) as refused:
        canonical_remote("https://user:s3cret@host:port/x")
    assert "s3cret" not in refused.value.message


@pytest.mark.parametrize(
    ("url", "recorded"),
    [
        ("https://u:p@github.com/acme/mono.git", "https://github.com/acme/mono.git"),
        ("https://tok@github.com/acme/mono", "https://github.com/acme/mono"),
        ("https://github.com/acme/mono?token=s", "https://github.com/acme/mono"),
        ("ssh://git@host:2222/x.git", "ssh://git@host:2222/x.git"),
        ("ssh://git:pw@host/x.git", "ssh://git@host/x.git"),
        ("git@github.com:acme/mono.git", "git@github.com:acme/mono.git"),
        ("/srv/git/mono.git", "/srv/git/mono.git"),
    ],
)
def test_the_recorded_remote_keeps_the_protocol_and_drops_the_credential(
    url: str, recorded: str
) -> None:
    assert recorded_remote(url) == recorded


def test_a_git_job_is_named_after_remote_and_script() -> None:
    name = git_job_name("git@github.com:acme/mono.git", "jobs/hello_world/job.py")

    assert name == "job-https___github.com_acme_mono-jobs_hello_world_job.py"


def test_wandbs_style_is_wandbs_own_spelling() -> None:
    assert (
        wandb_git_job_name("https://github.com/acme/mono.git", "jobs/hello_world/job.py")
        == "job-https___github.com_acme_mono.git_jobs_hello_world_job.py"
    )


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("wandb/job_hello_world:main", "job-wandb_job_hello_world"),
        ("ubuntu", "job-ubuntu"),
        ("localhost:5000/img:1.0", "job-localhost_5000_img"),
        ("ghcr.io/acme/t@sha256:" + "a" * 64, "job-ghcr.io_acme_t"),
    ],
)
def test_an_image_job_is_named_after_the_image(reference: str, name: str) -> None:
    assert image_job_name(Reference.parse(reference)) == name


def test_a_long_name_keeps_both_ends_and_says_which_it_is() -> None:
    one, two = (safe_name("job-" + "a" * 100 + middle + "b" * 100) for middle in "xy")

    assert len(one) == len(two) == 128
    assert one != two
    assert re.fullmatch(r"job-a{54}\.\.[0-9a-f]{8}\.\.b{58}", one)


@given(st.text(min_size=1))
def test_every_name_is_safe_and_never_a_directory_step(text: str) -> None:
    name = safe_name(text)

    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,128}", name)
    assert name not in (".", "..")


# ---- arbitrary remotes and scripts --------------------------------------------------------------

SECRET = "s3cretT0ken"
LETTERS = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/?#@:[]\\ ")
SEGMENT = (
    st.text(LETTERS | st.just(" "), min_size=1, max_size=300)
    .map(str.strip)
    .filter(lambda part: part not in ("", ".", "..") and not part.endswith(".git"))
)
HOSTS = st.sampled_from(
    ["github.com", "GitHub.COM", "git.acme.io", "[::1]", "[2001:DB8::2]", "10.0.0.1", "localhost"]
)
USERINFO = st.sampled_from(
    ["", "git@", f"git:{SECRET}@", f"{SECRET}@", f"x-access-token:{SECRET}@", f"a%40b:{SECRET}@",
     f"u:p@{SECRET}@", f":{SECRET}@"]
)  # fmt: skip
PORTS = st.sampled_from([None, 22, 80, 443, 2222, 8443])
SCHEMES = st.sampled_from(["https", "http", "ssh", "git", "HTTPS"])
ENDINGS = st.sampled_from(["", "/", ".git", ".git/", f"?token={SECRET}", f"#{SECRET}"])
SCRIPTS = st.lists(SEGMENT, min_size=1, max_size=4).map("/".join)


@st.composite
def remotes(draw: st.DrawFn) -> str:
    port = draw(PORTS)
    path = "/".join(draw(st.lists(SEGMENT, min_size=1, max_size=3)))
    host = f"{draw(HOSTS)}:{port}" if port else draw(HOSTS)
    return f"{draw(SCHEMES)}://{draw(USERINFO)}{host}/{path}{draw(ENDINGS)}"


@given(remotes(), SCRIPTS)
def test_the_name_of_any_job_is_legal_and_holds_no_credential(url: str, script: str) -> None:
    for name in (git_job_name(url, script), wandb_git_job_name(url, script)):
        assert re.fullmatch(r"[A-Za-z0-9_.-]{1,128}", name)
        assert name not in (".", "..")
    without_user = url.replace(f"//{SECRET}@", "//")  # ssh keeps a user, who is no credential
    for text in (canonical_remote(url), recorded_remote(without_user), git_job_name(url, script)):
        assert SECRET not in text


@given(remotes(), SCRIPTS)
def test_names_are_stable_and_canonical_remotes_canonical(url: str, script: str) -> None:
    canonical = canonical_remote(url)

    assert canonical_remote(canonical) == canonical
    assert git_job_name(canonical, script) == git_job_name(url, script)


@given(HOSTS, st.lists(SEGMENT, min_size=1, max_size=3), SCRIPTS)
def test_all_spellings_of_a_repository_give_one_name(
    host: str, parts: list[str], script: str
) -> None:
    path = "/".join(parts)
    spellings = [
        f"https://{host}/{path}", f"https://{host}:443/{path}.git", f"http://{host}/{path}/",
        f"https://u:{SECRET}@{host}/{path}", f"ssh://git@{host}/{path}.git", f"{host}:{path}",
        f"git@{host}:{path}.git", f"ssh://git:{SECRET}@{host}:22/{path}?x=1",
    ]  # fmt: skip
    assert len({git_job_name(url, script) for url in spellings}) == 1


@given(remotes(), SCRIPTS, SCRIPTS)
def test_scripts_that_differ_after_sanitising_have_different_names(
    url: str, one: str, two: str
) -> None:
    differ = safe_name(one) != safe_name(two)

    assert (git_job_name(url, one) != git_job_name(url, two)) >= differ


@given(st.text(max_size=80) | remotes().map(lambda url: url.replace("://", ":", 1)))
def test_any_text_is_a_remote_or_a_source_error(text: str) -> None:
    try:
        found = git_job_name(text, "train.py")
        recorded_remote(text)
    except SourceError as error:
        found = error.message
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,128}|not a git remote: [^\n]*", found)


@pytest.mark.parametrize(
    "url", [f"git:{SECRET}@host:acme/mono", "ext::sh -c evil", "ext::https://host/x"]
)
def test_what_is_no_spelling_of_a_remote_is_refused(url: str) -> None:
    with pytest.raises(SourceError) as caught:
        git_job_name(url, "train.py")
    assert SECRET not in caught.value.message


def test_an_alias_that_w_and_b_takes_for_a_version_gets_another_name() -> None:
    tags = [Tag(text) for text in ("v1", "v12", "v1.2", "latest", "v", "dev1", "V1", "tag-v1")]

    assert wandb_aliases(tags) == (
        "tag-v1", "tag-v12", "v1.2", "latest", "v", "dev1", "V1", "tag-v1"
    )  # fmt: skip
