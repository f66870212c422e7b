"""What W&B answers where an alias is looked for, or moved."""

from __future__ import annotations

import pytest
from support.wandb_api.server import KEY
from support.wandb_host import Host

from launch_action.core.errors import ServiceError
from launch_action.core.registration import WandbArtifact
from launch_action.core.wandb_reference import ArtifactReference
from launch_action.wandb.account import Account
from launch_action.wandb.aliases import complete_aliases
from launch_action.wandb.artifact_lookup import Found
from launch_action.wandb.artifact_upload import UploadedArtifact
from launch_action.wandb.artifact_versions import ArtifactVersion, asked_version
from launch_action.wandb.server import Server

pytest_plugins = ["support.wandb_fixtures"]


def test_what_is_not_done_is_no_success(wandb_host: Host) -> None:
    """An answer without a fault may say that nothing has changed."""
    place = ArtifactReference("acme", "demo", "hello", "v3")
    version = ArtifactVersion(place, "QQ==", "job", "0" * 32, "MANIFEST_MD5", (), "", {}, "")
    asked = WandbArtifact("job", "hello", "blueprint", "", {}, ("prod", "main"))
    found = Found(asked, version, UploadedArtifact("blueprint", str(place), ""))
    account = Account(wandb_host.url(), KEY)
    wandb_host.says("/graphql", b'{"data": {"result": {"success": true}}}')
    complete_aliases(account, found)
    wandb_host.says("/graphql", b'{"data": {"result": {"success": false}}}')
    with pytest.raises(ServiceError, match="has not changed prod, main of 'acme/demo/hello:v3'"):
        complete_aliases(account, found)


@pytest.mark.parametrize(
    "found",
    [
        '{"artifactCollectionMembership": {"artifact": {"id": 1}, "aliases": ["main"]}}',
        '{"artifactCollectionMembership": {"artifact": "x", "aliases": [1]}}',
        '{"artifactCollectionMembership": {"artifact": {"state": 1}}}',
    ],
)
def test_an_answer_about_a_version_that_cannot_be_read(wandb_host: Host, found: str) -> None:
    wandb_host.says("/graphql", b'{"data": {"project": %s}}' % found.encode())
    with pytest.raises(ServiceError, match="W&B's answer about an artifact cannot be read"):
        asked_version(Server(wandb_host.url(), KEY, {}), ArtifactReference("a", "b", "c", "main"))
