"""Smaller bodies: zstd where Python or an installed package has it, else gzip."""

from __future__ import annotations

import gzip
import importlib
from collections.abc import Callable

# A small body costs more to compress than to send.
WORTH_IT = 1_000


def compressor(wanted: str) -> tuple[str, Callable[[bytes], bytes]] | None:
    """The value of Content-Encoding and the function; None for bodies as they are.

    Raises ValueError for an unknown name, and for zstd where there is none.
    """
    if wanted == "none":
        return None
    if wanted not in ("auto", "zstd", "gzip"):
        raise ValueError("compression must be auto, zstd, gzip or none")
    zstd = None if wanted == "gzip" else _zstd()
    if zstd is not None:
        return "zstd", zstd
    if wanted == "zstd":
        raise ValueError("zstd needs Python 3.14 or the package zstandard")
    return "gzip", _gzip


def _zstd() -> Callable[[bytes], bytes] | None:
    for name in ("compression.zstd", "zstandard"):
        try:
            compress: Callable[[bytes], bytes] = importlib.import_module(name).compress
        except (ImportError, AttributeError):
            continue
        return compress
    return None


def _gzip(body: bytes) -> bytes:
    # Fastest level; without a time, so that the same body is the same bytes in every attempt.
    return gzip.compress(body, compresslevel=1, mtime=0)
