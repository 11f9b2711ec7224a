"""Charges beside usage at its prices: what commitments, volume bands, credits and taxes make of a day."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
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

    Derived from what was booked and agreed, anew whenever either changes. What is agreed or priced otherwise
    later closes a row at ``known_to``; mere arrival of calls rewrites it, for calls count in every answer as
    of any time. Rows of kind usage correct usage: with it they are what usage costs. What no call causes has
    a dimension set and a slot of its own, so owners, rules and filters hold for it too.
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


class ChargeDay(models.Model):
    """What one agreement, commitment or credit met and did on a day, as known now, in dollars.

    Serves the drawing down of a balance from day to day, and whoever wants to see it. ``quantity`` and
    ``eligible`` are what was in scope and left by what comes before: tokens (of an agreement: what its volume
    counts) and their cost. ``cost`` is the day's part of a capacity, ``used`` what of it, or of a prepayment,
    went to usage; ``left`` is what a balance still holds after the day.
    """

    origin = models.CharField(max_length=10, choices=Origin)
    origin_id = models.BigIntegerField()
    day = models.DateField()
    quantity = models.DecimalField(max_digits=38, decimal_places=18, default=0)
    eligible = models.DecimalField(max_digits=38, decimal_places=18, default=0)
    covered = models.DecimalField(max_digits=38, decimal_places=18, default=0)
    cost = models.DecimalField(max_digits=38, decimal_places=18, default=0)
    used = models.DecimalField(max_digits=38, decimal_places=18, default=0)
    unused = models.DecimalField(max_digits=38, decimal_places=18, default=0)
    purchase = models.DecimalField(max_digits=38, decimal_places=18, default=0)
    left = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    # Of an agreement: how much of the day's volume lies in each band, from the lowest up.
    bands = ArrayField(models.DecimalField(max_digits=38, decimal_places=18), default=list)
    pk = models.CompositePrimaryKey("origin", "origin_id", "day")

    class Meta:
        db_table = "charge_day"


class ChargeDue(models.Model):
    """A day whose usage changed since its charges were derived; one row a change, whoever makes it."""

    day = models.DateField()

    class Meta:
        db_table = "charge_due"


class ChargingState(models.Model):
    """What the charges were last derived from: one row."""

    knowledge = models.TextField()  # names the state of the price book and of all terms
    today = models.DateField()
    known_from = models.DateTimeField()  # since when that state counts in the charges

    class Meta:
        db_table = "charging_state"
