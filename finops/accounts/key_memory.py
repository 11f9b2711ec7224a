"""API keys that may send events, kept on this host's disk for an outage of the database.

A process that starts during the outage knows no key; here it finds those that were used lately. A file
a key, named by a keyed hash of what the database knows it by, and signed with SECRET_KEY: there is
nothing in it to sign in with, and nothing can be put there by whoever does not hold the secret.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.core import signing
from django.utils.crypto import salted_hmac

from finops.accounts.models import ApiKey, Scope

# A revocation must not be outlived for ever by a host that is cut off from the database.
LONGEST_OUTAGE_SECONDS = 7 * 86_400.0
KEPT_EVERY_SECONDS = 60.0
_SALT = "finops.accounts.key_memory"
_KEPT = ("id", "name", "scopes", "team", "source")
_log = logging.getLogger(__name__)
_kept_at: dict[str, float] = {}  # digest: by the monotonic clock


def keep(digest: str, key: ApiKey) -> None:
    """Write what the database says of a valid key now; at most once a minute, and only if it may send.

    A disk that takes nothing is logged: it matters in an outage only.
    """
    now = time.monotonic()
    if now - _kept_at.get(digest, -KEPT_EVERY_SECONDS) < KEPT_EVERY_SECONDS or not key.allows(Scope.INGEST):
        return
    if len(_kept_at) > 10_000:
        _kept_at.clear()
    _kept_at[digest] = now
    said = {name: getattr(key, name) for name in _KEPT}
    said["expires_at"] = key.expires_at.isoformat() if key.expires_at else None
    path = _path(digest)
    unfinished = path.with_suffix(f".{os.getpid()}")
    try:
        for directory in (path.parent.parent, path.parent):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(signing.dumps([path.name, said, time.time()], salt=_SALT))
        unfinished.replace(path)
    except OSError as error:
        _log.warning("A key could not be kept for an outage: %s", error)


def forget(digest: str) -> None:
    """The database knows no such key, or it was revoked."""
    _kept_at.pop(digest, None)
    with suppress(OSError):
        _path(digest).unlink()


def recall(digest: str) -> tuple[ApiKey, float] | None:
    """A key as it was kept, and how many seconds ago; None if it was not, or too long ago."""
    path = _path(digest)
    try:
        name, said, at = signing.loads(path.read_text(), salt=_SALT)
    except (OSError, signing.BadSignature, ValueError):
        return None
    age = max(time.time() - at, 0.0)
    if name != path.name or age > LONGEST_OUTAGE_SECONDS:
        return None
    expires = said.pop("expires_at")
    return ApiKey(**said, expires_at=datetime.fromisoformat(expires) if expires else None), age


def _path(digest: str) -> Path:
    name = salted_hmac(_SALT, digest, algorithm="sha256").hexdigest()
    return Path(settings.SPOOL_DIR) / "keys" / name
