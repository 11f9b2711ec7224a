"""Somebody with a key who asks the API, and tells it things."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.test import Client

from finops.accounts.authentication import forget_keys
from finops.accounts.models import ApiKey


class Desk:
    """Answers are JSON; another status than expected fails the test with the answer."""

    def __init__(self, client: Client, *scopes: str, team: str = "") -> None:
        forget_keys()
        _, secret = ApiKey.issue("-".join(("desk", *scopes)), list(scopes), team=team)
        self._client, self._auth = client, {"Authorization": f"Bearer {secret}"}

    def get(self, path: str, query: Mapping[str, str] | None = None, *, expect: int = 200) -> Any:
        answer = self._client.get(path, dict(query or {}), headers=self._auth)
        assert answer.status_code == expect, answer.content
        return answer.json()

    def post(self, path: str, body: object, *, expect: int = 201, key: str = "") -> Any:
        """``key``: the Idempotency-Key."""
        headers = {**self._auth, "Idempotency-Key": key} if key else self._auth
        answer = self._client.post(path, body, content_type="application/json", headers=headers)
        assert answer.status_code == expect, answer.content
        return answer.json()

    def refused(self, path: str, body: object, *, expect: int = 400) -> list[tuple[str, str]]:
        """Field and code of everything that a POST is refused for."""
        told = self.post(path, body, expect=expect)
        return [(problem["field"], problem["code"]) for problem in told["errors"]]
