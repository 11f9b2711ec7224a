"""The shapes of the ingest API, for its OpenAPI document: the event is described by its own schema."""

from __future__ import annotations

from typing import Any

import msgspec
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from rest_framework import serializers

from attribution.ingest.schema import CONTENT_FIELDS, Event, ReportedCost, Usage


class EventField(serializers.JSONField):
    """One event. Validated by msgspec; this class only stands for it in the document."""


class EventsBody(serializers.Serializer[dict[str, Any]]):
    """A batch of events."""

    events = serializers.ListField(child=EventField(), max_length=10_000)


class EventReference(serializers.Serializer[dict[str, Any]]):
    """An event of the request, by its place in it."""

    index = serializers.IntegerField()
    event_id = serializers.CharField()


class RejectedEvent(serializers.Serializer[dict[str, Any]]):
    """An event that breaks a rule; it is not kept."""

    index = serializers.IntegerField()
    event_id = serializers.CharField(allow_null=True)
    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class EventsOutcome(serializers.Serializer[dict[str, Any]]):
    """What became of every event."""

    accepted = serializers.IntegerField(help_text="New, and durable.")
    duplicates = serializers.IntegerField(help_text="Same source, id and content as one kept before.")
    conflicts = EventReference(many=True, help_text="Same source and id, other content: the first is kept.")
    rejected = RejectedEvent(many=True)
    content_dropped = serializers.IntegerField(help_text="Fields with prompt or completion text.")
    unknown_fields = serializers.ListField(
        child=serializers.CharField(), help_text="Names that were ignored; at most 20."
    )


class EventsSpooled(serializers.Serializer[dict[str, Any]]):
    """PostgreSQL is away: durable on the disk of this host, and booked in order when it is back."""

    spooled = serializers.IntegerField(help_text="Duplicates and conflicts among them are found later.")
    rejected = RejectedEvent(many=True)
    content_dropped = serializers.IntegerField(help_text="Fields with prompt or completion text.")
    unknown_fields = serializers.ListField(
        child=serializers.CharField(), help_text="Names that were ignored; at most 20."
    )


class EventSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """Puts the event, exactly as msgspec decodes it, into the document's components."""

    target_class = "attribution.api.ingest_shapes.EventField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        _, components = msgspec.json.schema_components(
            [Event, Usage, ReportedCost], ref_template="#/components/schemas/{name}"
        )
        for name, schema in components.items():
            component = ResolvedComponent(  # type: ignore[no-untyped-call]
                name=name, type=ResolvedComponent.SCHEMA, object=name, schema=_clean(schema)
            )
            auto_schema.registry.register_on_missing(component)
        return {"$ref": "#/components/schemas/Event"}


def _clean(schema: dict[str, Any]) -> dict[str, Any]:
    """-1 stands for "not given" inside only; unknown names of an event are ignored, not refused."""
    properties = {
        name: {key: value for key, value in part.items() if key != "default" or value != -1}
        for name, part in _supported(schema.get("properties", {})).items()
    }
    cleaned = {**schema, "properties": properties}
    if not cleaned.get("required"):
        cleaned.pop("required", None)
    if schema.get("title") == "Event":
        del cleaned["additionalProperties"]
        names = ", ".join(f"`{name}`" for name in sorted(CONTENT_FIELDS))
        cleaned["description"] = f"One call. Dropped and counted, never stored: {names}."
    return cleaned


def _supported(schema: Any) -> Any:
    """Without what OpenAPI 3.0 has no word for: the pattern of names (``propertyNames``), null types."""
    # Any: JSON.
    if isinstance(schema, list):
        return [_supported(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _supported(part) for key, part in schema.items() if key != "propertyNames"}
    branches = kept.get("anyOf")
    if branches and {"type": "null"} in branches:
        kept["anyOf"] = [branch for branch in branches if branch != {"type": "null"}]
        kept["nullable"] = True
    return kept
