"""Charges beside usage at its prices: what commitments, volume bands, credits and taxes make of a day."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q


class ChargeKind(models.TextChoices):
    """What a line of the books is for; usage at its prices is no row here but a question."""

    USAGE = "usage", "Usage"
    COMMITMENT = "commitment", "Commitment"
    CREDIT = "credit", "Credit"
    TAX = "tax", "Tax"


class Origin(models.TextChoices):
    """Which table of ``pricing`` a charge comes from."""

    AGREEMENT = "agreement", "Agreement"
    COMMITMENT = "commitment", "Commitment"
    CREDIT = "credit", "Credit"
    TAX = "tax", "Tax"


class Part(models.TextChoices):
    """What a charge says."""

    VOLUME = "volume", "Discount of a volume band, on usage"
    COVERED = "covered", "Usage paid for by a commitment: its price goes, a share of the commitment comes"
    PURCHASE = "purchase", "What is billed for a commitment"
    UNUSED = "unused", "What of a commitment nobody used"
    CREDIT = "credit", "Taken from the bill"
    TAX = "tax", "Added to the bill"


class Charge(models.Model):
    """What is added to (or taken from) the costs of a dimension set's usage of a slot on a day, in dollars.

    Derived from what was booked and agreed, anew whenever either changes; a row is never changed except
    that ``known_to`` is set once. Rows of kind usage correct usage: with it they are what usage costs. What
    no call causes has a dimension set and a slot of its own, so owners, rules and filters hold for it too.
    """

    day = models.DateField()
    kind = models.CharField(max_length=10, choices=ChargeKind)
    origin = models.CharField(max_length=10, choices=Origin)
    origin_id = models.BigIntegerField()
    part = models.CharField(max_length=8, choices=Part)
    dimension_set_id = models.IntegerField()
    slot_id = models.IntegerField()
    list_cost = models.DecimalField(max_digits=38, decimal_places=18, default=0)
    contracted_cost = models.DecimalField(max_digits=38, decimal_places=18, default=0)
    effective_cost = models.DecimalField(max_digits=38, decimal_places=18, default=0)
    billed_cost = models.DecimalField(max_digits=38, decimal_places=18, default=0)
    known_from = models.DateTimeField()
    known_to = models.DateTimeField(null=True)

    class Meta:
        db_table = "charge"
        constraints = (
            # Also serves every report: today's charges of some days.
            models.UniqueConstraint(
                fields=["day", "dimension_set_id", "slot_id", "origin", "origin_id", "part"],
                condition=Q(known_to=None),
                name="charge_is_booked_once",
            ),
            models.CheckConstraint(
                name="charge_is_known_for_a_while",
                condition=Q(known_to=None) | Q(known_to__gt=F("known_from")),
            ),
        )
        indexes = (
            models.Index(fields=["day"], condition=Q(known_to__isnull=False), name="charge_known_once"),
        )
