"""Who is calling: an API key in ``Authorization: Bearer KEY``, or a browser session with CSRF.

A key is looked up by the SHA-256 of its secret. Each process remembers what it found for
``REMEMBERED_SECONDS``, so a warm look-up costs a few microseconds and no query; a revocation or a
changed scope is therefore in force everywhere within that time. While the database is away, keys that
may send events and were seen on this host stay valid for at most ``LONGEST_OUTAGE_SECONDS``, also in
processes that start meanwhile (``key_memory``): nobody can revoke one as long as the database is away
from everybody, and ingest goes on into its spool.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Q
from django.utils import timezone
from rest_framework import authentication
from rest_framework.request import Request

from finops.accounts import key_memory
from finops.accounts.key_memory import LONGEST_OUTAGE_SECONDS
from finops.accounts.models import ApiKey, hash_secret
from finops.core import outage
from finops.core.errors import FinopsError, Unavailable

REMEMBERED_SECONDS = 5.0
LOOK_UP_SECONDS = 3
USE_NOTED_EVERY = timedelta(minutes=1)
MOST_REMEMBERED = 10_000
LONGEST_HEADER = 256
CHALLENGE = 'Bearer realm="api"'


class Unauthenticated(FinopsError):
    """Nobody we know: answers 401 with a challenge."""

    code = "unauthenticated"
    status = 401
    title = "Unauthorized"
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": CHALLENGE}


class InvalidKey(Unauthenticated):
    """A key was sent, and it is malformed, unknown, revoked or expired."""

    code = "invalid_key"
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"'}


@dataclass(frozen=True, slots=True)
class _Seen:
    """A valid key as the database had it; the clock is ``time.monotonic``."""

    key: ApiKey
    expires: float  # Unix seconds
    read_at: float
    look_again_at: float


_remembered: dict[str, _Seen] = {}


def authenticate_key(header: str) -> ApiKey | None:
    """The key that an ``Authorization`` header carries; None when it carries no Bearer token.

    The object is shared by all requests of this process: read it, never save it. No query when the
    key was seen in the last ``REMEMBERED_SECONDS``, else one, and once a minute a second that notes
    its use. Raises InvalidKey (401), or Unavailable (503) when the database is away and the key has
    not been seen before.
    """
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer":
        return None
    if not secret or len(header) > LONGEST_HEADER or not secret.isascii() or " " in secret:
        raise InvalidKey("The Authorization header must read: Bearer, one space, the key.")
    digest = hash_secret(secret)
    seen = _remembered.get(digest)
    if seen is None or seen.look_again_at <= time.monotonic():
        seen = _look_up(digest, seen)
    if seen.expires <= time.time():
        raise InvalidKey("This API key has expired.")
    return seen.key


def forget_keys() -> None:
    """Drop what this process remembers, so that the next request asks the database."""
    _remembered.clear()


def _look_up(digest: str, stale: _Seen | None) -> _Seen:
    now = time.monotonic()
    try:
        with outage.watched(LOOK_UP_SECONDS):
            key = ApiKey.objects.filter(secret_hash=digest).first()
            if key is not None and key.revoked_at is None:
                _note_use(key)
    except (OperationalError, InterfaceError) as error:
        return _without_database(digest, stale, now, error)
    if key is None or key.revoked_at is not None:
        _remembered.pop(digest, None)
        key_memory.forget(digest)
        raise InvalidKey("This API key is unknown." if key is None else "This API key has been revoked.")
    expires = key.expires_at.timestamp() if key.expires_at else float("inf")
    key_memory.keep(digest, key)
    return _remember(digest, _Seen(key, expires, read_at=now, look_again_at=now + REMEMBERED_SECONDS))


def _remember(digest: str, seen: _Seen) -> _Seen:
    if len(_remembered) >= MOST_REMEMBERED:
        _remembered.clear()
    _remembered[digest] = seen
    return seen


def _note_use(key: ApiKey) -> None:
    """Write the time of use, at most once a minute for a key, however many processes see it."""
    now = timezone.now()
    if key.last_used_at is not None and key.last_used_at > now - USE_NOTED_EVERY:
        return
    unnoted = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_NOTED_EVERY)
    ApiKey.objects.filter(unnoted, pk=key.pk).update(last_used_at=now)


def _without_database(digest: str, stale: _Seen | None, now: float, error: Exception) -> _Seen:
    if not connection.in_atomic_block:
        connection.close()
    outage.note_away(error)
    if stale is None or now - stale.read_at > LONGEST_OUTAGE_SECONDS:
        stale = _kept_on_disk(digest, now)
    if stale is None:
        raise Unavailable("The database is away, so this API key cannot be checked. Try again.") from error
    return _remember(digest, replace(stale, look_again_at=now + REMEMBERED_SECONDS))


def _kept_on_disk(digest: str, now: float) -> _Seen | None:
    kept = key_memory.recall(digest)
    if kept is None:
        return None
    key, age = kept
    expires = key.expires_at.timestamp() if key.expires_at else float("inf")
    return _Seen(key, expires, read_at=now - age, look_again_at=now)


@dataclass(frozen=True, slots=True)
class KeyBearer:
    """What ``request.user`` is when a program calls; ``request.auth`` is the key."""

    key: ApiKey
    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True

    def __str__(self) -> str:
        return f"key: {self.key.name}"


class ApiKeyAuthentication(authentication.BaseAuthentication):
    """DRF: ``Authorization: Bearer KEY``. First in the settings, so its challenge makes the 401."""

    def authenticate(self, request: Request) -> tuple[KeyBearer, ApiKey] | None:
        key = authenticate_key(request.META.get("HTTP_AUTHORIZATION", ""))
        return None if key is None else (KeyBearer(key), key)

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class SessionAuthentication(authentication.SessionAuthentication):
    """DRF: the session of a signed-in browser, with the CSRF token on everything that writes."""

    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, None] | None:
        return super().authenticate(request)

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE
