"""Versions of the price book, and what every row of a version has."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import Q


class VersionStatus(models.TextChoices):
    DRAFT = "draft", "Draft"
    REVIEWED = "reviewed", "Reviewed"
    PUBLISHED = "published", "Published"
    DISCARDED = "discarded", "Discarded"


class BookVersion(models.Model):
    """One publication of prices; ``published_at`` is the knowledge time of everything in it.

    Before, it is a draft: its rows price nothing, and what it would supersede is said by ``supersessions``.
    """

    label = models.CharField(max_length=100)  # which feed or desk it comes from
    status = models.CharField(max_length=10, choices=VersionStatus, default=VersionStatus.DRAFT)
    origin = models.CharField(max_length=200, blank=True)  # the file, library or request it was made from
    note = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=254, blank=True)
    reviewed_at = models.DateTimeField(null=True)
    reviewed_by = models.CharField(max_length=254, blank=True)
    discarded_at = models.DateTimeField(null=True)
    discarded_by = models.CharField(max_length=254, blank=True)
    published_at = models.DateTimeField(null=True)
    published_by = models.CharField(max_length=254, blank=True)
    content_hash = models.CharField(max_length=64)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.CheckConstraint(
                name="version_is_published_at_a_time",
                condition=~Q(status=VersionStatus.PUBLISHED) & Q(published_at=None)
                | Q(status=VersionStatus.PUBLISHED, published_at__isnull=False),
            ),
            models.CheckConstraint(
                name="version_is_reviewed_at_a_time",
                condition=Q(status=VersionStatus.DRAFT, reviewed_at=None)
                | Q(status=VersionStatus.REVIEWED, reviewed_at__isnull=False)
                | Q(status__in=[VersionStatus.PUBLISHED, VersionStatus.DISCARDED]),
            ),
            models.CheckConstraint(
                name="version_is_discarded_at_a_time",
                condition=~Q(status=VersionStatus.DISCARDED) & Q(discarded_at=None)
                | Q(status=VersionStatus.DISCARDED, discarded_at__isnull=False),
            ),
        )

    @property
    def is_open(self) -> bool:
        """Whether it may still be changed, reviewed, published or discarded."""
        return self.status in (VersionStatus.DRAFT, VersionStatus.REVIEWED)

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
