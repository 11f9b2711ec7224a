"""JSON bodies with exact numbers, compressed or not: what DRF's own parser would read as binary fractions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import IO, Any

from rest_framework.parsers import BaseParser

from attribution.ingest.bodies import read_body
from finops.core.errors import InvalidInput


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
        body = read_body(parser_context["request"])
        try:
            return json.loads(body, parse_float=Decimal, parse_constant=Decimal)
        except RecursionError:
            raise InvalidInput.field("body", "malformed", "The JSON is nested too deeply.") from None
        except UnicodeDecodeError:
            raise InvalidInput.field("body", "malformed", "The body is not UTF-8.") from None
        except ArithmeticError:
            raise InvalidInput.field("body", "malformed", "A number is beyond all bounds.") from None
        except ValueError as error:
            raise InvalidInput.field("body", "malformed", f"The body is not JSON: {error}.") from error
