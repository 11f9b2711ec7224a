"""``Idempotency-Key``: a POST that creates may be sent again without creating twice.

The key is claimed by a row (unique by caller, key and path) in the same transaction as what the view
writes, so either both are there or neither. A repetition that arrives meanwhile waits on the unique
index for the first to end, and then gets its answer, or takes its turn if the first failed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.core.files.uploadedfile import UploadedFile
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from finops.accounts.models import ApiKey, IdempotentAnswer
from finops.accounts.permissions import principal_of, principal_of_key
from finops.core import outage
from finops.core.errors import FinopsError, InvalidInput

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEPT_FOR = timedelta(hours=48)
LONGEST_KEY = 255
_LONGEST_SECONDS = 5

P = ParamSpec("P")
View = TypeVar("View", bound=APIView)
Handler = Callable[Concatenate[View, Request, P], Response]


class KeyUsedForAnother(FinopsError):
    """The same Idempotency-Key came with another body."""

    code = "idempotency_key_reused"
    status = 422
    title = "Idempotency-Key was used for another request"


def idempotent(handler: Handler[View, P]) -> Handler[View, P]:
    """Decorates the ``post`` of a DRF view; without the header nothing changes.

    The handler runs in a transaction of ours. Its answer is kept when it is a success (2xx); a
    refusal or an error rolls everything back, so the same key may be used again for a corrected
    request. The kept answer comes back with ``Idempotent-Replayed: true``. Raises InvalidInput for a
    malformed key and KeyUsedForAnother (422) for the same key with another body.
    """

    @wraps(handler)
    def answer(view: View, request: Request, /, *args: P.args, **kwargs: P.kwargs) -> Response:
        if HEADER not in request.headers:
            return handler(view, request, *args, **kwargs)
        claim = IdempotentAnswer(
            principal=principal_of(request).identity,
            key=_well_formed(request.headers[HEADER]),
            path=request.path,
            body_hash=_fingerprint(request),
            status=0,
            answer={},
        )
        with transaction.atomic():
            first = _claim(claim)
            if first is not None:
                return _replay(first, claim)
            response = handler(view, request, *args, **kwargs)
            if response.status_code >= 300:
                transaction.set_rollback(True)
            else:
                _keep(claim, response)
            return response

    return answer


class Repetition:
    """``Idempotency-Key`` where what is created knows itself again: only the answer has to be kept.

    Two that arrive at once may both be carried out; the second then says what was known already. While
    the database is away no answer is found or kept.
    """

    def __init__(self, key: ApiKey, name: str, path: str, body: bytes) -> None:
        """Raises InvalidInput for a malformed ``name``, which is what the header says."""
        self._claim = IdempotentAnswer(
            principal=principal_of_key(key).identity,
            key=_well_formed(name),
            path=path,
            body_hash=hashlib.sha256(body).hexdigest(),
            status=0,
            answer={},
        )

    def first_answer(self) -> tuple[int, Any] | None:
        """Status and body of the first one. Raises KeyUsedForAnother (422) where its body was another."""
        first = None
        with _unless_away():
            first = IdempotentAnswer.objects.filter(**_identity(self._claim)).first()
        if first is None:
            return None
        _check_same(first, self._claim)
        return first.status, first.answer["body"]

    def keep(self, status: int, body: Any) -> None:
        """Keep the answer, unless another was kept meanwhile."""
        self._claim.status, self._claim.answer = status, {"body": body, "headers": {}}
        with _unless_away():
            IdempotentAnswer.objects.bulk_create([self._claim], ignore_conflicts=True)


@contextmanager
def _unless_away() -> Iterator[None]:
    try:
        with outage.watched(_LONGEST_SECONDS):
            yield
    except (OperationalError, InterfaceError) as error:
        if not connection.in_atomic_block:
            connection.close()
        outage.note_away(error)


def forget_old_answers(now: datetime | None = None) -> int:
    """Delete answers older than ``KEPT_FOR``; how many. For the beat."""
    before = (now or timezone.now()) - KEPT_FOR
    return IdempotentAnswer.objects.filter(created_at__lt=before).delete()[0]


def _well_formed(key: str) -> str:
    if not 1 <= len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise InvalidInput.field(HEADER, "invalid", f"Must be 1 to {LONGEST_KEY} printable ASCII characters.")
    return key


def _fingerprint(request: Request) -> str:
    """A hash of what was sent: equal JSON has equal hashes, however it is laid out."""
    canonical = json.dumps(request.data, sort_keys=True, separators=(",", ":"), default=_of_file)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _of_file(value: Any) -> Any:  # Any: json's hook
    if isinstance(value, UploadedFile):
        digest = hashlib.sha256()
        for chunk in value.chunks():
            digest.update(chunk)
        value.seek(0)
        return [value.name, digest.hexdigest()]
    return str(value)


def _claim(claim: IdempotentAnswer) -> IdempotentAnswer | None:
    """None when the key is now ours, else the row of whoever had it; waits for one that is at work.

    Only finished answers are ever committed, so a row without a status is our own.
    """
    IdempotentAnswer.objects.bulk_create([claim], ignore_conflicts=True)
    found = IdempotentAnswer.objects.get(**_identity(claim))
    return found if found.status else None


def _replay(first: IdempotentAnswer, claim: IdempotentAnswer) -> Response:
    _check_same(first, claim)
    return Response(first.answer["body"], first.status, headers={**first.answer["headers"], REPLAYED: "true"})


def _check_same(first: IdempotentAnswer, claim: IdempotentAnswer) -> None:
    if first.body_hash != claim.body_hash:
        raise KeyUsedForAnother(
            f"The Idempotency-Key {claim.key} was used for a request with another body "
            f"at {first.created_at:%Y-%m-%dT%H:%M:%SZ}. Use a new key for a new request."
        )


def _keep(claim: IdempotentAnswer, response: Response) -> None:
    body = json.loads(JSONRenderer().render(response.data) or b"null")
    headers = {name: response[name] for name in ("Location", "ETag") if name in response}
    IdempotentAnswer.objects.filter(**_identity(claim)).update(
        status=response.status_code, answer={"body": body, "headers": headers}
    )


def _identity(claim: IdempotentAnswer) -> dict[str, str]:
    return {"principal": claim.principal, "key": claim.key, "path": claim.path}
