"""The slots that calls are priced by, and their unit prices."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q

from finops.core.meters import FIRST_UNIT_METER
from pricing.models.agreements import Agreement
from pricing.models.prices import Price


class UnitMeter(models.Model):
    """Numbers the per-call units (searches, seconds, characters, ...) from 100 on, by first use."""

    id = models.SmallAutoField(primary_key=True)
    name = models.CharField(max_length=64, unique=True, validators=[RegexValidator(r"^[a-z][a-z0-9_]*$")])

    class Meta:
        db_table = "unit_meter"
        constraints = (
            models.CheckConstraint(
                name="unit_meters_are_numbered_after_token_meters", condition=Q(id__gte=FIRST_UNIT_METER)
            ),
        )

    def __str__(self) -> str:
        return self.name


# Called so by its schedule: the slot of what no call causes. No price is ever looked up for it.
NO_CALLS = "no calls"


class PriceSlot(models.Model):
    """Everything about a call that decides its unit prices, once; a call stores the slot's id.

    The interval lies inside every price the slot uses, so unit prices are constant within it. A call
    that nothing prices has a slot too, without rates.
    """

    id = models.AutoField(primary_key=True)
    provider = models.TextField()
    model = models.TextField()
    host = models.TextField()
    region = models.TextField()
    service_tier = models.TextField()
    processing = models.TextField()
    speed = models.TextField()
    from_response_cache = models.BooleanField()
    account = models.TextField(default="", blank=True)  # the provider's account that is billed; '': not known
    context_over = models.IntegerField(default=0)  # prompt tokens, exclusive; 0 also holds an empty prompt
    context_upto = models.IntegerField(null=True)  # inclusive
    schedule = models.TextField(default="", blank=True)
    effective_from = models.DateTimeField(null=True)
    effective_to = models.DateTimeField(null=True)

    class Meta:
        db_table = "price_slot"
        constraints = (
            models.UniqueConstraint(
                name="slot_is_one_a_set_of_facts",
                fields=[
                    "provider",
                    "model",
                    "host",
                    "region",
                    "service_tier",
                    "processing",
                    "speed",
                    "from_response_cache",
                    "account",
                    "context_over",
                    "context_upto",
                    "schedule",
                    "effective_from",
                    "effective_to",
                ],
                nulls_distinct=False,
            ),
        )


class SlotRate(models.Model):
    """Unit prices of one meter in one slot, as known during some time; dollars for a single unit.

    No row: the meter is unpriced there. Never changed, except that ``known_to`` is set once.
    """

    slot = models.ForeignKey(PriceSlot, models.PROTECT, related_name="rates")
    meter_id = models.SmallIntegerField()
    known_from = models.DateTimeField()
    known_to = models.DateTimeField(null=True)
    list_price = models.DecimalField(max_digits=30, decimal_places=18)
    contracted_price = models.DecimalField(max_digits=30, decimal_places=18)
    effective_price = models.DecimalField(max_digits=30, decimal_places=18)
    # What a unit on this meter saved by caching; negative for cache writes.
    saving_price = models.DecimalField(max_digits=30, decimal_places=18, default=0)
    price = models.ForeignKey(Price, models.PROTECT, related_name="+")
    # What makes the contracted price differ from the list's.
    agreement = models.ForeignKey(Agreement, models.PROTECT, null=True, related_name="+")

    class Meta:
        db_table = "slot_rate"
        constraints = (
            # Also serves every report: today's prices of a slot.
            models.UniqueConstraint(
                fields=["slot", "meter_id"],
                condition=Q(known_to=None),
                name="slot_has_one_current_rate_a_meter",
            ),
            models.CheckConstraint(
                name="slot_rate_is_known_for_a_while",
                condition=Q(known_to=None) | Q(known_to__gt=F("known_from")),
            ),
        )


class SplitSlot(models.Model):
    """A slot that was narrowed because the price changes within it: calls of it may belong elsewhere.

    ``held`` is the part that it had before, in the words of ``PriceSlot`` (instants in Unix seconds).
    ``settled_at`` is when the calls that were booked under it had been moved.
    """

    slot = models.ForeignKey(PriceSlot, models.PROTECT, related_name="+")
    at = models.DateTimeField()
    held = models.JSONField(default=dict)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "split_slot"
        indexes = (
            # Serves the fold, which asks for those of late.
            models.Index(fields=["at"], name="split_slot_by_time"),
        )
