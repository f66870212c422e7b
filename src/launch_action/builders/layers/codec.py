"""The compression of a layer: what it is made of, and what of that decides its bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from launch_action.builders.layers import gzip
from launch_action.core.compression import DEFAULT, Compression
from launch_action.core.dataclass import dataclass
from launch_action.core.image import OCI_LAYER_GZIP, OCI_LAYER_ZSTD, fingerprint

# A run is cut into members of this many bytes, so that memory is bounded and cuts do not depend on
# how content arrives.
RUN = 1 << 20
# A frame knows nothing of the one before: zstd writes 3 % more in frames of 1 MiB than of 4, and
# from there on hardly less.
_FRAME = 4 << 20


@dataclass(frozen=True, slots=True)
class Codec:
    """How the bytes of a layer are compressed: runs of `run` bytes, each by one `compress`.

    With `splices` the compressed files of a wheel are taken as they are. `format` is everything
    here that decides bytes; it is empty for the codec that layer keys are of (see `writer.FORMAT`).
    """

    media_type: str
    run: int
    compress: Callable[[bytes], bytes]
    splices: bool
    format: str = ""

    def key(self, key: str) -> str:
        """The key of a layer, or of a set of them, whose content this key decides."""
        return fingerprint("compression", self.format, key) if self.format else key


def gzip_codec(level: int = gzip.LEVEL) -> Codec:
    """Gzip members by libdeflate. `level` is 1 to 12, and is that of what is not spliced."""
    name = "" if level == gzip.LEVEL else f"gzip/{level}"
    return Codec(OCI_LAYER_GZIP, RUN, partial(gzip.member, level=level), True, name)


def zstd_codec(level: int) -> Codec:
    """Zstandard frames. `level` is 1 to 19. A wheel's files are deflated, so nothing is spliced."""
    from launch_action.builders.layers import zstd

    name = f"zstd/{zstd.CODEC}/{_FRAME}/{level}"
    return Codec(OCI_LAYER_ZSTD, _FRAME, partial(zstd.frame, level=level), False, name)


def codec_of(compression: Compression) -> Codec:
    """The codec that makes layers of this compression; zstd is imported only where it is asked."""
    if compression == DEFAULT:
        return GZIP
    level = compression.level
    return zstd_codec(level) if compression.kind == "zstd" else gzip_codec(level)


GZIP = gzip_codec()
