"""RECORD files: what a distribution installed, with hash and size.

Source of the format: PyPA specifications, "Recording installed projects" and "Binary distribution
format".
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Iterable

from launch_action.core.context import sort_key
from launch_action.core.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line: the hash as `algorithm=digest` (empty: none), the size in bytes (or not said)."""

    hash: str
    size: int | None

    @property
    def sha256(self) -> str:
        """The SHA-256 as 64 hexadecimal digits; empty when the line has none or another's.

        >>> Row.of(b"").sha256[:8]
        'e3b0c442'
        """
        algorithm, _, value = self.hash.partition("=")
        if algorithm != "sha256":
            return ""
        try:
            digest = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        except ValueError:
            return ""
        return digest.hex() if len(digest) == hashlib.sha256().digest_size else ""

    @classmethod
    def of(cls, data: bytes) -> Row:
        """The line of a file with this content."""
        return cls.hashed(hashlib.sha256(data).digest(), len(data))

    @classmethod
    def hashed(cls, sha256: bytes, size: int) -> Row:
        """The line of a file with this SHA-256 (32 bytes) and size."""
        return cls(f"sha256={cls.encode(sha256)}", size)

    @staticmethod
    def encode(digest: bytes) -> str:
        """A digest as RECORD spells it: URL-safe base64 without padding."""
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def read_record(text: str) -> dict[str, Row]:
    """The rows by path, as written but with `/`. Raises ValueError when it is not a RECORD."""
    found: dict[str, Row] = {}
    for fields in csv.reader(io.StringIO(text, newline="")):
        if not fields:
            continue
        # Some old tools leave the empty fields of RECORD's own line out.
        path, digest, size = (*fields, "", "")[:3]
        if not path or len(fields) > 3:
            raise ValueError(f"not a line of a RECORD: {','.join(fields)[:80]!r}")
        found[path.replace("\\", "/")] = Row(digest, int(size) if size else None)
    return found


def write_record(rows: Iterable[tuple[str, Row]], own: str) -> bytes:
    """The RECORD of these files, sorted by path; `own` is its own path, which has no hash."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    for path, row in sorted([*rows, (own, Row("", None))], key=lambda item: sort_key(item[0])):
        writer.writerow((path, row.hash, "" if row.size is None else row.size))
    return out.getvalue().encode("utf-8", "surrogateescape")
