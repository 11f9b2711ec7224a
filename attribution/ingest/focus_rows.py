"""FOCUS cost and usage rows of token charges as events: one a row, with the one kind of token it charges.

Rows without tokens, such as purchases, credits and hours of a machine, are refused with the reason:
they are not usage that can be priced by the token.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from xxhash import xxh3_128_hexdigest

from attribution.ingest.decoding import Unreadable
from attribution.ingest.litellm_names import slug
from attribution.ingest.usage_exports import OPERATION
from finops.core.errors import InvalidInput

Record = Any  # a dict as read, one in the shape of an event, or an InvalidInput
Row = Mapping[str, Any]

_UNIT = re.compile(r"(\d[\d,]*)?\s*(k|m|thousand|million)?[\s-]*tokens?", re.IGNORECASE)
_SCALES = {"": 1, "k": 1_000, "thousand": 1_000, "m": 1_000_000, "million": 1_000_000}
# Numbers that a corrected file may change; everything else tells one charge from another.
_NUMBERS = re.compile(r"(Cost|Price|Quantity|Rate|Tokens)$")
_CACHED, _WRITTEN = re.compile(r"cach"), re.compile(r"writ|creat|stor")
_ONE_HOUR = re.compile(r"\b1[\s_-]?h")
_OUTPUT, _INPUT = re.compile(r"output|completion|response|generated"), re.compile(r"input|prompt|request")
_LONGEST_TAG, _MOST_TAGS = 256, 16
_TAG_KEY = re.compile(r"[^a-z0-9_.-]+")
_PROVIDERS = {
    "amazon web services": "aws",
    "google cloud": "google-vertex",
    "google": "google-vertex",
    "microsoft": "azure",
    "microsoft azure": "azure",
}


def focus_events(records: Iterable[Record]) -> Iterator[Record]:
    """Every row in order, as an event or as the reason why it is none."""
    seen: Counter[int] = Counter()
    for row in records:
        if not isinstance(row, dict):
            yield row
            continue
        try:
            yield _event(row, seen)
        except InvalidInput as error:
            yield Unreadable(error, row)


def _event(row: Row, seen: Counter[int]) -> dict[str, Any]:
    category = str(row.get("ChargeCategory") or "Usage")
    if category.lower() != "usage" or row.get("ChargeClass"):
        kind = row.get("ChargeClass") or category
        raise InvalidInput.field("ChargeCategory", "not_usage", f"{kind} is not usage: book it as a cost.")
    details = _object(row.get("SkuPriceDetails"))
    quantity = _tokens(row)
    usage = _usage(row, details, quantity)
    start = _instant(row, "ChargePeriodStart")
    end = _instant(row, "ChargePeriodEnd")
    if end <= start:
        raise InvalidInput.field("ChargePeriodEnd", "out_of_range", "Expected an end after the start.")
    told = f"{row.get('SkuMeter') or ''} {row.get('PricingCategory') or ''}".lower()
    event: dict[str, Any] = {
        "event_id": _identity(row, seen),
        "occurred_at": (start + (end - start) / 2).isoformat(),
        "provider": _provider(row),
        "model": _model(row, details),
        "operation": OPERATION,
        "region": _text(row, "RegionId"),
        "service_tier": _said(row, details, "x_ServiceTier"),
        "processing": "batch" if "batch" in told else None,
        "account": slug(_text(row, "BillingAccountId") or "") or None,
        "usage": usage,
        "context_tokens": 1,
        "reported_cost": _cost(row),
        "tags": _tags(row),
    }
    return {name: value for name, value in event.items() if value is not None}


def _tokens(row: Row) -> int:
    """Raises InvalidInput where a row charges for no tokens."""
    quantity, unit = row.get("ConsumedQuantity"), row.get("ConsumedUnit")
    if quantity is None and row.get("x_ConsumedTokens") is not None:
        quantity, unit = row["x_ConsumedTokens"], "Tokens"
    scale = _UNIT.fullmatch(str(unit or "").strip())
    if scale is None:
        message = f"Charged by {str(unit)[:64]!r}, not by tokens." if unit else "It does not say in what."
        raise InvalidInput.field("ConsumedUnit", "not_tokens", message)
    factor = int((scale[1] or "1").replace(",", "")) * _SCALES[(scale[2] or "").lower()]
    try:
        count = Decimal(str(quantity)) * factor
        if not count.is_finite() or count < 0 or count != int(count):
            raise ValueError
    except (ValueError, ArithmeticError):
        message = "Expected a whole number of tokens from 0."
        raise InvalidInput.field("ConsumedQuantity", "not_an_integer", message) from None
    return int(count)


def _usage(row: Row, details: Row, count: int) -> dict[str, int]:
    """The tokens under the one name that they have; inclusive, so cached ones are input as well."""
    direction = (_said(row, details, "x_TokenDirection") or "").lower()
    cache = (_said(row, details, "x_CacheAction") or "").lower()
    words = f"{direction} {row.get('SkuMeter') or row.get('ChargeDescription') or ''}".lower()
    if cache in ("read", "hit") or (not cache and _CACHED.search(words) and not _WRITTEN.search(words)):
        return {"input_tokens": count, "cache_read_tokens": count}
    if cache in ("write", "creation") or (not cache and _CACHED.search(words)):
        one_hour = {"cache_write_1h_tokens": count} if _ONE_HOUR.search(words) else {}
        return {"input_tokens": count, "cache_write_tokens": count, **one_hour}
    is_output, is_input = _OUTPUT.search(direction or words), _INPUT.search(direction or words)
    if bool(is_output) == bool(is_input):
        message = "It does not say whether they are input or output: SkuMeter or x_TokenDirection."
        raise InvalidInput.field("SkuMeter", "unknown_kind", message)
    total = "output_tokens" if is_output else "input_tokens"
    for modality in ("audio", "image"):
        if modality in words:
            return {total: count, f"{modality}_{total}": count}
    return {total: count, **({"reasoning_tokens": count} if is_output and "reasoning" in words else {})}


def _provider(row: Row) -> str:
    for column in ("ServiceProviderName", "ProviderName", "PublisherName"):
        if name := _text(row, column):
            return _PROVIDERS.get(name.lower(), slug(name.lower()))
    raise InvalidInput.field("ServiceProviderName", "required", "This column is required.")


def _model(row: Row, details: Row) -> str:
    found = _said(row, details, "x_ModelName") or _said(row, details, "x_Model") or _text(row, "ResourceName")
    if found:
        return found
    raise InvalidInput.field("x_ModelName", "required", "It does not say which model was used.")


def _cost(row: Row) -> dict[str, str] | None:
    """What the issuer charged: evidence to compare with."""
    currency = _text(row, "BillingCurrency")
    for column in ("BilledCost", "EffectiveCost"):
        try:
            amount = Decimal(str(row.get(column)))
        except ArithmeticError:
            continue
        if amount.is_finite() and amount >= 0 and currency:
            return {"amount": str(amount), "currency": currency}
    return None


def _tags(row: Row) -> dict[str, str] | None:
    tags = {
        _TAG_KEY.sub("-", str(key).lower())[:64]: str(value)[:_LONGEST_TAG]
        for key, value in list(_object(row.get("Tags")).items())[:_MOST_TAGS]
        if key
    }
    for name, column in (("focus.account", "SubAccountName"), ("focus.account_id", "SubAccountId")):
        if value := _text(row, column):
            tags[name] = value[:_LONGEST_TAG]
    return tags or None


def _identity(row: Row, seen: Counter[int]) -> str:
    """FOCUS has no id of a row: all that is no number, and which of those that say the same it is."""
    said = {name: str(value) for name, value in row.items() if not _NUMBERS.search(name)}
    digest = xxh3_128_hexdigest(msgspec.json.encode(said, order="deterministic"))
    place = seen[key := int(digest[:16], 16)]
    seen[key] += 1
    return f"focus-{digest}" + (f"-{place + 1}" if place else "")


def _said(row: Row, details: Row, name: str) -> str | None:
    return _text(row, name) or _text(details, name) or _text(details, name.removeprefix("x_"))


def _text(row: Row, name: str) -> str | None:
    value = row.get(name)
    return str(value) if value not in (None, "") else None


def _object(value: Any) -> dict[str, Any]:  # Any: a cell
    """A map as Parquet has it, or as JSON text; pairs become a dict."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    if isinstance(value, list) and all(isinstance(pair, tuple) for pair in value):
        value = dict(value)
    return value if isinstance(value, dict) else {}


def _instant(row: Row, name: str) -> datetime:
    value = row.get(name)
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise InvalidInput.field(name, "invalid_time", "Expected an ISO 8601 time.") from None
    # FOCUS demands UTC, and many files leave the Z out.
    return found if found.tzinfo else found.replace(tzinfo=UTC)
