"""Takes the paths of the recording machine out of a body, which stack traces bring in."""

from __future__ import annotations

import json
import re
import socket
import sys
from pathlib import Path
from typing import Any

_ROOT = str(Path(__file__).parents[4])
# What the recording environment, the interpreter and this repository are called here, longest first.
_PREFIXES = sorted({sys.prefix, sys.base_prefix, _ROOT}, key=len, reverse=True)
_PATHS = re.compile("|".join(map(re.escape, _PREFIXES)))
_PLACES = "|".join(map(re.escape, [*_PREFIXES, "/root/", "/home/", "/tmp/"]))
_PRIVATE = re.compile(rf"{_PLACES}|\b{re.escape(socket.gethostname())}\b")


def is_neutral(body: bytes) -> bool:
    """Whether nothing in it tells where it was made."""
    return not _PRIVATE.search(body.decode("utf-8", "replace"))


def neutralised(body: bytes, kind: str) -> bytes:
    """The same body with ``/app`` for those paths, written anew.

    Raises ``AssertionError`` when something of the machine is left in it.
    """
    made = json.dumps(_in_json(json.loads(body))).encode() if "json" in kind else _in_protobuf(body)
    assert is_neutral(made)
    return made


def _in_json(value: Any) -> Any:
    match value:
        case str():
            return _PATHS.sub("/app", value)
        case list():
            return [_in_json(each) for each in value]
        case dict():
            return {key: _in_json(each) for key, each in value.items()}
        case _:
            return value


def _in_protobuf(body: bytes) -> bytes:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415 - JSON needs none
        ExportTraceServiceRequest,
    )

    request = ExportTraceServiceRequest.FromString(body)
    _rewrite(request)
    return bytes(request.SerializeToString())


def _rewrite(message: Any) -> None:
    for field, value in message.ListFields():
        repeated = hasattr(value, "append") or hasattr(value, "add")
        if field.message_type:
            for each in value if repeated else [value]:
                _rewrite(each)
        elif isinstance(value, str):
            setattr(message, field.name, _PATHS.sub("/app", value))
