"""Whose certificates are trusted for GitHub's API: an Enterprise Server's is often its owner's own.

`requests` goes by a list that it brings along, and by two variables of its own; what the machine
trusts, where an administrator puts such an authority, it does not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_OF_REQUESTS = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# Debian, Ubuntu, Alpine, Arch; Fedora, RHEL; SUSE.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
)


def authorities(environment: Mapping[str, str]) -> str | bool:
    """A file of certificates: the environment's, else the system's; True leaves it to requests."""
    if any(environment.get(name) for name in _OF_REQUESTS):
        return True
    for path in (environment.get("SSL_CERT_FILE", ""), *_BUNDLES):
        if path and Path(path).is_file():
            return path
    return True
