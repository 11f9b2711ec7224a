"""How a client behaves; every default suits a web service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from finops_client.records import Drop, Rejection

MOST_IN_A_REQUEST = 1_000


@dataclass(frozen=True)
class Settings:
    """Times are in seconds, sizes in bytes before compression.

    Raises ValueError when numbers make no sense together.
    """

    # A batch is sent when it is this old, or as soon as it has this many records or bytes.
    flush_interval: float = 1.0
    batch_size: int = 500
    batch_bytes: int = 1 << 20
    # Beyond these nothing more is taken in: what waits already is kept, what comes is dropped and counted.
    queue_size: int = 20_000
    queue_bytes: int = 64 << 20
    # One request; waits between failed ones double from the first to the longest, with jitter.
    timeout: float = 10.0
    first_backoff: float = 0.5
    longest_backoff: float = 30.0
    # How long the end of the process may be held up to send what is left.
    exit_timeout: float = 5.0
    compression: Literal["auto", "zstd", "gzip", "none"] = "auto"
    # With a directory, whatever cannot be sent at once is kept there, and sent by this or a later process.
    spool_dir: str | Path | None = None
    spool_bytes: int = 256 << 20
    on_drop: Callable[[Drop], object] | None = None
    on_rejected: Callable[[Rejection], object] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= MOST_IN_A_REQUEST:
            raise ValueError(f"batch_size must be from 1 to {MOST_IN_A_REQUEST}")
        if self.queue_size < self.batch_size or self.queue_bytes < self.batch_bytes:
            raise ValueError("the queue must hold at least one batch")
        if self.batch_bytes < 1 or self.timeout <= 0 or self.first_backoff <= 0 or self.flush_interval < 0:
            raise ValueError("sizes and times must be positive")
