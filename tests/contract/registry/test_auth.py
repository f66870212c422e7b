"""Logins at a real registry: password, tokens, credential helpers, a private authority."""

from __future__ import annotations

import base64
import io
import json
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from support.loopback import Certificates, certificates, serving
from support.registry import (
    LOGIN,
    PASSWORD,
    USERNAME,
    Logins,
    Running,
    TokenServer,
    blob_of,
    running,
)
from support.registry_proxy import Fault, proxy_to

from launch_action.core.errors import InputError, RegistryError
from launch_action.core.ports import read_blob
from launch_action.core.reference import Repository
from launch_action.oci.docker_config import Credential, DockerCredentials
from launch_action.oci.mirrors import parse_mirror
from launch_action.oci.registries import Registries
from launch_action.oci.registry import RegistryContent
from launch_action.oci.retry import Patience

pytestmark = pytest.mark.registry
PAIR = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
QUICK = Patience(tries=3, base=0.01)


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("locked"), password=True) as found:
        yield found


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secure(authority: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("secure"), tls=authority) as found:
        yield found


def opened(server: Running, login: Credential | None, path: str = "acme/train") -> RegistryContent:
    logins = Logins({server.address: login} if login else {})
    return Registries(logins, patience=QUICK).open(server.repository(path), writable=True)


def put(content: RegistryContent, data: bytes) -> None:
    content.put_blob(blob_of(data), lambda: io.BytesIO(data))


def told(error: RegistryError) -> str:
    return f"{error.message} {error.hint} {error.context} {error!r}"


def test_a_password_lets_in(locked: Running) -> None:
    content = opened(locked, LOGIN)

    put(content, b"behind a password")

    assert read_blob(content, blob_of(b"behind a password")) == b"behind a password"


def test_no_login_is_an_error_that_tells_how_to_log_in(locked: Running) -> None:
    with pytest.raises(RegistryError, match="401") as caught:
        opened(locked, None).tags()

    assert f"docker login {locked.address}" in caught.value.hint
    assert "--registry-username" in caught.value.hint


def test_a_refused_password_is_said_without_it(locked: Running) -> None:
    with pytest.raises(RegistryError, match="401") as caught:
        opened(locked, Credential(USERNAME, "wrong-password")).tags()

    assert "renew" in caught.value.hint
    assert "wrong-password" not in told(caught.value)


def test_the_password_is_asked_for_once_and_sent_only_to_its_registry(locked: Running) -> None:
    with proxy_to(locked.address) as proxy:
        content = Registries(Logins({proxy.address: LOGIN})).open(
            Repository.parse(f"{proxy.address}/acme/once")
        )
        for _ in range(3):
            content.tags()

    assert ["authorization" in seen.headers for seen in proxy.seen] == [False, True, True, True]


def test_anybody_may_pull_with_an_anonymous_token(guarded: Running) -> None:
    put(opened(guarded, LOGIN), b"public")
    stranger = Registries(Logins()).open(guarded.repository("acme/train"))

    assert read_blob(stranger, blob_of(b"public")) == b"public"


def test_a_stranger_may_not_push(guarded: Running) -> None:
    with pytest.raises(RegistryError, match=r"401 writing blob .*: UNAUTHORIZED") as caught:
        put(opened(guarded, None), b"mine")

    assert "docker login" in caught.value.hint


def test_one_token_serves_every_request_of_a_repository(
    guarded: Running, tokens: TokenServer
) -> None:
    content = opened(guarded, LOGIN)
    for data in (b"a", b"b", b"c"):
        put(content, data)
    content.tags()

    assert [request.scopes for request in tokens.requests] == [["repository:acme/train:pull,push"]]
    assert tokens.requests[0].values["service"] == "test registry"
    assert tokens.requests[0].values["account_type"] == "test"
    assert tokens.requests[0].authorization == f"Basic {PAIR}"


def test_a_mount_asks_for_one_token_of_both_repositories(
    guarded: Running, tokens: TokenServer
) -> None:
    registries = Registries(Logins({guarded.address: LOGIN}))
    origin = registries.open(guarded.repository("base/python"), writable=True)
    target = registries.open(guarded.repository("acme/train"), writable=True)
    put(origin, b"a layer")
    before = target.traffic.sent

    assert target.copy_blob(blob_of(b"a layer"), origin) == "mounted"

    assert tokens.requests[-1].scopes == [
        "repository:acme/train:pull,push",
        "repository:base/python:pull",
    ]
    assert target.traffic.sent == before


def test_where_a_token_of_both_is_refused_the_blob_is_sent(
    guarded: Running, tokens: TokenServer
) -> None:
    registries = Registries(Logins({guarded.address: LOGIN}), patience=QUICK)
    origin = registries.open(guarded.repository("base/python"), writable=True)
    target = registries.open(guarded.repository("acme/train"), writable=True)
    put(origin, b"a layer")
    target.tags()
    tokens.refuse = (403, '{"errors": [{"code": "DENIED", "message": "not both"}]}')

    assert target.copy_blob(blob_of(b"a layer"), origin) == "sent"


def test_an_identity_token_is_exchanged(guarded: Running, tokens: TokenServer) -> None:
    put(opened(guarded, Credential(identity_token=tokens.identity_token)), b"identity")

    asked = tokens.requests[0]
    assert (asked.method, asked.authorization) == ("POST", "")
    assert asked.values["grant_type"] == "refresh_token"


def test_a_token_is_renewed_before_it_ends(guarded: Running, tokens: TokenServer) -> None:
    tokens.lifetime = 1
    content = opened(guarded, LOGIN)
    content.tags()
    time.sleep(1.1)
    content.tags()

    assert len(tokens.requests) == 2


def test_a_token_that_is_refused_in_the_middle_is_renewed_once(
    guarded: Running, tokens: TokenServer
) -> None:
    data = b"x" * 3_000_000
    with proxy_to(guarded.address) as proxy:
        content = Registries(Logins({proxy.address: LOGIN}), patience=QUICK).open(
            Repository.parse(f"{proxy.address}/acme/train"), writable=True
        )
        content.tags()
        realm = f'Bearer realm="http://{tokens.address}/token",service="test registry"'
        proxy.faults.append(Fault("status", "PUT", status=401, headers={"WWW-Authenticate": realm}))
        put(content, data)

        assert proxy.count("PUT") == 2
    assert len(tokens.requests) == 2
    assert read_blob(opened(guarded, LOGIN), blob_of(data)) == data


def test_a_repository_that_the_registry_calls_otherwise_gets_its_scope_too(
    guarded: Running, tokens: TokenServer
) -> None:
    with proxy_to(guarded.address) as proxy:
        realm = f'Bearer realm="http://{tokens.address}/token",service="test registry"'
        headers = {"WWW-Authenticate": f'{realm},scope="repository:prefix/acme/train:pull"'}
        proxy.faults.append(Fault("status", status=401, headers=headers))
        content = Registries(Logins({proxy.address: LOGIN})).open(
            Repository.parse(f"{proxy.address}/acme/train")
        )
        content.tags()

    assert tokens.requests[0].scopes == [
        "repository:acme/train:pull",
        "repository:prefix/acme/train:pull",
    ]


def test_what_a_token_server_repeats_of_a_login_is_not_repeated(
    guarded: Running, tokens: TokenServer
) -> None:
    wrong = Credential(USERNAME, "a-very-wrong-password")
    with pytest.raises(RegistryError, match="incorrect login") as caught:
        opened(guarded, wrong).tags()

    pair = base64.b64encode(f"{USERNAME}:a-very-wrong-password".encode()).decode()
    assert "a-very-wrong-password" not in told(caught.value)
    assert pair not in told(caught.value)
    assert tokens.requests[0].authorization == f"Basic {pair}"


def test_a_token_server_that_fails_for_a_moment_is_asked_again(
    tokens: TokenServer, tmp_path: Path
) -> None:
    with proxy_to(tokens.address) as proxy:
        tokens_address, tokens.address = tokens.address, proxy.address
        proxy.faults.append(Fault("status", status=503))
        with running(tmp_path / "server", tokens=tokens) as server:
            opened(server, LOGIN).tags()
        tokens.address = tokens_address

    assert proxy.count("GET") == 2


def test_a_login_is_not_carried_from_tls_to_a_token_server_without(
    authority: Certificates,
) -> None:
    asked: list[str] = []

    class Thief(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(500)

    with serving(Thief) as thief:

        class Greedy(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(401)
                self.send_header("WWW-Authenticate", f'Bearer realm="http://{thief}/token"')
                self.send_header("Content-Length", "0")
                self.end_headers()

        with serving(Greedy, tls=authority) as greedy:
            # A mirror's address says https, where loopback alone would mean http.
            registries = Registries(
                Logins({greedy: LOGIN}), ca_file=str(authority.authority), patience=QUICK
            )
            mirror = registries._mirror(parse_mirror(f"https://{greedy}"))
            content = RegistryContent(
                Repository.parse(f"{greedy}/acme/train"), (mirror,), writable=False
            )
            with pytest.raises(RegistryError, match="no token server that can be trusted"):
                content.tags()

    assert asked == []


@pytest.mark.parametrize("where", ["elsewhere", "itself"])
def test_content_is_never_fetched_without_tls_for_a_registry_with_it(
    authority: Certificates, where: str
) -> None:
    """A registry behind a proxy that ends TLS may name itself with http: that is put right."""
    asked: list[str] = []

    class Plain(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(500)

    with serving(Plain) as plain:

        class Leading(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/there":
                    self.send_response(200)
                    self.send_header("Content-Length", "5")
                    self.end_headers()
                    self.wfile.write(b"there")
                    return
                port = plain.partition(":")[2]
                host = f"127.0.0.2:{port}" if where == "elsewhere" else self.headers["Host"]
                self.send_response(307)
                self.send_header("Location", f"http://{host}/there")
                self.send_header("Content-Length", "0")
                self.end_headers()

        with serving(Leading, tls=authority) as leading:
            registries = Registries(Logins(), ca_file=str(authority.authority), patience=QUICK)
            content = RegistryContent(
                Repository.parse(f"{leading}/acme/train"),
                (registries._mirror(parse_mirror(f"https://{leading}")),),
                writable=False,
            )
            if where == "itself":
                assert read_blob(content, blob_of(b"there")) == b"there"
            else:
                with pytest.raises(RegistryError, match=r"not safe: http://127\.0\.0\.2"):
                    read_blob(content, blob_of(b"there"))

    assert asked == []


@pytest.mark.parametrize("challenge", ["", "Negotiate", 'Digest realm="x"'])
def test_a_login_of_an_unknown_kind_is_an_error(locked: Running, challenge: str) -> None:
    with proxy_to(locked.address) as proxy:
        headers = {"WWW-Authenticate": challenge} if challenge else {}
        proxy.faults.append(Fault("status", status=401, headers=headers))
        content = Registries(Logins()).open(Repository.parse(f"{proxy.address}/acme/train"))

        with pytest.raises(RegistryError, match="not by Bearer or Basic"):
            content.tags()


def test_a_private_authority_is_trusted_when_it_is_given(
    secure: Running, authority: Certificates
) -> None:
    registries = Registries(Logins(), ca_file=str(authority.authority))
    content = registries.open(secure.repository("acme/train"), writable=True)

    put(content, b"over TLS")

    assert read_blob(content, blob_of(b"over TLS")) == b"over TLS"


def test_threads_that_find_out_together_that_tls_is_spoken_all_go_on(
    secure: Running, authority: Certificates
) -> None:
    registries = Registries(Logins(), ca_file=str(authority.authority))
    content = registries.open(secure.repository("acme/threads"))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: content.tags(), range(16))) == {()}


def test_a_certificate_that_is_not_trusted_is_an_error_that_names_the_option(
    secure: Running,
) -> None:
    notes: list[str] = []
    with pytest.raises(RegistryError, match="not trusted") as caught:
        Registries(Logins(), note=notes.append).open(secure.repository("acme/train")).tags()

    assert "--registry-ca" in caught.value.hint
    assert notes == []  # it was not tried again


def test_certificates_that_cannot_be_read_are_an_input_error(
    secure: Running, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "missing.pem"):
        registries = Registries(Logins(), ca_file=str(tmp_path / name))
        with pytest.raises(InputError, match=name):
            registries.open(secure.repository("acme/train")).tags()


def test_https_where_plain_http_is_spoken_names_the_option(locked: Running) -> None:
    mirror = Registries(Logins(), patience=QUICK)._mirror(parse_mirror(f"https://{locked.address}"))
    content = RegistryContent(locked.repository("acme/train"), (mirror,), writable=False)

    with pytest.raises(RegistryError, match="does not speak https") as caught:
        content.tags()

    assert f"--insecure-registry {locked.address}" in caught.value.hint


def helper(folder: Path, name: str, script: str) -> dict[str, str]:
    """Put a credential helper on a PATH of its own; returns the environment with it."""
    folder.mkdir(exist_ok=True)
    program = folder / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}:/usr/bin:/bin", "DOCKER_CONFIG": str(folder)}


def test_a_credential_helper_is_asked_for_the_host(locked: Running, tmp_path: Path) -> None:
    answer = json.dumps({"ServerURL": "x", "Username": USERNAME, "Secret": PASSWORD})
    script = f"cat > {tmp_path}/asked; echo \"$1\" >> {tmp_path}/asked; echo '{answer}'"
    environment = helper(tmp_path / "bin", "fake", script)
    config = {"credHelpers": {locked.address: "fake"}, "credsStore": "absent"}
    (tmp_path / "bin/config.json").write_text(json.dumps(config))

    content = Registries(DockerCredentials(environment)).open(locked.repository("acme/helped"))

    assert content.tags() == ()
    assert (tmp_path / "asked").read_text() == f"{locked.address}get\n"


def test_a_store_is_asked_for_docker_hub_by_its_own_key(tmp_path: Path) -> None:
    answer = json.dumps({"Username": "<token>", "Secret": "identity"})
    environment = helper(tmp_path / "bin", "store", f"cat > {tmp_path}/asked; echo '{answer}'")
    (tmp_path / "bin/config.json").write_text('{"credsStore": "store"}')

    found = DockerCredentials(environment).find("docker.io")

    assert found == Credential(identity_token="identity")
    assert (tmp_path / "asked").read_text() == "https://index.docker.io/v1/"


def test_a_store_that_knows_nothing_leaves_the_file(tmp_path: Path) -> None:
    script = "echo 'credentials not found in native keychain'; exit 1"
    environment = helper(tmp_path / "bin", "store", script)
    auths = {"ghcr.io": {"auth": PAIR}}
    (tmp_path / "bin/config.json").write_text(json.dumps({"credsStore": "store", "auths": auths}))

    credentials = DockerCredentials(environment)

    assert credentials.find("ghcr.io") == LOGIN
    assert credentials.find("quay.io") is None


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ("echo secret-of-mine; exit 3", "ended with 3"),
        ("echo secret-of-mine", "not a credential"),
        ("echo '[1]'", "not a credential"),
    ],
)
def test_a_helper_that_fails_is_named_and_not_quoted(
    tmp_path: Path, script: str, cause: str
) -> None:
    environment = helper(tmp_path / "bin", "bad", script)
    (tmp_path / "bin/config.json").write_text('{"credsStore": "bad"}')

    with pytest.raises(RegistryError, match=f"docker-credential-bad.*ghcr.io.*{cause}") as caught:
        DockerCredentials(environment).find("ghcr.io")

    assert "secret-of-mine" not in told(caught.value)


def test_a_helper_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"credsStore": "absent"}')
    environment = {"PATH": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}

    with pytest.raises(RegistryError, match=r"docker-credential-absent.*no such program"):
        DockerCredentials(environment).find("ghcr.io")


def test_a_helper_gets_the_cloud_s_variables_and_no_others(tmp_path: Path) -> None:
    script = f'env > {tmp_path}/env; echo \'{{"Username":"u","Secret":"s"}}\''
    environment = helper(tmp_path / "bin", "env", script)
    (tmp_path / "bin/config.json").write_text('{"credsStore": "env"}')
    also = {"AWS_PROFILE": "ci", "WANDB_API_KEY": "not-for-it", "GITHUB_TOKEN": "nor-this"}

    DockerCredentials(environment | also).find("ghcr.io")

    seen = (tmp_path / "env").read_text()
    assert "AWS_PROFILE=ci" in seen
    assert "not-for-it" not in seen
    assert "nor-this" not in seen
