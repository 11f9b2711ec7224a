"""The shapes of versions in the API: what they are, what they change, what stands in their way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from finops.core.money import as_text
from pricing.diffs import Change, ChangeKind, Diff, RateChange, diff
from pricing.in_use import usage_touched
from pricing.models import BlockKind, BookVersion, DraftBlock, Evidence, Rate, VersionStatus
from pricing.shapes import ExactField, InstantField

Json = dict[str, Any]  # Any: JSON
MOST_CHANGES = 1_000


class PriceVersionShape(serializers.Serializer[BookVersion]):
    """A version of the book, and who did what with it."""

    id = serializers.IntegerField()
    label = serializers.CharField()  # type: ignore[assignment]
    origin = serializers.CharField(help_text="The file, library or request it was made from.")
    note = serializers.CharField()
    status = serializers.ChoiceField(VersionStatus.choices)
    created_at = InstantField()
    created_by = serializers.CharField()
    reviewed_at = InstantField(allow_null=True)
    reviewed_by = serializers.CharField()
    published_at = InstantField(allow_null=True, help_text="Since when it is known.")
    published_by = serializers.CharField()
    discarded_at = InstantField(allow_null=True)
    discarded_by = serializers.CharField()
    content_hash = serializers.CharField(help_text="SHA-256 of what it says.")


class StatedRate(serializers.Serializer[Json]):
    unit_price = ExactField()
    per = serializers.IntegerField()


class RateChangeShape(serializers.Serializer[Json]):
    meter = serializers.CharField()
    before = StatedRate(allow_null=True)
    after = StatedRate(allow_null=True)
    ratio = serializers.CharField(
        allow_null=True, help_text="The change as a share of the price before, to six places."
    )


class ChangeShape(serializers.Serializer[Json]):
    """One price during one interval, without the version and with it."""

    kind = serializers.ChoiceField([kind.value for kind in ChangeKind])
    provider = serializers.CharField()
    model = serializers.CharField()
    conditions = serializers.CharField()
    effective_from = InstantField(allow_null=True)
    effective_to = InstantField(allow_null=True)
    price = serializers.IntegerField(allow_null=True, help_text="The new row; null where one ends.")
    replaces = serializers.IntegerField(allow_null=True)
    rates = RateChangeShape(many=True)
    source = serializers.CharField()  # type: ignore[assignment]
    evidence = serializers.ChoiceField(Evidence.choices)


class BlockShape(serializers.Serializer[DraftBlock]):
    """A finding; the draft is not reviewed before all are acknowledged."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(BlockKind.choices)
    provider = serializers.CharField()
    model = serializers.CharField()
    findings = serializers.ListField(child=serializers.CharField())
    acknowledged_at = InstantField(allow_null=True)
    acknowledged_by = serializers.CharField()
    reason = serializers.CharField()


class OtherChangeShape(serializers.Serializer[Json]):
    kind = serializers.ChoiceField([kind.value for kind in ChangeKind])
    words = serializers.CharField()


class PriceVersionDetail(PriceVersionShape):
    """With everything it changes."""

    counts = serializers.DictField(child=serializers.IntegerField())
    changes = ChangeShape(many=True, help_text=f"The first {MOST_CHANGES:,}; `counts` has them all.")
    others = OtherChangeShape(many=True, help_text="Multipliers, aliases and agreements.")
    blocks = BlockShape(many=True)
    usage_touched = serializers.ListField(
        child=serializers.CharField(),
        help_text="Models with booked usage that it prices otherwise: publish it by a re-rating.",
    )


def version_json(version: BookVersion, *, sees_contracted: bool = True) -> Json:
    """A version with its diff and its findings; without agreements for those who may not see them."""
    changed = diff(version)
    hidden = () if sees_contracted else tuple(change.words for change in changed.agreements)
    told: Json = dict(PriceVersionShape(version).data)
    told |= {
        "counts": dict(changed.counts),
        "changes": [change_json(change) for change in changed.changes[:MOST_CHANGES]],
        "others": [
            {"kind": kind.value, "words": words} for kind, words in changed.others if words not in hidden
        ],
        "blocks": [
            BlockShape(block).data
            for block in version.blocks.order_by("pk")
            if not any(found.startswith(hidden) for found in block.findings)
        ],
        "usage_touched": _touched(version, changed),
    }
    return told


def change_json(change: Change) -> Json:
    """One line of a diff."""
    told: Mapping[str, Any] = {
        "kind": change.kind.value,
        "provider": change.price.provider,
        "model": change.price.model,
        "conditions": change.words,
        "effective_from": change.span[0],
        "effective_to": change.span[1],
        "price": change.after.pk if change.after else None,
        "replaces": change.before.pk if change.before else None,
        "rates": [_rate_json(line) for line in change.rates],
        "source": change.price.source,
        "evidence": change.price.evidence,
    }
    return dict(ChangeShape(dict(told)).data)


def _touched(version: BookVersion, changed: Diff) -> list[str]:
    return usage_touched(version, changed) if version.is_open else []


def _rate_json(line: RateChange) -> Json:
    return {
        "meter": line.meter,
        "before": _stated(line.before),
        "after": _stated(line.after),
        "ratio": None if line.ratio is None else as_text(round(line.ratio, 6)),
    }


def _stated(rate: Rate | None) -> Json | None:
    return None if rate is None else {"unit_price": rate.unit_price, "per": rate.per}
