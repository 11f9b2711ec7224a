"""The shape of a problem answer, for the OpenAPI document of every app."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class FieldProblemShape(serializers.Serializer[dict[str, Any]]):
    """One thing wrong with one field."""

    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class Problem(serializers.Serializer[dict[str, Any]]):
    """An error, as RFC 9457 has it."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = FieldProblemShape(many=True)  # type: ignore[assignment]


def problem_answers(*statuses: int) -> dict[tuple[int, str], type[Problem]]:
    """These error answers, for ``extend_schema(responses=...)``."""
    return {(status, "application/problem+json"): Problem for status in statuses}
