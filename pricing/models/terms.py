"""What is paid, given or levied beside usage: commitments, credits, taxes, and the rates of exchange.

None of it changes a unit price. Each row holds for reporting days, half-open, and was known during some
time: a correction is a further row, and the one it replaces gets the end of its knowledge. Amounts are kept
as entered with the booked rate of exchange, and in dollars.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import F, Q


class KnownQuerySet(models.QuerySet[Any]):  # Any: shared by all that is known during some time
    """Rows by the time they were known, and by the days they are about."""

    def known(self, at: datetime | None = None) -> Self:
        """What was known at ``at`` (None: now)."""
        if at is None:
            return self.filter(known_to=None)
        return self.filter(Q(known_to=None) | Q(known_to__gt=at), known_from__lte=at)

    def on(self, day: date) -> Self:
        """Terms that hold on a reporting day."""
        return self.filter(starts_on__lte=day, ends_on__gt=day)


class FxRate(models.Model):
    """How many units of a currency one dollar was in a month; booked once and kept."""

    currency = models.CharField(max_length=3)
    month = models.DateField()  # its first day
    rate = models.DecimalField(max_digits=30, decimal_places=18)
    source = models.TextField(blank=True)
    entered_by = models.CharField(max_length=254)
    known_from = models.DateTimeField()
    known_to = models.DateTimeField(null=True)

    objects = KnownQuerySet.as_manager()

    class Meta:
        db_table = "fx_rate"
        constraints = (
            models.UniqueConstraint(
                fields=["currency", "month"], condition=Q(known_to=None), name="fx_rate_is_one_a_month"
            ),
            models.CheckConstraint(
                name="fx_rate_is_of_a_month", condition=Q(rate__gt=0, month__day=1) & ~Q(currency="USD")
            ),
        )

    def __str__(self) -> str:
        return f"{self.currency} {self.month:%Y-%m}"


class AttributeTo(models.TextChoices):
    """Who bears what no single call causes."""

    NOBODY = "nobody", "Nobody: it stays visibly unattributed"
    TEAM = "team", "One team"
    USE = "use", "Those who used what it is about, by their use"


class Term(models.Model):
    """What commitments, credits and taxes have in common: what they are about, when, and who said so."""

    name = models.CharField(max_length=128)
    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=256, default="*")  # may be a pattern
    account = models.CharField(max_length=128, blank=True)  # '': every account
    starts_on = models.DateField()
    ends_on = models.DateField()  # exclusive
    currency = models.CharField(max_length=3, default="USD")
    fx_rate = models.DecimalField(max_digits=30, decimal_places=18, default=1)  # booked on entry
    attribute_to = models.CharField(max_length=6, choices=AttributeTo, default=AttributeTo.NOBODY)
    team = models.CharField(max_length=128, blank=True)
    source = models.TextField(blank=True)
    note = models.TextField(blank=True)
    entered_by = models.CharField(max_length=254)
    known_from = models.DateTimeField()
    known_to = models.DateTimeField(null=True)
    # The row that this one corrects; nothing is corrected twice.
    replaces = models.OneToOneField("self", models.PROTECT, null=True, related_name="replaced_by")

    objects = KnownQuerySet.as_manager()

    class Meta:
        abstract = True
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.CheckConstraint(
                name="%(class)s_ends_after_it_starts", condition=Q(ends_on__gt=F("starts_on"))
            ),
            models.CheckConstraint(
                name="%(class)s_names_a_team",
                condition=Q(attribute_to="team") & ~Q(team="") | ~Q(attribute_to="team") & Q(team=""),
            ),
            models.UniqueConstraint(
                fields=["name"], condition=Q(known_to=None), name="%(class)s_has_a_name_of_its_own"
            ),
        )

    def __str__(self) -> str:
        return self.name


class CommitmentKind(models.TextChoices):
    """How usage is covered."""

    PREPAID = "prepaid", "Prepaid spend: usage is drawn from it at contracted prices until it is used up"
    PROVISIONED = "provisioned", "Provisioned throughput: capacity by the hour"
    RESERVED = "reserved", "Reserved capacity: capacity for the term"


class Commitment(Term):
    """Spend or capacity bought for a term. ``attribute_to`` says who bears the unused part.

    Prepaid: ``amount_usd`` buys usage worth ``credit_usd`` at contracted prices. Capacity: ``amount_usd`` in
    advance and ``hourly_usd`` for each hour of the term, for ``capacity_per_hour`` tokens an hour (None: not
    known, and all usage it is about is covered).
    """

    kind = models.CharField(max_length=11, choices=CommitmentKind)
    host = models.CharField(max_length=64, blank=True)
    amount = models.DecimalField(max_digits=24, decimal_places=6, default=0)
    amount_usd = models.DecimalField(max_digits=30, decimal_places=12, default=0)
    hourly = models.DecimalField(max_digits=24, decimal_places=6, default=0)
    hourly_usd = models.DecimalField(max_digits=30, decimal_places=12, default=0)
    credit = models.DecimalField(max_digits=24, decimal_places=6, null=True)  # None: as much as the amount
    credit_usd = models.DecimalField(max_digits=30, decimal_places=12, null=True)
    units = models.PositiveIntegerField(null=True)  # as bought, for the reader
    capacity_per_hour = models.DecimalField(max_digits=24, decimal_places=6, null=True)

    class Meta(Term.Meta):
        db_table = "commitment"
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            *Term.Meta.constraints,
            models.CheckConstraint(
                name="commitment_states_what_it_buys",
                condition=Q(kind="prepaid", credit_usd__gt=0, hourly=0, capacity_per_hour=None)
                | Q(kind__in=["provisioned", "reserved"], credit_usd=None),
            ),
            models.CheckConstraint(
                name="commitment_is_not_negative",
                condition=Q(amount__gte=0, amount_usd__gte=0, hourly__gte=0, hourly_usd__gte=0)
                & (Q(capacity_per_hour=None) | Q(capacity_per_hour__gt=0)),
            ),
        )


class CreditKind(models.TextChoices):
    """What a credit pays for."""

    GRANT = "grant", "Pays for usage of its term until it is used up"
    REFUND = "refund", "Is given back at once, whatever is used"


class Credit(Term):
    """What a provider grants or gives back; a line of its own that takes from the bill.

    Of a grant, ``attribute_to`` is those who use it; a refund is booked on ``starts_on``.
    """

    kind = models.CharField(max_length=6, choices=CreditKind)
    amount = models.DecimalField(max_digits=24, decimal_places=6)
    amount_usd = models.DecimalField(max_digits=30, decimal_places=12)

    class Meta(Term.Meta):
        db_table = "credit"
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            *Term.Meta.constraints,
            models.CheckConstraint(name="credit_is_positive", condition=Q(amount__gt=0, amount_usd__gt=0)),
        )


class Tax(Term):
    """What a state levies on a provider's bill: ``percent`` of it, or an amount of an invoice.

    A percentage falls on those whose charges it is on; an amount is booked on ``starts_on``.
    """

    percent = models.DecimalField(max_digits=9, decimal_places=6, null=True)
    amount = models.DecimalField(max_digits=24, decimal_places=6, null=True)
    amount_usd = models.DecimalField(max_digits=30, decimal_places=12, null=True)

    class Meta(Term.Meta):
        db_table = "tax"
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            *Term.Meta.constraints,
            models.CheckConstraint(
                name="tax_is_a_share_or_an_amount",
                condition=Q(percent__gt=0, percent__lte=100, amount=None, amount_usd=None)
                | Q(percent=None, amount__gt=0, amount_usd__gt=0),
            ),
        )
