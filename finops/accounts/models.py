"""People, the teams they answer for, API keys, and the audit log."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, ClassVar, Self

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone


class Role(models.TextChoices):
    """What a person may do; ``finops.accounts.permissions`` holds the table."""

    ADMIN = "admin", "Administrator"
    FINANCE = "finance", "Finance"
    PLATFORM = "platform", "Platform"
    LEAD = "lead", "Team lead"
    ENGINEER = "engineer", "Engineer"
    VIEWER = "viewer", "Viewer"


class Theme(models.TextChoices):
    SYSTEM = "system", "As the system"
    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in with an e-mail address."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=150, blank=True)
    role = models.CharField(max_length=10, choices=Role, default=Role.VIEWER)
    theme = models.CharField(max_length=10, choices=Theme, default=Theme.SYSTEM)
    shortcuts_enabled = models.BooleanField(default=True)
    is_active = models.BooleanField(default=True)
    joined_at = models.DateTimeField(default=timezone.now)

    objects = UserManager()
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return self.email

    @property
    def team_slugs(self) -> frozenset[str]:
        """Teams this person belongs to; one query, kept for the life of the object."""
        if not hasattr(self, "_team_slugs"):
            self._team_slugs = frozenset(self.memberships.values_list("team", flat=True))
        return self._team_slugs


class TeamMembership(models.Model):
    """One person in one team.

    The team is named by its slug: teams live above this package, in ``attribution``, and a slug
    never changes.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    team = models.CharField(max_length=128)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["user", "team"], name="membership_is_unique"),)

    def __str__(self) -> str:
        return f"{self.user} in {self.team}"


class Scope(models.TextChoices):
    """What an API key may do."""

    INGEST = "ingest", "Send events"
    READ = "read", "Read costs"
    WRITE = "write", "Change prices, budgets, rules and ownership"
    FINANCE = "finance", "Close, approve, adjust"
    GATEWAY = "gateway", "Use the gateway"
    ADMIN = "admin", "Everything"


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def active(self) -> Self:
        now = timezone.now()
        return self.filter(revoked_at=None).filter(Q(expires_at=None) | Q(expires_at__gt=now))


class ApiKey(models.Model):
    """A secret for programs. Only its SHA-256 is stored: 256 random bits need no slow hash."""

    name = models.CharField(max_length=128)
    prefix = models.CharField(max_length=12)
    secret_hash = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=10, choices=Scope))
    team = models.CharField(max_length=128, blank=True)
    source = models.CharField(max_length=128, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    last_used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    rotated_from = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="+")

    objects = ApiKeyQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    @classmethod
    def issue(cls, name: str, scopes: list[str], **fields: Any) -> tuple[ApiKey, str]:
        """A new key and its secret, which is never to be had again."""
        secret = f"fk_{secrets.token_urlsafe(32)}"
        key = cls.objects.create(
            name=name, scopes=scopes, prefix=secret[:10], secret_hash=hash_secret(secret), **fields
        )
        return key, secret

    def allows(self, scope: str) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes


def hash_secret(secret: str) -> str:
    """How a secret is stored and looked up."""
    return hashlib.sha256(secret.encode()).hexdigest()


class AuditEntry(models.Model):
    """One change: who, when, what, before and after. Never changed, never deleted."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.CharField(max_length=254)  # an e-mail, "key: NAME", or "command"
    action = models.CharField(max_length=64)  # such as "team.moved"
    subject_kind = models.CharField(max_length=64)
    subject = models.CharField(max_length=256)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ("-at", "-id")

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"


class IdempotentAnswer(models.Model):
    """The first answer to a POST with an Idempotency-Key, given again to its repetitions."""

    principal = models.CharField(max_length=254)
    key = models.CharField(max_length=255)
    path = models.CharField(max_length=255)
    body_hash = models.CharField(max_length=64)
    status = models.SmallIntegerField()
    answer = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["principal", "key", "path"], name="idempotency_key_is_used_once"),
        )
