"""Writes one client's fixtures: the bodies it sent and, beside them, the truth they are compared with."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.attribution.otlp.capture.neutral import is_neutral, neutralised
from tests.attribution.otlp.capture.receiver import Received, Receiver, running_receiver
from tests.attribution.otlp.upstream import Upstream, running_upstream

FIXTURES = Path(__file__).parent.parent / "fixtures"
# Who sends, as a service says it; no detector adds what machine this is.
ENVIRONMENT = {
    "OTEL_SERVICE_NAME": "shop",
    "OTEL_RESOURCE_ATTRIBUTES": "finops.team=payments,finops.feature=search,deployment.environment=test",
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "otel",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OPENAI_API_KEY": "sk-none",
    "ANTHROPIC_API_KEY": "sk-none",
}
_SUFFIXES = {"application/json": "json", "application/x-ndjson": "ndjson"}


@dataclass(frozen=True, slots=True)
class Remark:
    """What a reader has to know of one scenario: where the bodies differ from the truth.

    ``lost`` are the true fields that nothing in the bodies tells: ``usage`` all of them, ``call`` the
    call itself. ``told_wrong`` are fields with what the client tells in place of the truth.
    """

    lost: tuple[str, ...] = ()
    told_wrong: Mapping[str, int | str] = field(default_factory=dict)
    note: str = ""


class Recording:
    """Of one client. ``flush`` makes the client send what it still holds."""

    def __init__(self, client: str, folder: Path, upstream: Upstream, receiver: Receiver) -> None:
        self.upstream = upstream
        self.receiver = receiver
        self.flush: Callable[[], object] = lambda: None
        self.remarks: Mapping[str, Remark] = {}
        self.in_general = Remark()
        self.suffix = ""  # of the files, where their content type does not tell
        self._folder = folder
        self._manifest: dict[str, Any] = {"client": client, "packages": {}, "note": "", "scenarios": {}}
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()

    def of(self, *packages: str, note: str) -> None:
        """Note which packages were at work, and what a reader has to know of them."""
        self._manifest["packages"] = {package: version(package) for package in packages}
        self._manifest["note"] = " ".join(note.split())

    @contextmanager
    def scenario(self, name: str, remark: Remark | None = None, **more: Any) -> Iterator[None]:
        """Keep what is sent until the block ends, with the calls that the upstream answered in it.

        What the client's own ``remarks`` say of a scenario wins over ``remark``.
        """
        self.flush()
        self.receiver.taken()
        self.upstream.calls()
        yield
        self.flush()
        files = [self._write(name, place, each) for place, each in enumerate(self._traces(), start=1)]
        calls = [call.told() for call in self.upstream.calls()]
        self._manifest["scenarios"][name] = {
            "files": files,
            "number_of_calls": len(calls),
            "calls": calls,
            **asdict(self.remarks.get(name) or remark or self.in_general),
            **more,
        }

    def write_manifest(self) -> None:
        """Beside the bodies."""
        text = json.dumps(self._manifest, indent=2) + "\n"
        assert is_neutral(text.encode())
        (self._folder / "manifest.json").write_text(text)

    def _traces(self) -> list[Received]:
        """Metrics and logs of the same calls are other signals, not taken."""
        return [each for each in self.receiver.taken() if not each.path.endswith(("/metrics", "/logs"))]

    def _write(self, name: str, place: int, received: Received) -> dict[str, Any]:
        kind = received.content_type.partition(";")[0]
        file = f"{name}.{place}.{self.suffix or _SUFFIXES.get(kind, 'pb')}"
        body = received.body
        if rewritten := not is_neutral(body):
            body = neutralised(body, kind)
        (self._folder / file).write_bytes(body)
        return {
            "file": file,
            "path": received.path,
            "content_type": received.content_type,
            "content_encoding": received.encoding,
            "paths_rewritten": rewritten,
        }


@contextmanager
def recording(client: str, folder: Path | None = None) -> Iterator[Recording]:
    """Run an upstream and a receiver, and write the manifest when all scenarios are done."""
    with running_upstream() as upstream, running_receiver() as receiver:
        os.environ.update(ENVIRONMENT)
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.url
        made = Recording(client, folder or FIXTURES / client, upstream, receiver)
        yield made
        made.write_manifest()
