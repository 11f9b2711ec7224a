"""How tasks ended, and what was earned: statements that are kept as they were made."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Func, Q, Value


class TaskEnd(models.IntegerChoices):
    """How a task ended. Of two statements of one instant the greater number counts: the worse end."""

    SUCCESS = 0, "success"
    ESCALATED = 1, "escalated"
    FAILURE = 2, "failure"


class TaskOutcome(models.Model):
    """One statement on one task: rows are added, never changed. The view ``task_outcome_current`` has the
    one of each task that counts.
    """

    id = models.BigAutoField(primary_key=True)
    source = models.CharField(max_length=128)
    task_id = models.CharField(max_length=128)
    # The key of ``task_day``, which is told by the task's id alone: a join adds the source.
    task_key = models.GeneratedField(
        expression=Func(F("task_id"), Value(0), function="hashtextextended"),
        output_field=models.BigIntegerField(),
        db_persist=True,
    )
    occurred_at = models.DateTimeField()
    outcome = models.SmallIntegerField(choices=TaskEnd)
    value_usd = models.DecimalField(max_digits=24, decimal_places=6, null=True)
    received_at = models.DateTimeField()
    sent_by = models.CharField(max_length=254)
    team = models.CharField(max_length=128, blank=True)  # of the key that sent it

    class Meta:
        db_table = "task_outcome"
        constraints = (
            # Also finds the statements on a task, in their order.
            models.UniqueConstraint(
                fields=["source", "task_id", "occurred_at", "outcome", "value_usd"],
                nulls_distinct=False,
                name="an_outcome_is_stated_once",
            ),
        )
        indexes = (
            # Serves the join with task_day, and the listing of one task.
            models.Index(fields=["task_key"], name="task_outcome_key"),
            # Serves reports over a period.
            models.Index(fields=["occurred_at"], name="task_outcome_time"),
        )


class Revenue(models.Model):
    """What was earned in a month, in all or with a tier or a feature. A new amount supersedes the old one."""

    period = models.CharField(max_length=7)  # YYYY-MM
    tier = models.CharField(max_length=128, blank=True)  # empty: of all tiers
    feature = models.CharField(max_length=128, blank=True)
    currency = models.CharField(max_length=3)
    revenue = models.DecimalField(max_digits=24, decimal_places=6)
    active_users = models.BigIntegerField(null=True)
    known_from = models.DateTimeField()
    known_to = models.DateTimeField(null=True)
    made_by = models.CharField(max_length=254)

    class Meta:
        db_table = "revenue"
        constraints = (
            models.UniqueConstraint(
                fields=["period", "tier", "feature", "currency"],
                condition=Q(known_to=None),
                name="revenue_is_one_amount",
            ),
        )
