"""Addresses of git repositories: three protocols, logins apart, nothing that git would run."""

from __future__ import annotations

import pytest

from launch_action.core.errors import InputError
from launch_action.core.git_address import is_git_address, parse_git_address


@pytest.mark.parametrize(
    ("text", "url", "protocol", "login"),
    [
        ("https://github.com/acme/mono.git", "https://github.com/acme/mono.git", "https", ("", "")),
        ("https://me:p%40ss@host/a", "https://host/a", "https", ("me", "p@ss")),
        ("https://token@host:8443/a/b", "https://host:8443/a/b", "https", ("token", "")),
        ("http://host/a?x=1#y", "http://host/a", "http", ("", "")),
        ("git@github.com:acme/mono.git", "git@github.com:acme/mono.git", "ssh", ("", "")),
        ("host:path/to", "host:path/to", "ssh", ("", "")),
        ("ssh://git:pw@host:22/a", "ssh://git@host:22/a", "ssh", ("", "")),
        ("ssh://git@[::1]:22/a", "ssh://git@[::1]:22/a", "ssh", ("", "")),
        ("git@[::1]:a/b", "git@[::1]:a/b", "ssh", ("", "")),
        ("git@host:a@b", "git@host:a@b", "ssh", ("", "")),
    ],
)
def test_an_address_is_read_and_its_login_taken_out(
    text: str, url: str, protocol: str, login: tuple[str, str]
) -> None:
    found = parse_git_address(text)

    assert is_git_address(text)
    assert (found.url, found.protocol) == (url, protocol)
    assert (found.username, found.password) == login
    assert not login[1] or login[1] not in repr(found)


@pytest.mark.parametrize(
    "text",
    [
        "ext::sh -c touch% /tmp/x",
        "file:///etc",
        "git://host/a",
        "-u/x:y",
        "--upload-pack=x:y",
        "ssh://-oProxyCommand=x/a",
        "ssh://-oProxyCommand=x@host/a",
        "https://host",
        "https:///a",
        "https://host/a b",
        "https://host\n/a",
        "https://ho$t/a",
        "ftp://u:secret@host/a",
        "u:secret@host:path",
        "u:secret@host",
        "u::secret@host:path",
        "https://u:secret@host:port/a",
        "/a/directory",
        "",
    ],
)
def test_everything_else_is_refused_and_shows_no_password(text: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_git_address(text)

    assert "secret" not in refused.value.message
    assert "https://" in refused.value.hint


@pytest.mark.parametrize("text", [".", "jobs/digits", "/abs/dir", "git", "digits.git", "C"])
def test_a_directory_is_no_address_whatever_it_is_called(text: str) -> None:
    assert not is_git_address(text)
