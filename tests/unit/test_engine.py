"""What an engine can do with an image, by what it says of itself."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from support.bases import AMD64

from launch_action.core.errors import RunError
from launch_action.core.image import (
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    Descriptor,
    digest_of,
)
from launch_action.core.run import JobImage, LayerRef
from launch_action.engine import EngineFacts, engine_available
from launch_action.runners.local_container import check_layers


def image(media_type: str) -> JobImage:
    digest = digest_of(b"")
    layer = LayerRef("code", Descriptor(media_type, digest, 9), digest)
    return JobImage(platform=AMD64, layers=(layer,))


@pytest.mark.parametrize(
    ("version", "name", "takes"),
    [
        ("20.10.24+dfsg1", "Docker", False),
        ("22.06.0-beta.0", "Docker", False),
        ("23.0.0", "Docker", True),
        ("28.5.2+dfsg4", "Docker", True),
        ("dev", "Docker", True),
        ("4.3.1", "Podman", True),
    ],
)
def test_an_engine_too_old_for_zstd_is_told_so_before_a_pull(
    version: str, name: str, takes: bool
) -> None:
    engine = EngineFacts("unix:///run/x.sock", version, AMD64, remote=False, name=name)
    refused = pytest.raises(RunError, match=rf"zstd layers, which Docker {version[:2]}")

    with nullcontext() if takes else refused:
        check_layers(image(OCI_LAYER_ZSTD), engine)
    check_layers(image(OCI_LAYER_GZIP), engine)


@pytest.mark.parametrize(
    "settings",
    [
        "[]",
        '{"auths": 5}',
        '{"auths": {"ghcr.io": {"auth": "!!"}}}',
        '{"proxies": 5}',
        '{"currentContext": "elsewhere"}',
    ],
)
def test_settings_of_docker_that_are_none_are_told(
    settings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text(settings)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)

    found = engine_available()

    assert isinstance(found, str)
    assert ("'elsewhere'" if "elsewhere" in settings else "Docker's configuration") in found


def test_an_address_that_is_none_is_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://[::1")

    assert "DOCKER_HOST" in str(engine_available())
