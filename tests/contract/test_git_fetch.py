"""One commit of a remote becomes a checkout: over HTTP and ssh, from servers of every ability."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from support.git_remotes import ACCOUNT, PASSWORD, USERNAME, GitServer, http_server, ssh_server
from support.repositories import Work, git, lfs_pointer, make_repository

from launch_action.core.checkout import Checkout
from launch_action.core.errors import InputError, LaunchError, SourceError
from launch_action.core.git_address import parse_git_address
from launch_action.git.checkout import inspect
from launch_action.git.fetch import Wanted, fetched
from launch_action.git.remote_commit import is_on_remote
from launch_action.git.transfer import Access
from launch_action.git.tree import open_context

NAME = "acme/mono.git"
LARGE = 300_000
LOGIN = f"{USERNAME}:{quote(PASSWORD, safe='')}@"


@dataclass(frozen=True)
class Served:
    """A repository to serve: `first` and `second` are on main, `pull` only on refs/pull/7/head."""

    root: Path
    first: str
    second: str
    pull: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    root = tmp_path_factory.mktemp("served")
    work = make_repository(root / "work", remote=None)
    first = work.commit(
        {
            "jobs/hello/job.py": "print(1)\n",
            "other/big.bin": os.urandom(LARGE),
            ".python-version": "3.11",
        }
    )
    work.git("branch", "topic/a")
    work.git("tag", "v1")
    work.git("tag", "--annotate", "v2", "--message", "two")
    second = work.commit({"jobs/hello/job.py": "print(2)\n"})
    work.git("checkout", "--quiet", "--detach")
    pull = work.commit({"jobs/hello/job.py": "print(7)\n"})
    work.git("update-ref", "refs/pull/7/head", pull)
    work.git("checkout", "--quiet", "main")
    publish(work, root, NAME)
    return Served(root, first, second, pull)


def publish(work: Work, root: Path, name: str) -> Path:
    """A bare copy of a repository where a server finds it."""
    bare = root / "bare" / name
    bare.parent.mkdir(parents=True, exist_ok=True)
    git(root, "clone", "--quiet", "--mirror", str(work.path), str(bare))
    git(bare, "config", "uploadpack.allowFilter", "true")
    git(bare, "update-server-info")
    return bare


@pytest.fixture(scope="module", params=["modern", "old", "plain files"])
def server(request: pytest.FixtureRequest, served: Served) -> Iterator[GitServer]:
    """Protocol 2; protocol 0, which gives no commit that has no name; a directory of files."""
    dumb, modern = request.param == "plain files", request.param != "old"
    with http_server(served.root / "bare", dumb=dumb, modern=modern) as running:
        yield running


@contextmanager
def got(
    url: str, folder: Path, ref: str = "", path: str = "jobs/hello", access: Access | None = None
) -> Iterator[tuple[Checkout, Path]]:
    folder.mkdir(parents=True, exist_ok=True)
    wanted = Wanted(parse_git_address(url), ref, path)
    with fetched(wanted, access or Access(home(folder)), folder) as top:
        yield inspect(top), top


def home(folder: Path) -> dict[str, str]:
    """The environment of a user without settings."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder / "home")}


def script(checkout: Checkout, path: str = "jobs/hello") -> bytes | None:
    with open_context(checkout, path) as context:
        return context.read("job.py")


@pytest.mark.parametrize(
    "ref", ["", "HEAD", "@", "main", "topic/a", "v1", "v2", "first", "second", "short", "upper"]
)
def test_a_branch_a_tag_and_a_commit_are_fetched(
    server: GitServer, served: Served, ref: str, tmp_path: Path
) -> None:
    named = {"first": served.first, "second": served.second, "short": served.first[:10]}
    named["upper"] = served.second.upper()
    at_head = ref in ("", "HEAD", "@")
    expected = served.second if at_head or ref in ("main", "second", "upper") else served.first

    with got(server.url(NAME), tmp_path, named.get(ref, ref)) as (checkout, _):
        assert checkout.commit == expected
        assert script(checkout) == (b"print(2)\n" if expected == served.second else b"print(1)\n")
        assert checkout.remote == server.url(NAME)
        on = ref if ref in ("main", "topic/a") else None
        assert checkout.branch == ("main" if at_head else on)
        assert checkout.default_branch == "main"
        assert not checkout.dirty
        with open_context(checkout, "jobs/hello") as context:
            assert context.outer(".python-version") == {".python-version": b"3.11"}


def test_a_commit_that_only_a_pull_request_reaches_is_fetched(
    served: Served, tmp_path: Path
) -> None:
    for number, modern in enumerate((True, False)):
        with http_server(served.root / "bare", modern=modern) as server:
            for place, ref in enumerate((served.pull, "refs/pull/7/head")):
                folder = tmp_path / f"{number}-{place}"
                with got(server.url(NAME), folder, ref) as (checkout, _):
                    assert checkout.commit == served.pull
                    assert script(checkout) == b"print(7)\n"


def test_a_directory_does_not_cost_the_whole_repository(served: Served, tmp_path: Path) -> None:
    with http_server(served.root / "bare") as server:
        with got(server.url(NAME), tmp_path / "part") as (checkout, top):
            assert not (top / "other").exists()
            assert checkout.shallow
            assert server.sent < LARGE / 10
        before = server.sent
        with got(server.url(NAME), tmp_path / "whole", path="") as (_, top):
            assert (top / "other/big.bin").stat().st_size == LARGE
        assert server.sent - before > LARGE


@pytest.mark.parametrize(
    "path",
    [
        "a b/ü/-x",
        "\udcff\udcfe",
        "n\nl",
        "*?[x]",
        "back\\slash",
        "!x",
        "#x",
        '"q"',
        "t ",
        " l",
        "t /x",
        "t\t",
    ],
)
def test_a_directory_of_any_name_is_fetched(path: str, tmp_path: Path) -> None:
    work = make_repository(tmp_path / "work", remote=None)
    work.commit({f"{path}/job.py": "print(3)\n", "other/big.bin": "x"})
    publish(work, tmp_path, NAME)
    with (
        http_server(tmp_path / "bare") as server,
        got(server.url(NAME), tmp_path / "to", path=path) as (checkout, _),
    ):
        assert script(checkout, path) == b"print(3)\n"


@pytest.mark.parametrize("ref", ["nope", "a" * 40, "refs/pull/8/head", "abcdef"])
def test_what_the_remote_does_not_have_is_told(server: GitServer, ref: str, tmp_path: Path) -> None:
    with (
        pytest.raises(SourceError, match="no branch, tag or commit") as refused,
        got(server.url(NAME), tmp_path, ref),
    ):
        pass

    assert ref in refused.value.message


@pytest.mark.parametrize(
    "ref", ["-x", "--upload-pack=x", "a..b", "a b", "a^", "@{1}", "x\ny", "a:b"]
)
def test_what_git_would_take_for_something_else_is_refused(ref: str, tmp_path: Path) -> None:
    with pytest.raises(InputError), got("http://127.0.0.1:9/x.git", tmp_path, ref):
        pass


def test_an_empty_repository_is_told(tmp_path: Path) -> None:
    publish(make_repository(tmp_path / "empty", remote=None), tmp_path, NAME)
    with (
        http_server(tmp_path / "bare") as server,
        pytest.raises(SourceError, match="'HEAD'"),
        got(server.url(NAME), tmp_path / "to"),
    ):
        pass


# ------------------------------------------------------------------------------- logins


def complaint(url: str, folder: Path, access: Access | None = None) -> LaunchError:
    with pytest.raises(SourceError) as refused, got(url, folder, access=access):
        pass
    error = refused.value
    assert PASSWORD not in error.message + error.hint + error.context
    return error


def test_a_password_opens_what_is_closed_and_is_left_nowhere(
    served: Served, tmp_path: Path
) -> None:
    with http_server(served.root / "bare", login=ACCOUNT) as server:
        asked = complaint(server.url(NAME), tmp_path / "none")
        wrong = complaint(
            server.url(NAME), tmp_path / "wrong", Access(home(tmp_path), USERNAME, "no")
        )
        given = Access(home(tmp_path), USERNAME, PASSWORD)
        with got(server.url(NAME), tmp_path / "given", access=given) as (checkout, top):
            assert script(checkout) == b"print(2)\n"
            assert_nowhere(tmp_path / "given")
        with got(server.url(NAME, LOGIN), tmp_path / "url") as (checkout, top):
            assert checkout.remote == server.url(NAME)
            assert "p@ss" not in (top / ".git/config").read_text()
            assert_nowhere(tmp_path / "url")

    assert "asks for a login" in asked.message
    assert "--git-token" in asked.hint
    assert "refuses the login" in wrong.message


def assert_nowhere(folder: Path) -> None:
    """No file below the folder has the password, however it is spelt."""
    spellings = {PASSWORD.encode(), quote(PASSWORD, safe="").encode()}
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(one in data for one in spellings), path


def test_the_users_own_credential_helper_is_asked(served: Served, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.gitconfig").write_text("[credential]\n\thelper = store\n")
    with http_server(served.root / "bare", login=ACCOUNT) as server:
        (tmp_path / "home/.git-credentials").write_text(server.url("", LOGIN) + "\n")
        access = Access(home(tmp_path))
        with got(server.url(NAME), tmp_path / "to", access=access) as (checkout, _):
            assert script(checkout) == b"print(2)\n"


def test_a_password_is_in_no_command_line(served: Served, tmp_path: Path) -> None:
    log = tmp_path / "commands"
    wrapper = tmp_path / "bin/git"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec /usr/bin/git "$@"\n')
    wrapper.chmod(0o755)
    environment = home(tmp_path) | {"PATH": f"{wrapper.parent}:{os.environ['PATH']}"}
    before = os.environ["PATH"]
    os.environ["PATH"] = environment["PATH"]
    try:
        with (
            http_server(served.root / "bare", login=ACCOUNT) as server,
            got(server.url(NAME, LOGIN), tmp_path / "to", access=Access(environment)),
        ):
            pass
    finally:
        os.environ["PATH"] = before

    commands = log.read_text()
    assert "fetch" in commands
    assert PASSWORD not in commands
    assert quote(PASSWORD, safe="") not in commands


def test_a_key_opens_ssh_and_an_unknown_host_does_not_get_it(
    served: Served, tmp_path: Path
) -> None:
    with ssh_server(tmp_path / "sshd") as server:
        url = server.url(served.root / "bare" / NAME)
        known = str(server.known_hosts)
        by_file = Access(home(tmp_path), ssh_key=str(server.key), known_hosts=known)
        text = server.key.read_text()
        by_text = Access(home(tmp_path), ssh_key=text, known_hosts=known)
        windows = text.replace("\n", "\r\n")  # as a form of a web page sends it
        by_form = Access(home(tmp_path), ssh_key=windows, known_hosts=known)
        for number, access in enumerate((by_file, by_text, by_form)):
            with got(url, tmp_path / str(number), access=access) as (checkout, _):
                assert script(checkout) == b"print(2)\n"
                assert checkout.remote == url
            assert not list((tmp_path / str(number) / "keys").iterdir())

        unknown = complaint(url, tmp_path / "3", Access(home(tmp_path), ssh_key=str(server.key)))
        no_key = complaint(url, tmp_path / "4", Access(home(tmp_path), known_hosts=known))
        agent = with_agent(server.key, tmp_path)
        try:
            access = Access(home(tmp_path) | agent, known_hosts=known)
            with got(url, tmp_path / "5", access=access) as (checkout, _):
                assert checkout.commit == served.second
        finally:
            subprocess.run(["ssh-agent", "-k"], env=os.environ | agent, capture_output=True)

    assert "host key" in unknown.message
    assert "accepts no ssh key" in no_key.message


def with_agent(key: Path, folder: Path) -> dict[str, str]:
    """An agent of the test's own that holds the key; its variables."""
    started = subprocess.check_output(["ssh-agent", "-s", "-a", str(folder / "agent")], text=True)
    words = started.replace("\n", ";").split(";")
    found = dict(word.strip().split("=", 1) for word in words if "=" in word)
    subprocess.run(["ssh-add", "-q", str(key)], env=os.environ | found, check=True)
    return found


def test_a_key_that_is_none_is_an_input_error(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="ssh-key"),
        got("git@127.0.0.1:x", tmp_path, access=Access(home(tmp_path), ssh_key="no\nkey")),
    ):
        pass


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:9/x.git", "cannot be reached"),
        ("https://no-such-host.invalid/x.git", "cannot be found"),
    ],
)
def test_no_network_is_told_in_a_second(url: str, message: str, tmp_path: Path) -> None:
    assert message in complaint(url, tmp_path / "to").message


# ------------------------------------------------------------------- submodules, LFS


def test_submodules_come_along_by_relative_addresses(tmp_path: Path) -> None:
    library = make_repository(tmp_path / "library", remote=None)
    library.commit({"lib.py": "x = 1\n"})
    publish(library, tmp_path, "acme/library.git")
    unused = make_repository(tmp_path / "unused", remote=None)
    unused.commit({"big.bin": os.urandom(LARGE)})
    publish(unused, tmp_path, "acme/unused.git")
    work = make_repository(tmp_path / "work", remote=None)
    work.commit({"jobs/hello/job.py": "print(2)\n"})
    for name, path in (("library", "jobs/hello/vendor/library"), ("unused", "other/unused")):
        work.git("submodule", "--quiet", "add", str(tmp_path / "bare/acme" / f"{name}.git"), path)
        work.git("config", "--file", ".gitmodules", f"submodule.{path}.url", f"../{name}.git")
    work.commit()
    publish(work, tmp_path, NAME)

    with http_server(tmp_path / "bare", login=ACCOUNT) as server:
        with got(server.url(NAME, LOGIN), tmp_path / "to") as (checkout, _):
            with open_context(checkout, "jobs/hello") as context:
                assert context.read("vendor/library/lib.py") == b"x = 1\n"
            assert not any("unused" in asked for asked in server.asked)
        inside = "jobs/hello/vendor/library"
        with (
            got(server.url(NAME, LOGIN), tmp_path / "inside", path=inside) as (checkout, _),
            open_context(checkout, inside) as context,
        ):
            assert [file.path for file in context.files] == ["lib.py"]


@pytest.mark.parametrize("url", ["ext::sh -c touch% {made}", "file://{secret}", "{secret}"])
def test_a_submodule_runs_nothing_and_reads_nothing_of_this_machine(
    url: str, tmp_path: Path
) -> None:
    """Not even where the user's own settings let git do so."""
    secret = make_repository(tmp_path / "secret", remote=None)
    commit = secret.commit({"secret.txt": "x"})
    made = tmp_path / "made"
    address = url.format(made=made, secret=secret.path)
    work = make_repository(tmp_path / "work", remote=None)
    modules = f'[submodule "a"]\n\tpath = a\n\turl = {address}\n'
    work.write({"job.py": "print(1)\n", ".gitmodules": modules})
    work.git("add", "--all")
    work.git("update-index", "--add", "--cacheinfo", f"160000,{commit},a")
    work.git("commit", "--quiet", "--message", "a submodule")
    publish(work, tmp_path, NAME)
    settings = tmp_path / "to/home/.gitconfig"
    settings.parent.mkdir(parents=True)
    settings.write_text("".join(f"[protocol {p}]\n\tallow = always\n" for p in ('"ext"', '"file"')))

    with (
        http_server(tmp_path / "bare") as server,
        pytest.raises(SourceError, match="not allowed"),
        got(server.url(NAME), tmp_path / "to", path=""),
    ):
        pass
    assert not made.exists()


def test_lfs_content_of_the_needed_directory_comes_along(tmp_path: Path) -> None:
    wanted, unwanted = b"weights" * 1000, b"others" * 1000
    work = make_repository(tmp_path / "work", remote=None)
    work.commit(
        {
            ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
            "jobs/hello/job.py": "print(2)\n",
            "jobs/hello/model.bin": lfs_pointer(wanted),
            "root.bin": lfs_pointer(unwanted),
        }
    )
    publish(work, tmp_path, NAME)
    (tmp_path / "bare/lfs").mkdir()
    for content in (wanted, unwanted):
        oid = lfs_pointer(content).split(b"sha256:")[1].split()[0].decode()
        (tmp_path / "bare/lfs" / oid).write_bytes(content)

    with http_server(tmp_path / "bare", login=ACCOUNT) as server:
        with (
            got(server.url(NAME, LOGIN), tmp_path / "to") as (checkout, _),
            open_context(checkout, "jobs/hello") as context,
        ):
            assert context.read("model.bin") == wanted
        assert len({asked for asked in server.asked if asked.startswith("GET /lfs/")}) == 1


# ------------------------------------------------------------- is a commit at its remote


def on_remote(checkout_of: Work, url: str, folder: Path) -> bool:
    checkout_of.git("remote", "set-url", "origin", url)
    folder.mkdir(parents=True)
    return is_on_remote(inspect(checkout_of.path), Access(home(folder)), folder)


@pytest.mark.parametrize("depth", [(), ("--depth=1",)], ids=["whole", "shallow"])
def test_a_commit_is_looked_for_at_its_remote(
    server: GitServer, served: Served, depth: tuple[str, ...], tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", *depth, f"file://{served.root / 'bare' / NAME}", str(clone))
    work = Work(clone)

    assert on_remote(work, server.url(NAME), tmp_path / "tip")
    if not depth:
        work.git("checkout", "--quiet", served.first)
        assert on_remote(work, server.url(NAME), tmp_path / "before")
    work.commit({"new.py": "never pushed"})
    assert not on_remote(work, server.url(NAME), tmp_path / "new")


def test_a_commit_behind_what_is_known_here_is_found(
    server: GitServer, served: Served, tmp_path: Path
) -> None:
    """The remote has moved on since: its references say nothing to this checkout."""
    clone = tmp_path / "clone"
    source = f"file://{served.root / 'bare' / NAME}"
    git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=v1", source, str(clone))

    assert on_remote(Work(clone), server.url(NAME), tmp_path / "asked")


def test_a_remote_that_cannot_be_asked_is_an_error(served: Served, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", f"file://{served.root / 'bare' / NAME}", str(clone))

    with pytest.raises(SourceError, match="cannot be reached"):
        on_remote(Work(clone), "http://127.0.0.1:9/x.git", tmp_path / "asked")
