"""What could not be booked: kept with its reason until a person decides, never dropped."""

from __future__ import annotations

from django.db import models


class QuarantineReason(models.TextChoices):
    """Why a record is here rather than in the books."""

    INVALID = "invalid", "Breaks a rule of the format"
    CONFLICT = "conflict", "Same id as a booked event, other content"
    LATE_DUPLICATE = "late_duplicate", "Same id booked on another day; the first was kept"


class Resolution(models.TextChoices):
    """What a person decided."""

    REPLAYED = "replayed", "Replayed into the books"
    DISMISSED = "dismissed", "Dismissed: it stays outside the books"


class Quarantined(models.Model):
    """One record outside the books. The payload never holds prompt or completion text."""

    received_at = models.DateTimeField(db_index=True)
    reason = models.CharField(max_length=20, choices=QuarantineReason)
    source = models.TextField(blank=True)
    event_id = models.TextField(blank=True)
    # The key that it arrived with, and the team that was bound to it; empty where it came without a key.
    api_key = models.TextField(blank=True, db_default="")
    key_team = models.TextField(blank=True, db_default="")
    # Which field broke which rule; empty for conflicts.
    field = models.TextField(blank=True)
    code = models.TextField(blank=True)
    message = models.TextField(blank=True)
    payload = models.JSONField()
    # Tells the same record, refused again, from a new one.
    fingerprint = models.UUIDField(unique=True)
    resolved_at = models.DateTimeField(null=True)
    resolution = models.CharField(max_length=10, choices=Resolution, blank=True, db_default="")
    resolved_by = models.CharField(max_length=254, blank=True, db_default="")
    note = models.TextField(blank=True, db_default="")  # why it was dismissed

    class Meta:
        db_table = "quarantine"
        indexes = (
            # Serves the open list, newest first.
            models.Index(
                fields=["-received_at"], name="quarantine_open", condition=models.Q(resolved_at=None)
            ),
        )

    @property
    def what(self) -> str:
        """Why it is here, in words; a contract is the source's own rule."""
        if self.code == "contract":
            return "Against the contract of its source"
        return str(QuarantineReason(self.reason).label)
