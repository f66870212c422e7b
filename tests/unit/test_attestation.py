"""Bill of materials and provenance: valid by the published models, and the same bytes each time."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
from support import plans
from support.versions import AMD64, ARM64, image_descriptor

from launch_action.core.attest import Attest
from launch_action.core.attestation import (
    PREDICATE_TYPE,
    SLSA,
    SPDX,
    Statement,
    make_attestation,
    predicate_types,
)
from launch_action.core.base import (
    SystemPackages,
)
from launch_action.core.errors import StoreError
from launch_action.core.image import UNKNOWN_PLATFORM, Platform
from launch_action.core.job import GitSource
from launch_action.core.materials import (
    InstalledWheel,
    public_url,
    read_wheels,
    render_wheels,
    wheels_of_lines,
)
from launch_action.core.provenance import slsa_provenance
from launch_action.core.purl import deb_purl, oci_purl, pypi_purl
from launch_action.core.sbom import Contents, git_location, spdx_document

SHA = "5" * 64
COMMIT = "1759231bf22f2d4ab716eb97ad8ad30e4d007342"
SOURCE = GitSource("https://github.com/acme/mono.git", COMMIT, "jobs/train")
BASE = replace(plans.FACTS, name="docker.io/library/python:3.11-slim")
DEBIAN = replace(
    BASE,
    name="deb:bookworm",
    system=SystemPackages(
        "debian", "bookworm",
        (
            ("libstdc++6", "12.2.0-14", "amd64", "a" * 64),
            ("tzdata", "1:2024a-0+deb12u1", "all", SHA),
        ),
    ),
)  # fmt: skip
WHEELS = (
    InstalledWheel(
        "numpy", "1.26.4", "numpy-1.26.4-cp311.whl", "https://files.example.org/numpy.whl", SHA
    ),
    InstalledWheel("local", "1.0", "local-1.0-py3-none-any.whl", "", SHA, "wheels/local-1.0.whl"),
    InstalledWheel(
        "torch", "2.1+cu121", "torch-2.1+cu121.whl", "https://pytorch.example.org/t.whl", SHA
    ),
    InstalledWheel("built-here", "3", built="https://files.example.org/built-here-3.tar.gz"),
    InstalledWheel("own", "1", built="."),
)
CONTENTS = Contents(
    "job-train", SOURCE, "2024-05-01T12:00:00Z", image_descriptor("a"), (BASE.record,), WHEELS
)
PLAN = replace(plans.PLAN, compile=False)
ATTEST = Attest(True, True, "launch-action-1.0", "https://ci/workflow@main", "https://ci/runs/1")


def problems(document: dict[str, Any]) -> list[str]:
    """What the SPDX project's own library finds wrong with a document."""
    parser = JsonLikeDictParser()  # type: ignore[no-untyped-call]
    read = parser.parse(json.loads(json.dumps(document)))
    return [one.validation_message for one in validate_full_spdx_document(read, "SPDX-2.3")]


@pytest.mark.parametrize(
    "contents",
    [
        CONTENTS,
        replace(CONTENTS, bases=(DEBIAN.record,)),
        replace(CONTENTS, wheels=()),
        replace(CONTENTS, source=GitSource("git@github.com:acme/mono.git", COMMIT)),
        replace(CONTENTS, source=GitSource("/srv/git/mono", COMMIT)),
        replace(
            CONTENTS, wheels=wheels_of_lines(["six==1.16.0", "x @ https://h.example.org/x.whl"])
        ),
    ],
    ids=["registry", "debian", "no wheels", "ssh", "local remote", "lines alone"],
)
def test_the_bill_of_materials_is_valid_spdx(contents: Contents) -> None:
    assert problems(spdx_document(contents, "launch-action-1.0")) == []


def test_the_validator_would_say_what_is_wrong() -> None:
    broken = spdx_document(CONTENTS, "launch-action-1.0")
    broken["packages"][3]["downloadLocation"] = "nowhere"
    broken["relationships"].append(
        {**broken["relationships"][0], "relatedSpdxElement": "SPDXRef-absent"}
    )

    assert len(problems(broken)) == 2


def package(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in document["packages"] if one["name"] == name)
    return found


def test_a_wheel_has_its_purl_its_digest_and_where_it_came_from() -> None:
    document = spdx_document(CONTENTS, "launch-action-1.0")

    numpy = package(document, "numpy")
    assert numpy["versionInfo"] == "1.26.4"
    assert numpy["checksums"] == [{"algorithm": "SHA256", "checksumValue": SHA}]
    assert numpy["downloadLocation"] == "https://files.example.org/numpy.whl"
    assert numpy["externalRefs"][0]["referenceLocator"] == "pkg:pypi/numpy@1.26.4"
    where = package(document, "local")["downloadLocation"]
    assert where == f"git+{SOURCE.remote}@{COMMIT}#jobs/train/wheels/local-1.0.whl"
    built = package(document, "built-here")
    assert built["downloadLocation"] == "NOASSERTION"
    assert built["sourceInfo"] == "built from https://files.example.org/built-here-3.tar.gz"
    own = package(document, "own")["sourceInfo"]
    assert own == f"built from git+{SOURCE.remote}@{COMMIT}#jobs/train"


def test_the_image_stands_on_its_base_and_holds_its_wheels() -> None:
    document = spdx_document(replace(CONTENTS, bases=(DEBIAN.record,)), "launch-action-1.0")

    found = {
        (one["spdxElementId"], one["relationshipType"], one["relatedSpdxElement"])
        for one in document["relationships"]
    }
    image, base = "SPDXRef-Image", "SPDXRef-Base"
    assert ("SPDXRef-DOCUMENT", "DESCRIBES", image) in found
    assert (image, "DESCENDANT_OF", base) in found
    assert (image, "CONTAINS", "SPDXRef-Wheel-numpy") in found
    assert (base, "CONTAINS", "SPDXRef-Deb-libstdc-2b--2b-6-amd64") in found


def test_the_same_contents_are_the_same_document_and_others_have_another_namespace() -> None:
    one = spdx_document(CONTENTS, "launch-action-1.0")
    other = spdx_document(replace(CONTENTS, created="2024-05-02T12:00:00Z"), "launch-action-1.0")

    assert one == spdx_document(CONTENTS, "launch-action-1.0")
    assert one["documentNamespace"] != other["documentNamespace"]


def test_purls_read_as_what_they_name() -> None:
    digest = "sha256:" + "1" * 64
    torch = PackageURL.from_string(pypi_purl("Torch_Vision", "2.1+cu121"))
    tzdata = PackageURL.from_string(deb_purl("debian", "bookworm", "libc++", "1:2-0+d", "amd64"))
    base = PackageURL.from_string(oci_purl("localhost:5000/a/b:v1", digest, AMD64))

    assert (torch.name, torch.version) == ("torch-vision", "2.1+cu121")
    assert (tzdata.namespace, tzdata.name, tzdata.version) == ("debian", "libc++", "1:2-0+d")
    assert (base.name, base.version) == ("b", digest)
    assert base.qualifiers == {
        "arch": "amd64", "repository_url": "localhost:5000/a/b", "tag": "v1",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["deb:bookworm", "oci@sha256:" + "1" * 64, "Not A Name"])
def test_what_is_of_no_registry_has_no_purl(name: str) -> None:
    assert oci_purl(name, "sha256:" + "1" * 64, AMD64) == ""


@pytest.mark.parametrize(
    ("remote", "location"),
    [
        ("https://github.com/a/b.git", "git+https://github.com/a/b.git@c"),
        ("ssh://git@h:22/a/b", "git+ssh://git@h:22/a/b@c"),
        ("git@github.com:a/b.git", "git+ssh://git@github.com/a/b.git@c"),
        ("git://h/a", "git://h/a@c"),
        ("/srv/git/b", ""),
    ],
)
def test_a_commit_is_a_download_location(remote: str, location: str) -> None:
    assert git_location(GitSource(remote, "c")) == location


def test_provenance_says_what_was_asked_for_and_what_went_in() -> None:
    found = slsa_provenance(CONTENTS, PLAN, "k" * 64, ATTEST, reused=False)

    definition = found["buildDefinition"]
    parameters = definition["externalParameters"]
    assert parameters["source"]["commit"] == COMMIT
    assert parameters["entryPoint"] == ["python", "train.py"]
    assert parameters["buildKey"] == "k" * 64
    wanted = definition["resolvedDependencies"]
    assert wanted[0]["digest"] == {"gitCommit": COMMIT}
    assert wanted[1]["uri"].startswith("pkg:oci/python@sha256%3A")
    assert {"name": "numpy-1.26.4-cp311.whl", "uri": "https://files.example.org/numpy.whl",
            "digest": {"sha256": SHA}} in wanted  # fmt: skip
    of_source = [one["uri"] for one in wanted if one["name"] == "source of built-here"]
    assert of_source == ["https://files.example.org/built-here-3.tar.gz"]
    assert found["runDetails"]["builder"] == {"id": "https://ci/workflow@main"}
    assert found["runDetails"]["metadata"] == {"invocationId": "https://ci/runs/1"}


def test_provenance_names_a_distributions_packages_and_no_run_where_there_is_none() -> None:
    alone = replace(ATTEST, invocation="")
    found = slsa_provenance(
        replace(CONTENTS, bases=(DEBIAN.record,)), PLAN, "k", alone, reused=True
    )

    purl = "pkg:deb/debian/tzdata@1%3A2024a-0%2Bdeb12u1?arch=all&distro=bookworm"
    assert {"name": "tzdata", "uri": purl, "digest": {"sha256": SHA}} in found["buildDefinition"][
        "resolvedDependencies"
    ]
    assert "metadata" not in found["runDetails"]
    assert found["buildDefinition"]["internalParameters"]["reusedImage"] is True


def test_an_attestation_is_a_manifest_in_buildkits_form() -> None:
    image = image_descriptor("a")
    statements = (Statement(SPDX, {"a": 1}), Statement(SLSA, {"b": 2}))
    made = make_attestation(image, "job-train", statements)

    assert [d.annotations.get(PREDICATE_TYPE) for d in made.manifest.layers()] == [SPDX, SLSA]
    assert predicate_types(made.manifest) == {SPDX, SLSA}
    assert {d.digest for d, _ in made.blobs} == {
        made.manifest.config().digest,
        *(layer.digest for layer in made.manifest.layers()),
    }
    config = json.loads(made.blobs[0][1])
    assert (config["os"], config["architecture"]) == ("unknown", "unknown")
    assert config["rootfs"]["diff_ids"] == [str(d.digest) for d in made.manifest.layers()]
    statement = json.loads(made.blobs[1][1])
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": "job-train", "digest": {"sha256": image.digest.hex}}]
    entry = made.entry(image)
    assert entry.platform == UNKNOWN_PLATFORM
    assert entry.annotations["vnd.docker.reference.type"] == "attestation-manifest"
    assert entry.annotations["vnd.docker.reference.digest"] == image.digest


@given(
    st.lists(
        st.builds(InstalledWheel, st.text(), st.text(), st.text(), st.text(), st.text(), st.text())
    )
)
def test_a_list_of_wheels_is_read_as_it_was_written(wheels: list[InstalledWheel]) -> None:
    written = render_wheels(wheels)

    assert sorted(read_wheels(written), key=repr) == sorted(wheels, key=repr)
    assert render_wheels(reversed(wheels)) == written or len({w.name for w in wheels}) < len(wheels)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"wheels": [{"nom": 1}]}', b'{"wheels": 1}'])
def test_what_is_no_list_of_wheels_is_an_error(data: bytes) -> None:
    with pytest.raises(StoreError, match="not a list of installed wheels"):
        read_wheels(data)


def test_addresses_lose_what_may_be_a_login() -> None:
    assert public_url("https://u:p@h/a.whl?X-Amz-Signature=s#sha256=1") == "https://h/a.whl"


def test_platforms_are_told_apart() -> None:
    arm = replace(BASE, platform=Platform("linux", "arm64", "v8"))
    one = spdx_document(CONTENTS, "t")
    other = spdx_document(
        replace(CONTENTS, bases=(arm.record,), image=image_descriptor("a", ARM64)), "t"
    )

    assert one["documentNamespace"] != other["documentNamespace"]


def test_words_are_those_of_the_published_json_schema() -> None:
    """The schema spells one purpose otherwise than the specification's text, and the library."""
    document = spdx_document(replace(CONTENTS, bases=(DEBIAN.record,)), "t")

    purposes = {one.get("primaryPackagePurpose") for one in document["packages"]} - {None}
    assert purposes == {"CONTAINER", "SOURCE", "OPERATING_SYSTEM", "LIBRARY"}
