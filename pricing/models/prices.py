"""What a unit costs, when, under which conditions, and under which names."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from pricing.models.versions import Versioned


class PriceKind(models.TextChoices):
    """A call has one row of rates, chosen by its conditions, and any number of fees beside it."""

    RATES = "rates", "Rates of a model"
    FEES = "fees", "Fees per call unit, whatever the conditions"


class ContextOperator(models.TextChoices):
    """Whether a prompt of exactly the threshold is still below it."""

    GREATER = "gt", "more than the threshold"
    AT_LEAST = "ge", "the threshold or more"


class ContextMode(models.TextChoices):
    """What crossing a context threshold does."""

    WHOLE_REQUEST = "whole_request", "Every token of the request at this rate"
    MARGINAL = "marginal", "Only prompt tokens beyond the threshold at this rate"


class Evidence(models.TextChoices):
    """What a price rests on."""

    PROVIDER = "provider", "The provider's page or API"
    BILL = "bill", "A real bill or console amount"
    LIBRARY = "library", "An open price list"
    UNRESOLVED = "unresolved", "Sources disagree"
    OWN = "own", "Entered here"


class Price(Versioned):
    """What one model costs under one set of conditions during one interval.

    ``model`` and ``region`` may be patterns (``*``, ``?``, ``[...]``); the most specific row wins. An
    empty ``region`` or ``host`` is no condition. Rates rows name their tier, processing and speed; an
    unnamed combination is unpriced, never priced as standard.
    """

    kind = models.CharField(max_length=10, choices=PriceKind, default=PriceKind.RATES)
    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=256)
    service_tier = models.CharField(max_length=64, default="standard", blank=True)
    processing = models.CharField(max_length=32, default="sync", blank=True)
    speed = models.CharField(max_length=32, default="standard", blank=True)
    region = models.CharField(max_length=64, blank=True)
    host = models.CharField(max_length=64, blank=True)
    # Tokens of the whole prompt, cached and written ones included; None: the base rates.
    context_threshold = models.PositiveIntegerField(null=True, blank=True)
    context_operator = models.CharField(max_length=2, choices=ContextOperator, blank=True)
    mode = models.CharField(max_length=13, choices=ContextMode, default=ContextMode.WHOLE_REQUEST)
    # {"name", "windows": [["01:00", "04:00"]], "days": [0..6, Monday first], "except": [dates]}, in UTC.
    schedule = models.JSONField(null=True, blank=True)
    currency = models.CharField(max_length=3, default="USD")
    evidence = models.CharField(max_length=10, choices=Evidence)

    class Meta:
        indexes = (
            # Serves the list of prices of one model.
            models.Index(fields=["provider", "model"], name="price_by_model"),
        )
        constraints = (
            models.CheckConstraint(
                name="price_ends_after_it_starts",
                condition=Q(effective_from=None)
                | Q(effective_to=None)
                | Q(effective_to__gt=F("effective_from")),
            ),
            models.CheckConstraint(
                name="price_threshold_has_an_operator",
                condition=Q(context_threshold=None, context_operator="")
                | Q(context_threshold__gt=0, context_operator__in=ContextOperator.values),
            ),
            models.CheckConstraint(
                name="price_is_in_dollars",
                condition=Q(currency="USD"),
                violation_error_message="Prices in other currencies need an exchange rate.",
            ),
            models.CheckConstraint(
                name="rates_name_their_conditions",
                condition=Q(kind=PriceKind.FEES) | ~Q(Q(service_tier="") | Q(processing="") | Q(speed="")),
            ),
            models.UniqueConstraint(
                name="price_is_stated_once_a_version",
                fields=[
                    "version",
                    "kind",
                    "provider",
                    "model",
                    "service_tier",
                    "processing",
                    "speed",
                    "region",
                    "host",
                    "context_threshold",
                    "schedule",
                    "effective_from",
                ],
                nulls_distinct=False,
            ),
        )

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


class Rate(models.Model):
    """What ``per`` units of one meter cost. The meter is a token meter's label or a unit's name."""

    price = models.ForeignKey(Price, models.CASCADE, related_name="rates")
    meter = models.CharField(max_length=64)
    unit_price = models.DecimalField(max_digits=24, decimal_places=12)
    per = models.PositiveIntegerField(default=1_000_000)
    # The least quantity that one call is charged for, where the provider has such a rule.
    minimum = models.DecimalField(max_digits=24, decimal_places=6, null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["price", "meter"], name="rate_is_stated_once_a_meter"),
            models.CheckConstraint(name="rate_is_not_negative", condition=Q(unit_price__gte=0, per__gt=0)),
        )


class Multiplier(Versioned):
    """A factor on token rates, never on fees: an endpoint in a region that costs more.

    ``model`` and ``region`` are patterns; the region ``*`` is any named one. A factor of None says that
    the provider charges otherwise there and we do not know how much: such calls are unpriced.
    """

    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=256)
    region = models.CharField(max_length=64)
    factor = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)
    evidence = models.CharField(max_length=10, choices=Evidence)

    class Meta:
        constraints = (
            models.CheckConstraint(name="multiplier_is_positive", condition=Q(factor=None) | Q(factor__gt=0)),
        )


class ModelAlias(Versioned):
    """Another name for what the book prices: a dated snapshot, a moving ``-latest``, a reseller's host.

    ``model`` is a pattern; a trailing ``*`` in ``target_model`` stands for what the pattern's trailing
    ``*`` matched. With a ``host`` the alias comes before the model's own price.
    """

    provider = models.CharField(max_length=64)
    host = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=256)
    target_provider = models.CharField(max_length=64)
    target_model = models.CharField(max_length=256)
