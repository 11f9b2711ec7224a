"""Corrections of prices: what each would change of what is booked, and what was decided."""

from __future__ import annotations

from decimal import Decimal

from django.db import models

from pricing.models import BookVersion

# A quantity has up to 6 places and a unit price 18.
_DIGITS, _PLACES = 48, 24


class ReratingStatus(models.TextChoices):
    PREVIEWED = "previewed", "Waiting for approval"
    APPROVED = "approved", "Approved"
    STALE = "stale", "Out of date"
    DISCARDED = "discarded", "Discarded"


class Rerating(models.Model):
    """The effect of one version of the price book on what is booked, as it was shown.

    ``before`` and ``after`` are effective cost over all calls whose prices change. Days from
    ``running_day`` on were not over when it was made: they may grow until it is approved.
    """

    version = models.ForeignKey(BookVersion, models.PROTECT, related_name="reratings")
    status = models.CharField(max_length=9, choices=ReratingStatus, default=ReratingStatus.PREVIEWED)
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=254)
    running_day = models.DateField()
    figures = models.CharField(max_length=80)  # names the figures of the days before
    first_day = models.DateField(null=True)
    last_day = models.DateField(null=True)
    calls = models.BigIntegerField(default=0)
    newly_priced = models.BigIntegerField(default=0)
    newly_unpriced = models.BigIntegerField(default=0)
    before = models.DecimalField(max_digits=_DIGITS, decimal_places=_PLACES, default=Decimal(0))
    after = models.DecimalField(max_digits=_DIGITS, decimal_places=_PLACES, default=Decimal(0))
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=254, blank=True)
    reason = models.TextField(blank=True)  # why it is out of date, or was discarded
    # What was posted: the time since which the new prices are known, and how many calls changed slots.
    known_from = models.DateTimeField(null=True)
    posted_before = models.DecimalField(max_digits=_DIGITS, decimal_places=_PLACES, null=True)
    posted_after = models.DecimalField(max_digits=_DIGITS, decimal_places=_PLACES, null=True)
    calls_moved = models.BigIntegerField(default=0)
    days_moved = models.IntegerField(default=0)

    class Meta:
        db_table = "rerating"
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(
                name="rerating_is_decided_by_somebody",
                condition=models.Q(status=ReratingStatus.PREVIEWED, decided_at=None)
                | (~models.Q(status=ReratingStatus.PREVIEWED) & models.Q(decided_at__isnull=False)),
            ),
            models.UniqueConstraint(
                name="version_is_approved_once",
                fields=["version"],
                condition=models.Q(status=ReratingStatus.APPROVED),
            ),
        )

    def __str__(self) -> str:
        return f"Re-rating {self.pk}"

    @property
    def difference(self) -> Decimal:
        """What the cost would change by."""
        return self.after - self.before


class ReratingLine(models.Model):
    """The part of one day, owner and model; team and feature None: nobody's."""

    rerating = models.ForeignKey(Rerating, models.CASCADE, related_name="lines")
    day = models.DateField()
    team = models.TextField(null=True)
    feature = models.TextField(null=True)
    provider = models.TextField()
    model = models.TextField()
    calls = models.BigIntegerField()
    newly_priced = models.BigIntegerField()
    newly_unpriced = models.BigIntegerField()
    before = models.DecimalField(max_digits=_DIGITS, decimal_places=_PLACES)
    after = models.DecimalField(max_digits=_DIGITS, decimal_places=_PLACES)

    class Meta:
        db_table = "rerating_line"
