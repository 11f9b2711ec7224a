"""One figure, printed as it is measured and kept for the file of results."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).with_name("results.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A figure beside its reference.

    ``reference`` is what ``against`` names, in the same unit and run. ``ratio`` is how many times
    better than the reference we are, save where ``target`` speaks of a share (``<=``).
    """

    name: str
    value: float
    unit: str
    reference: float
    ratio: float
    against: str
    target: str

    def __post_init__(self) -> None:
        if not self.value > 0 or not self.reference > 0 or not self.ratio > 0:
            raise ValueError(f"{self.name} was not measured: {self}")

    def text(self) -> str:
        """One line of JSON."""
        return json.dumps(self.rounded())

    def rounded(self) -> dict[str, object]:
        """Four significant digits: more would pretend to more than a shared machine can say."""
        return {
            name: float(f"{value:.4g}") if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def write(rows: Sequence[Row], *, scale: str, path: Path = RESULTS) -> None:
    """All figures of a run, with when and where it was."""
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "scale": scale,
        "machine": {"cpu": _cpu(), "cores": len(_cores()), "system": platform.platform()},
        "rows": [row.rounded() for row in rows],
    }
    path.write_text(json.dumps(report, indent=2) + "\n")


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _cores() -> list[str]:
    return [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("processor")]
