"""What is read of registries without asking one: challenges, logins, waits, addresses, errors."""

from __future__ import annotations

import base64
import gzip
import json
import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch_action.core.errors import InputError, RegistryError
from launch_action.oci.challenge import Challenge, parse_challenges
from launch_action.oci.docker_config import Credential, DockerCredentials, host_of
from launch_action.oci.faults import Secrets, error_codes, refusal, said, unreachable, untrusted
from launch_action.oci.hints import hint
from launch_action.oci.host import address_of
from launch_action.oci.mirrors import Mirror, parse_mirror
from launch_action.oci.network import is_loopback, proxy_of
from launch_action.oci.retry import Patience, Transient, persist, retry_after

BEARER = Challenge(
    "bearer",
    (
        ("realm", "https://auth.docker.io/token"),
        ("service", "registry.docker.io"),
        ("scope", "repository:acme/train:pull,push"),
    ),
)


@pytest.mark.parametrize(
    ("field", "schemes"),
    [
        ("", []),
        ("Negotiate", ["negotiate"]),
        ("Basic", ["basic"]),
        ('Basic realm="a"', ["basic"]),
        ("Negotiate abc123==", ["negotiate"]),
        ('Negotiate abc==, Basic realm="x"', ["negotiate", "basic"]),
        ('BASIC realm="a, b=c \\"q\\"", bearer realm="r"', ["basic", "bearer"]),
        (', , Basic realm = "a" ,, Bearer realm=token', ["basic", "bearer"]),
        ('Bearer realm="unterminated', ["bearer"]),
    ],
)
def test_every_challenge_of_a_field_is_found(field: str, schemes: list[str]) -> None:
    assert [challenge.scheme for challenge in parse_challenges([field])] == schemes


def test_a_challenge_s_parameters_are_read_with_their_commas_and_quotes() -> None:
    field = (
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",'
        'scope="repository:acme/train:pull,push"'
    )

    assert parse_challenges([field]) == (BEARER,)
    assert BEARER.scopes == {"repository:acme/train:pull,push"}
    assert parse_challenges([r'Basic realm="a\"b"'])[0].get("realm") == 'a"b'


@given(st.lists(st.text(max_size=60), max_size=3))
def test_no_text_stops_the_reading_of_challenges(fields: list[str]) -> None:
    for challenge in parse_challenges(fields):
        assert challenge.scheme == challenge.scheme.lower()


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def credentials(folder: Path, document: Any) -> DockerCredentials:
    (folder / "config.json").write_text(
        document if isinstance(document, str) else json.dumps(document)
    )
    return DockerCredentials({"DOCKER_CONFIG": str(folder)})


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("ghcr.io", "ghcr.io"),
        ("https://ghcr.io", "ghcr.io"),
        ("https://ghcr.io/v2/", "ghcr.io"),
        ("GHCR.io", "ghcr.io"),
        ("localhost:5000", "localhost:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
    ],
)
def test_a_login_is_found_under_every_spelling_of_its_host(
    tmp_path: Path, key: str, host: str
) -> None:
    found = credentials(tmp_path, {"auths": {key: {"auth": encoded("u:p:w")}}}).find(host)

    assert found == Credential("u", "p:w")


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ({"auth": encoded("u:p")}, Credential("u", "p")),
        ({"auth": encoded("u:")}, Credential("u", "")),
        ({"auth": encoded("u:p\0\0")}, Credential("u", "p")),
        ({"username": "u", "password": "p"}, Credential("u", "p")),
        (
            {"auth": encoded("u:"), "identitytoken": "t"},
            Credential(identity_token="t"),
        ),
        ({}, None),
        ({"email": "a@b"}, None),
    ],
)
def test_an_entry_of_auths_is_read(
    tmp_path: Path, entry: dict[str, str], found: Credential | None
) -> None:
    assert credentials(tmp_path, {"auths": {"ghcr.io": entry}}).find("ghcr.io") == found


def test_the_login_given_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps({"auths": {"ghcr.io": {"auth": encoded("file:f")}}})
    )
    given_one = {"ghcr.io": Credential("given", "g")}

    found = DockerCredentials({"DOCKER_CONFIG": str(tmp_path)}, given_one)

    assert found.find("ghcr.io") == Credential("given", "g")
    assert found.find("quay.io") is None


def test_docker_s_file_comes_before_podman_s(tmp_path: Path) -> None:
    for folder, user in ((".docker", "docker"), ("run/containers", "podman")):
        place = tmp_path / folder
        place.mkdir(parents=True)
        auths = {f"{user}.example": {"auth": encoded(f"{user}:p")}, "both.example": {}}
        auths["both.example"] = {"auth": encoded(f"{user}:p")}
        name = "config.json" if user == "docker" else "auth.json"
        (place / name).write_text(json.dumps({"auths": auths}))

    found = DockerCredentials({"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")})

    assert found.find("docker.example") == Credential("docker", "p")
    assert found.find("podman.example") == Credential("podman", "p")
    assert found.find("both.example") == Credential("docker", "p")


def test_a_document_in_the_environment_comes_first(tmp_path: Path) -> None:
    document = json.dumps({"auths": {"ghcr.io": {"auth": encoded("env:e")}}})
    (tmp_path / "config.json").write_text(
        json.dumps({"auths": {"ghcr.io": {"auth": encoded("file:f")}}})
    )
    environment = {"DOCKER_AUTH_CONFIG": document, "DOCKER_CONFIG": str(tmp_path)}

    assert DockerCredentials(environment).find("ghcr.io") == Credential("env", "e")


@pytest.mark.parametrize(
    "document",
    [
        "not json: hunter2",
        '["hunter2"]',
        '{"auths": ["hunter2"]}',
        '{"auths": {"ghcr.io": "hunter2"}}',
        '{"auths": {"ghcr.io": {"auth": "hunter2!"}}}',
        json.dumps({"auths": {"ghcr.io": {"auth": encoded("hunter2")}}}),
        json.dumps({"auths": {"ghcr.io": {"auth": encoded(":hunter2")}}}),
        '{"auths": {"ghcr.io": {"auth": ["hunter2"]}}}',
        '{"credHelpers": "hunter2"}',
    ],
)
def test_a_malformed_file_is_an_error_that_names_it_and_quotes_no_secret(
    tmp_path: Path, document: str
) -> None:
    with pytest.raises(InputError, match=str(tmp_path / "config.json")) as caught:
        credentials(tmp_path, document).find("ghcr.io")

    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"
    assert encoded("hunter2") not in caught.value.message


def test_a_file_is_read_only_when_a_login_is_wanted(tmp_path: Path) -> None:
    credentials(tmp_path, "malformed")


def test_no_file_is_no_login(tmp_path: Path) -> None:
    assert DockerCredentials({"HOME": str(tmp_path)}).find("ghcr.io") is None
    assert DockerCredentials({}).find("ghcr.io") is None
    assert credentials(tmp_path, "").find("ghcr.io") is None


def test_a_credential_does_not_show_itself() -> None:
    assert repr(Credential("user", "hunter2", "token")) == "Credential()"


def test_a_key_of_a_namespace_is_not_the_login_of_its_host() -> None:
    assert host_of("quay.io/acme") == "quay.io/acme"


def test_waits_grow_and_stay_within_their_bounds() -> None:
    random.seed(7)
    patience = Patience(base=0.5, cap=4.0, after=30.0)

    for failed, longest in ((1, 0.5), (2, 1.0), (4, 4.0), (9, 4.0)):
        waits = [patience.delay(failed, None) for _ in range(200)]
        assert max(waits) <= longest
        assert max(waits) > 0.8 * longest
        assert min(waits) < 0.2 * longest
    assert patience.delay(1, 7.0) == 7.0
    assert patience.delay(1, 3600.0) == 30.0


def test_retry_after_is_seconds_or_a_date() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=30)

    assert retry_after("12") == 12
    assert 25 < (retry_after(format_datetime(soon, usegmt=True)) or 0) <= 30
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert retry_after(None) is retry_after("soon") is retry_after("") is None
    year = 365 * 24 * 3600
    assert retry_after("9" * 400) == year
    assert retry_after("Mon, 01 Jan 99999999999999999999 00:00:00 GMT") is None
    assert "8760 h" in hint("h", 429, "", login=True, headers={"Retry-After": "9" * 400})


def test_what_nobody_can_read_is_not_told() -> None:
    assert said(gzip.compress(b'{"errors":[{"code":"DENIED"}]}')) == ""
    assert said("trop tôt".encode()) == "trop tôt"


def test_patience_ends_with_the_last_error_and_tells_each_try() -> None:
    notes: list[str] = []
    tried: list[int] = []

    def attempt(number: int) -> None:
        tried.append(number)
        raise Transient(unreachable("ghcr.io", f"cause {number}"))

    with pytest.raises(RegistryError, match="cause 3"):
        persist(attempt, Patience(tries=3, base=0.0), notes.append)

    assert tried == [1, 2, 3]
    assert [note.partition(";")[0][-7:] for note in notes] == ["cause 1", "cause 2"]


@pytest.mark.parametrize(
    ("registry", "insecure", "address"),
    [
        ("docker.io", (), "https://registry-1.docker.io"),
        ("ghcr.io", (), "https://ghcr.io"),
        ("localhost:5000", (), "http://localhost:5000"),
        ("localhost", (), "http://localhost"),
        ("127.8.9.10:5000", (), "http://127.8.9.10:5000"),
        ("[::1]:5000", (), "http://[::1]:5000"),
        ("registry.lan:5000", (), "https://registry.lan:5000"),
        ("registry.lan:5000", ("registry.lan:5000",), "http://registry.lan:5000"),
        ("registry.lan:5000", ("Registry.lan",), "http://registry.lan:5000"),
        ("registry.lan:5000", ("registry.lan:5001",), "https://registry.lan:5000"),
        ("localhost.example.com", (), "https://localhost.example.com"),
        ("10.0.0.1:5000", (), "https://10.0.0.1:5000"),
    ],
)
def test_plain_http_is_for_loopback_and_for_hosts_that_are_named(
    registry: str, insecure: tuple[str, ...], address: str
) -> None:
    assert address_of(registry, insecure) == address


@pytest.mark.parametrize(
    ("text", "mirror"),
    [
        ("https://mirror.example/", Mirror("docker.io", "https://mirror.example")),
        ("mirror.example:5000", Mirror("docker.io", "https://mirror.example:5000")),
        ("http://[::1]:5000", Mirror("docker.io", "http://[::1]:5000")),
        ("docker.io=http://a", Mirror("docker.io", "http://a")),
        ("index.docker.io=http://a", Mirror("docker.io", "http://a")),
        ("ghcr.io=mirror.example", Mirror("ghcr.io", "https://mirror.example")),
        ("GHCR.io=https://a/p/q/", Mirror("ghcr.io", "https://a", "p/q/")),
        ("localhost:5000=http://a", Mirror("localhost:5000", "http://a")),
    ],
)
def test_a_mirror_is_a_url_with_the_registry_it_is_of(text: str, mirror: Mirror) -> None:
    assert parse_mirror(text) == mirror


@pytest.mark.parametrize(
    "wrong",
    [
        "ftp://x", "https://", "https://user:hunter2@mirror.example", "ghcr.io=", "=https://a",
        "python=https://a", "ghcr.io/acme=https://a", "https://a?x=1", "https://a/UPPER",
        "https://a:port", "ghcr.io=https://user:hunter2@a", "a b=https://c",
    ],
)  # fmt: skip
def test_what_is_no_mirror_is_refused_without_its_password(wrong: str) -> None:
    with pytest.raises(InputError, match="not a registry mirror") as caught:
        parse_mirror(wrong)
    assert "hunter2" not in caught.value.message


def test_proxies_are_taken_from_the_environment_given() -> None:
    environment = {"https_proxy": "proxy:3128", "NO_PROXY": "ghcr.io,.lan"}

    assert proxy_of("https", "quay.io", environment) == "http://proxy:3128"
    assert proxy_of("https", "ghcr.io", environment) == ""
    assert proxy_of("https", "registry.lan", environment) == ""
    assert proxy_of("http", "quay.io", environment) == ""
    assert proxy_of("https", "127.0.0.1", environment) == ""
    assert proxy_of("http", "quay.io", {"ALL_PROXY": "http://p"}) == "http://p"


def test_loopback_is_known_by_its_address() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]")))
    assert not any(map(is_loopback, ("10.0.0.1", "example.com", "::2", "")))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"errors":[{"code":"DENIED","message":"no"}]}', "DENIED: no"),
        (b'{"errors":[{"code":"A"},{"message":"b"},{"code":"A"}]}', "A; b"),
        (b'{"details":"incorrect username or password"}', "incorrect username or password"),
        (b'{"error":"invalid_grant","error_description":"old"}', "old; invalid_grant"),
        (b"<html>502</html>", ""),
        (b"too many requests", "too many requests"),
        (b"[]", ""),
        (b'{"errors":"no"}', ""),
        (b"\xff\xfe", ""),
    ],
)
def test_the_registry_s_words_are_found(body: bytes, text: str) -> None:
    assert said(body) == text


def test_error_codes_are_those_of_the_specification() -> None:
    assert error_codes(b'{"errors":[{"code":"blob_unknown"},3]}') == {"BLOB_UNKNOWN"}
    assert error_codes(b"x") == error_codes(b"[]") == error_codes(b'{"errors":1}') == frozenset()


def test_secrets_and_control_characters_are_taken_out_of_what_is_told() -> None:
    secrets = Secrets()
    secrets.add("hunter2", "abc", "")

    assert secrets.clean("a\nb\x1b[31m hunter2!\u2028abc") == "a b [31m ***! abc"
    assert len(secrets.clean("x" * 5000)) == 303


@pytest.mark.parametrize(
    ("host", "status", "login", "hint"),
    [
        ("ghcr.io", 403, True, "packages: write"),
        ("ghcr.io", 401, False, "packages: write"),
        ("docker.io", 401, False, "docker login"),
        ("docker.io", 403, True, "its own account"),
        ("docker.io", 429, False, "--registry-mirror"),
        ("quay.io", 429, False, "docker login quay.io for more"),
        ("quay.io", 429, True, "limits requests: wait"),
        ("quay.io", 401, False, "robot account"),
        ("registry.gitlab.com", 403, False, "CI_REGISTRY_USER"),
        ("registry.gitlab.example.org", 404, True, "its registry switched on"),
        ("europe-docker.pkg.dev", 404, True, "europe-docker.pkg.dev/PROJECT/NAME/IMAGE"),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", 404, True, "create-repository"),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", 403, False, "get-login-password"),
        ("europe-docker.pkg.dev", 403, True, "gcloud auth configure-docker"),
        ("acme.azurecr.io", 401, False, "az acr login --name acme"),
        ("registry.lan", 401, False, "docker login registry.lan"),
        ("registry.lan", 403, True, "was sent and refused"),
        ("registry.lan", 413, True, "limits the size"),
        ("registry.lan", 503, True, "fault of its own"),
    ],
)
def test_a_refusal_says_what_to_do(host: str, status: int, login: bool, hint: str) -> None:
    error = refusal(host=host, status=status, doing="reading x", text="said so", login=login)

    assert error.message == f"registry {host} answered {status} reading x: said so"
    assert hint in error.hint


def test_a_wrong_protocol_is_no_wrong_certificate() -> None:
    assert "does not speak https" in untrusted("h", "WRONG_VERSION_NUMBER").message
    assert "--registry-ca" in untrusted("h", "self-signed certificate").hint
    assert "the name" in untrusted("h", "Hostname mismatch, certificate is not valid").hint


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"RateLimit-Limit": "100;w=21600"}, "100 in 6 h"),
        ({"RateLimit-Limit": "2000", "RateLimit-Remaining": "0"}, "2000, 0 left"),
        (
            {"RateLimit-Limit": "10;w=60", "Retry-After": "600"},
            "10 in 60 s; it asks to wait 10 min",
        ),
        ({"Retry-After": "7"}, "it asks to wait 7 s"),
        ({"RateLimit-Limit": "a lot", "Retry-After": "soon"}, "limits requests: wait"),
    ],
)
def test_a_limit_is_told_in_words(fields: dict[str, str], told: str) -> None:
    assert told in hint("registry.example", 429, "", login=True, headers=fields)


@pytest.mark.parametrize(
    ("host", "text", "how"),
    [
        (
            "1.dkr.ecr.eu-west-1.amazonaws.com",
            "TAG_INVALID: The image tag 'latest' already exists and cannot be overwritten because "
            "the repository is immutable.",
            "exclusion filters",
        ),
        (
            "a.azurecr.io",
            "DENIED: The operation is disallowed on this registry",
            "az acr repository",
        ),
        ("harbor.example", "PRECONDITION: tag latest is configured as immutable", "settings"),
    ],
)
def test_an_immutable_tag_is_told_as_such(host: str, text: str, how: str) -> None:
    assert how in hint(host, 412, text, login=True)
