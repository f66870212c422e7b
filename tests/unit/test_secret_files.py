"""Files that look like credentials, by name and by how they begin."""

from __future__ import annotations

import pytest

from launch_action.core.secret_files import looks_secret


@pytest.mark.parametrize(
    "path",
    [
        ".env", "deploy/.env", ".env.production", "id_rsa", "keys/id_ed25519", ".netrc",
        ".git-credentials", ".aws/credentials", "home/.docker/config.json", ".kube/config",
        "cert.p12", "a/service-account-prod.json", "application_default_credentials.json",
        ".pypirc", ".streamlit/secrets.toml", "ID_RSA",
    ],
)  # fmt: skip
def test_a_name_tells(path: str) -> None:
    assert looks_secret(path, b"")


@pytest.mark.parametrize(
    "head",
    [
        b"-----BEGIN PRIVATE KEY-----\n", b"-----BEGIN RSA PRIVATE KEY-----",
        b"-----BEGIN OPENSSH PRIVATE KEY-----", b"# mine\n-----BEGIN PGP PRIVATE KEY BLOCK-----",
        b'{\n  "type": "service_account",', b"[default]\naws_secret_access_key = abc\n",
    ],
)  # fmt: skip
def test_the_beginning_tells(head: bytes) -> None:
    assert looks_secret("anything.txt", head)


@pytest.mark.parametrize(
    ("path", "head"),
    [
        (".env.example", b"API_KEY="), (".env.local.sample", b""), ("train.py", b"import os\n"),
        ("env.py", b""), ("environment.yml", b""), ("id_rsa.pub", b"ssh-rsa AAAA"),
        ("cert.pem", b"-----BEGIN CERTIFICATE-----"), ("docker/config.json", b"{}"),
        ("tokens.json", b'{"type": "tokenizer"}'), ("credentials.py", b"class Credentials: ..."),
    ],
)  # fmt: skip
def test_what_only_sounds_alike_does_not(path: str, head: bytes) -> None:
    assert not looks_secret(path, head)
