"""What a draft would replace when it is published, and what has to be looked at before."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from pricing.models.agreements import Agreement
from pricing.models.prices import ModelAlias, Multiplier, Price
from pricing.models.versions import BookVersion


class DraftSupersession(models.Model):
    """One published row that a draft replaces or ends.

    Only while the version is a draft; publishing it writes ``superseded_by`` and removes these rows.
    """

    version = models.ForeignKey(BookVersion, models.CASCADE, related_name="supersessions")
    price = models.ForeignKey(Price, models.CASCADE, null=True, blank=True, related_name="+")
    multiplier = models.ForeignKey(Multiplier, models.CASCADE, null=True, blank=True, related_name="+")
    alias = models.ForeignKey(ModelAlias, models.CASCADE, null=True, blank=True, related_name="+")
    agreement = models.ForeignKey(Agreement, models.CASCADE, null=True, blank=True, related_name="+")

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="draft_supersedes_one_row_each",
                condition=Q(price__isnull=False, multiplier=None, alias=None, agreement=None)
                | Q(price=None, multiplier__isnull=False, alias=None, agreement=None)
                | Q(price=None, multiplier=None, alias__isnull=False, agreement=None)
                | Q(price=None, multiplier=None, alias=None, agreement__isnull=False),
            ),
            models.UniqueConstraint(
                name="draft_supersedes_a_row_once",
                fields=["version", "price", "multiplier", "alias", "agreement"],
                nulls_distinct=False,
            ),
        )


class BlockKind(models.TextChoices):
    """Why a draft may not be reviewed before somebody has looked."""

    JUMP = "jump", "A price moves by more than a fifth"
    REMOVED = "removed_in_use", "A model that is in use loses its price"
    CONFLICT = "conflict", "Sources disagree"
    RETROACTIVE = "retroactive", "Usage in the past would be priced otherwise"


class DraftBlock(models.Model):
    """One finding about one model of a draft, in the way of its review until acknowledged with a reason."""

    version = models.ForeignKey(BookVersion, models.CASCADE, related_name="blocks")
    kind = models.CharField(max_length=14, choices=BlockKind)
    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=256)
    findings = models.JSONField()  # sentences, one a price
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=254, blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                name="block_is_one_a_kind_and_model", fields=["version", "kind", "provider", "model"]
            ),
            models.CheckConstraint(
                name="block_is_acknowledged_with_a_reason",
                condition=Q(acknowledged_at=None, acknowledged_by="", reason="")
                | (Q(acknowledged_at__isnull=False) & ~Q(acknowledged_by="") & ~Q(reason="")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.provider}/{self.model}"
