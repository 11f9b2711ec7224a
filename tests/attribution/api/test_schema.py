"""The OpenAPI document is valid and has every path of the API."""

from __future__ import annotations

from pathlib import Path

import yaml
from django.core.management import call_command


def test_the_document_is_valid_without_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "schema.yml"

    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(file))

    paths = yaml.safe_load(file.read_text())["paths"]
    assert {
        "/api/v1/costs",
        "/api/v1/events",
        "/api/v1/events/{source}/{event_id}/explain",
        "/api/v1/teams",
        "/api/v1/teams/{slug}",
        "/api/v1/features",
        "/api/v1/tiers",
        "/api/v1/cost_centres",
        "/api/v1/business_units",
    } <= set(paths)
    assert set(paths["/api/v1/events"]) == {"get", "post"}
