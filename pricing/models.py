"""The price book (what a unit costs, when, under which conditions) and the slots that calls are priced by.

Two times: ``effective_*`` is when a price applies to usage, a version's ``published_at`` is when it
became known. A published version never changes; a database trigger sees to that. A correction is a row
of a later version, and the row it replaces only remembers by which version it was superseded.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q

from finops.core.meters import FIRST_UNIT_METER


class VersionStatus(models.TextChoices):
    DRAFT = "draft", "Draft"
    PUBLISHED = "published", "Published"


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


class BookVersion(models.Model):
    """One publication of prices; ``published_at`` is the knowledge time of everything in it."""

    label = models.CharField(max_length=100)  # which feed or desk it comes from
    status = models.CharField(max_length=10, choices=VersionStatus, default=VersionStatus.DRAFT)
    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True)
    published_by = models.CharField(max_length=254, blank=True)
    content_hash = models.CharField(max_length=64)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.CheckConstraint(
                name="version_is_published_at_a_time",
                condition=Q(status=VersionStatus.DRAFT, published_at=None)
                | Q(status=VersionStatus.PUBLISHED, published_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.label} {self.pk}"


class VersionedQuerySet(models.QuerySet[Any]):  # Any: shared by every versioned model
    """Rows of the book by knowledge time."""

    def known(self, at: datetime | None = None) -> Self:
        """What was published and not superseded at ``at`` (None: now)."""
        rows = self.filter(version__status=VersionStatus.PUBLISHED)
        if at is None:
            return rows.filter(superseded_by=None)
        return rows.filter(version__published_at__lte=at).exclude(superseded_by__published_at__lte=at)

    def effective(self, at: datetime) -> Self:
        """What applies to usage at ``at``."""
        return self.filter(
            Q(effective_from=None) | Q(effective_from__lte=at),
            Q(effective_to=None) | Q(effective_to__gt=at),
        )


class Versioned(models.Model):
    """A row of the book: immutable once its version is published, superseded at most once."""

    version = models.ForeignKey(BookVersion, models.PROTECT, related_name="+")
    superseded_by = models.ForeignKey(BookVersion, models.PROTECT, null=True, blank=True, related_name="+")
    # Half-open; None leaves an end open. Whole seconds.
    effective_from = models.DateTimeField(null=True, blank=True)
    effective_to = models.DateTimeField(null=True, blank=True)
    source = models.TextField(blank=True)
    note = models.TextField(blank=True)

    objects = VersionedQuerySet.as_manager()

    class Meta:
        abstract = True


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
