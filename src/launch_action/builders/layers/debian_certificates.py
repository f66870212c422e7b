"""The certificate directory that update-ca-certificates would make, as a pure function.

Source of the formats: RFC 7468 (PEM), X.690 (DER), RFC 5280 (4.1, the certificate), and OpenSSL's
X509_NAME_hash: the SHA-1 of the subject in canonical form (openssl-rehash(1)).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping

from launch_action.builders.layers.archive import Entry

BUNDLE = "etc/ssl/certs/ca-certificates.crt"
SOURCE = "usr/share/ca-certificates/"
_FOLDER = "etc/ssl/certs"
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s+(.*?)-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _EXPLICIT_0, _UTF8 = 0x30, 0xA0, 0x0C
# String types that OpenSSL folds (ASN1_MASK_CANON), and how their bytes are spelt.
_STRINGS = {
    _UTF8: "utf-8", 0x13: "latin-1", 0x14: "latin-1", 0x16: "latin-1", 0x1A: "latin-1",
    0x1C: "utf-32-be", 0x1E: "utf-16-be",
}  # fmt: skip
_SPACE = " \t\n\v\f\r"


def certificate_entries(certificates: Mapping[str, bytes]) -> Iterator[Entry]:
    """Bundle, named links and OpenSSL's hash links for PEM files by their paths in the image."""
    ordered = sorted(certificates, key=lambda path: path.encode("utf-8", "surrogateescape"))
    listed = "".join(f"{path.removeprefix(SOURCE)}\n" for path in ordered)
    yield Entry(
        "etc/ca-certificates.conf", "file", 0o644, listed.encode("utf-8", "surrogateescape")
    )
    bundle = b"".join(certificates[path].rstrip(b"\n") + b"\n" for path in ordered)
    yield Entry(BUNDLE, "file", 0o644, bundle)
    count: dict[str, int] = {}
    for path in ordered:
        name = _link_name(path)
        yield Entry(f"{_FOLDER}/{name}", "symlink", 0o777, target=f"/{path}")
        hashed = subject_hash(certificates[path])
        if hashed is not None:
            number = count[hashed] = count.get(hashed, -1) + 1
            yield Entry(f"{_FOLDER}/{hashed}.{number}", "symlink", 0o777, target=name)


def subject_hash(pem: bytes) -> str | None:
    """What `openssl x509 -subject_hash` prints for the first certificate, None without one."""
    found = _PEM.search(pem.decode("latin-1"))
    if not found:
        return None
    try:
        digest = hashlib.sha1(_canonical_subject(base64.b64decode(found[1])))  # noqa: S324 - OpenSSL's choice
    except (IndexError, ValueError):
        return None
    return f"{int.from_bytes(digest.digest()[:4], 'little'):08x}"


def _link_name(path: str) -> str:
    stem = path.rpartition("/")[2].removesuffix(".crt")
    return re.sub(r"[()]", "=", re.sub(r"[ ,]", "_", stem)) + ".pem"


def _canonical_subject(der: bytes) -> bytes:
    """The subject's RDNs, each in OpenSSL's canonical form, without the outer SEQUENCE."""
    [(_, certificate)] = _parts(der)
    fields = [f for f in _parts(_parts(certificate)[0][1]) if f[0] != _EXPLICIT_0]
    # serialNumber, signature, issuer, validity, subject
    return b"".join(_wrap(tag, _canonical_set(content)) for tag, content in _parts(fields[4][1]))


def _canonical_set(content: bytes) -> bytes:
    attributes = []
    for tag, attribute in _parts(content):
        (kind_tag, kind), (value_tag, value) = _parts(attribute)
        attributes.append(_wrap(tag, _wrap(kind_tag, kind) + _canonical_value(value_tag, value)))
    return b"".join(sorted(attributes))


def _canonical_value(tag: int, value: bytes) -> bytes:
    encoding = _STRINGS.get(tag)
    if encoding is None:
        return _wrap(tag, value)
    words = re.sub(f"[{_SPACE}]+", " ", value.decode(encoding).strip(_SPACE))
    lower = "".join(c.lower() if c.isascii() else c for c in words)
    return _wrap(_UTF8, lower.encode())


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    """The tag-length-value elements that follow one another in `data`."""
    found, at = [], 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(data[at : at + count], "big"), at + count
        if at + length > len(data):
            raise ValueError("truncated")
        found.append((tag, data[at : at + length]))
        at += length
    return found


def _wrap(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content
