"""What was negotiated with a provider: prices that hold for us instead of the list's."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from pricing.models.versions import Versioned


class VolumeOf(models.TextChoices):
    """What a month's volume is counted in, over all usage that the agreement prices."""

    NONE = "", "No volume bands"
    TOKENS = "tokens", "Tokens"
    LIST_COST = "list_cost", "Dollars at list prices"


class BandMode(models.TextChoices):
    """What reaching a volume band does."""

    NONE = "", "No volume bands"
    WHOLE = "whole", "All usage of the month at the band that the month reaches"
    MARGINAL = "marginal", "Only usage beyond the band's beginning, in order of days"


class Agreement(Versioned):
    """A percentage off, or fixed rates, for what its conditions name; '' is no condition.

    ``model`` and ``region`` may be patterns. Of two that hold for a meter, one with a fixed rate comes before
    a percentage, whatever they name; then the more specific. They are never added up. It says nothing of
    fees unless it ``includes_fees``, and nothing of meters it does not list, where it lists any.
    """

    name = models.CharField(max_length=128)
    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=256, default="*")
    account = models.CharField(max_length=128, blank=True)
    host = models.CharField(max_length=64, blank=True)
    region = models.CharField(max_length=64, blank=True)
    service_tier = models.CharField(max_length=64, blank=True)
    processing = models.CharField(max_length=32, blank=True)
    speed = models.CharField(max_length=32, blank=True)
    # Labels of token meters and names of units; empty: all.
    meters = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    includes_fees = models.BooleanField(default=False)
    volume_of = models.CharField(max_length=9, choices=VolumeOf, blank=True)
    band_mode = models.CharField(max_length=8, choices=BandMode, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="agreement_ends_after_it_starts",
                condition=Q(effective_from=None)
                | Q(effective_to=None)
                | Q(effective_to__gt=F("effective_from")),
            ),
            models.CheckConstraint(
                name="agreement_counts_a_volume_for_bands",
                condition=Q(volume_of="", band_mode="")
                | Q(volume_of__in=["tokens", "list_cost"], band_mode__in=["whole", "marginal"]),
            ),
        )

    def __str__(self) -> str:
        return self.name


class AgreementBand(models.Model):
    """What holds from a volume of a month on: ``percent_off``, or fixed rates (``AgreementRate``).

    Every agreement has the band over 0; only one with volume bands has more.
    """

    agreement = models.ForeignKey(Agreement, models.CASCADE, related_name="bands")
    over = models.DecimalField(max_digits=24, decimal_places=6, default=0)  # exclusive
    percent_off = models.DecimalField(max_digits=9, decimal_places=6, null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["agreement", "over"], name="band_begins_once"),
            models.CheckConstraint(
                name="band_begins_at_a_volume",
                condition=Q(over__gte=0),
            ),
            models.CheckConstraint(
                name="percent_off_is_a_share",
                condition=Q(percent_off=None) | Q(percent_off__gte=0, percent_off__lte=100),
            ),
        )


class AgreementRate(models.Model):
    """A fixed rate: what ``per`` units of a meter cost in a band, regional factors included."""

    band = models.ForeignKey(AgreementBand, models.CASCADE, related_name="rates")
    meter = models.CharField(max_length=64)
    unit_price = models.DecimalField(max_digits=24, decimal_places=12)
    per = models.PositiveIntegerField(default=1_000_000)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["band", "meter"], name="agreed_rate_is_stated_once"),
            models.CheckConstraint(
                name="agreed_rate_is_not_negative", condition=Q(unit_price__gte=0, per__gt=0)
            ),
        )
