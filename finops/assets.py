"""Static files: collected, fingerprinted and compressed when their sources changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

# Pages that dependencies bring and that we do not serve.
_UNUSED = ["redoc", "rest_framework"]


def collect() -> bool:
    """Collect into STATIC_ROOT unless it holds these very sources; True if it had to be done."""
    mark = Path(settings.STATIC_ROOT) / ".collected-from"
    fingerprint = _fingerprint()
    with suppress(OSError):
        if mark.read_text() == fingerprint:
            return False
    options = {"interactive": False, "clear": True, "verbosity": 0}
    call_command("collectstatic", ignore_patterns=_UNUSED, **options)
    mark.write_text(fingerprint)
    return True


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for name, path in sorted(_sources()):
        found = path.stat()
        digest.update(f"{name} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _sources() -> Iterator[tuple[str, Path]]:
    for finder in get_finders():
        for name, storage in finder.list([]):
            yield name, Path(storage.path(name))
