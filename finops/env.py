"""Reads the environment: every variable once, validated, with an error that names the rule."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ImproperlyConfigured

Value = TypeVar("Value")


def text(name: str, default: str = "") -> str:
    """The variable, or the content of the file that NAME_FILE points at (for secrets)."""
    if file := os.environ.get(f"{name}_FILE"):
        try:
            return Path(file).read_text().strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE: {error}") from error
    return os.environ.get(name, default)


def flag(name: str, *, default: bool) -> bool:
    """Only ``true`` and ``false`` are accepted: anything else is a mistake worth stopping for."""
    value = text(name, "true" if default else "false").lower()
    if value not in ("true", "false"):
        raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}")
    return value == "true"


def whole(name: str, default: int, *, least: int = 0) -> int:
    """A whole number of at least ``least``."""
    return _parsed(name, str(default), int, f"a whole number of at least {least}", lambda n: n >= least)


def choice(name: str, default: str, allowed: Sequence[str]) -> str:
    """One of a few words."""
    return _parsed(name, default, str, f"one of {', '.join(allowed)}", lambda word: word in allowed)


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def address(name: str, default: str) -> str:
    """The address of an API, without a query; a slash at its end is left off."""
    raw = text(name, default).rstrip("/")
    url = urlsplit(raw)
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
        raise ImproperlyConfigured(f"{name} must be an address such as {default}, not {raw!r}")
    return raw


def zone(name: str, default: str) -> ZoneInfo:
    """An IANA time zone."""
    key = text(name, default)
    if key not in available_timezones():
        raise ImproperlyConfigured(f"{name} must be an IANA time zone such as Europe/Lisbon, not {key!r}")
    return ZoneInfo(key)


def currency(name: str, default: str) -> str:
    """An ISO 4217 code."""
    code = text(name, default)
    if not (len(code) == 3 and code.isascii() and code.isupper()):
        raise ImproperlyConfigured(f"{name} must be an ISO 4217 code such as USD, not {code!r}")
    return code


def database(name: str, default: str) -> dict[str, object]:
    """A Django DATABASES entry from ``postgresql://user:password@host:port/name``.

    A socket directory rides as ``?host=/path``, the form libpq knows.
    """
    url = urlsplit(text(name, default))
    if url.scheme not in ("postgres", "postgresql") or not url.path.strip("/"):
        raise ImproperlyConfigured(f"{name} must look like postgresql://user:password@host:5432/name")
    options = dict(part.split("=", 1) for part in url.query.split("&") if "=" in part)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path.strip("/")),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": unquote(options.pop("host", url.hostname or "")),
        "PORT": str(url.port or ""),
        # libpq alone would wait for as long as the network does.
        "OPTIONS": {"connect_timeout": "5", **{key: unquote(value) for key, value in options.items()}},
    }


def _parsed(
    name: str, default: str, parse: Callable[[str], Value], rule: str, holds: Callable[[Value], bool]
) -> Value:
    raw = text(name, default)
    try:
        value = parse(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be {rule}, not {raw!r}") from None
    if not holds(value):
        raise ImproperlyConfigured(f"{name} must be {rule}, not {raw!r}")
    return value
