"""JSON bodies with exact numbers, compressed or not: what DRF's own parser would read as binary fractions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from attribution.ingest.bodies import read_body
from attribution.ingest.native import exact_json


class ExactJson(BaseParser):
    """Reads gzip and zstd as well, within the bounds of ``bodies``; numbers with a point are decimals."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:  # Any: JSON
        """Raises TooLarge, UnsupportedMedia, InvalidInput."""
        assert parser_context is not None
        return exact_json(read_body(parser_context["request"]))
