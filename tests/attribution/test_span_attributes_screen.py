"""Span attributes on screen: mapped by those who may, told why not, remembered in the audit log."""

from __future__ import annotations

import pytest

from attribution.models import SpanAttribute
from finops.accounts.models import AuditEntry, Role
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db
URL = "/span-attributes/"


def test_an_attribute_is_mapped_and_taken_back() -> None:
    admin = signed_in(Role.ADMIN)
    assert "Nothing is mapped" in admin.get(URL).content.decode()

    answer = admin.post(URL, {"add": "1", "name": "team", "attribute": "app.squad"}, follow=True)
    assert "app.squad is read as team" in answer.content.decode()
    mapped = SpanAttribute.objects.get()
    assert (mapped.name, mapped.attribute) == ("team", "app.squad")

    admin.post(URL, {"remove": str(mapped.pk)})
    assert not SpanAttribute.objects.exists()
    actions = AuditEntry.objects.order_by("pk").values_list("action", "subject", "before", "after")
    said = {"name": "team", "attribute": "app.squad"}
    assert list(actions)[-2:] == [
        ("span_attribute.map", "app.squad", None, said),
        ("span_attribute.unmap", "app.squad", said, None),
    ]


@pytest.mark.parametrize(
    ("name", "attribute", "told"),
    [
        ("team", "input.value", "may hold prompts"),
        ("team", "two words", "has no spaces"),
        ("team", "app.squad", "It is read as"),
        ("colour", "app.colour", "Select a valid choice"),
        ("team", "", "This field is required"),
    ],
)
def test_what_cannot_be_mapped_is_told_at_its_field(name: str, attribute: str, told: str) -> None:
    SpanAttribute.objects.create(name="team", attribute="app.squad")

    answer = signed_in(Role.FINANCE).post(URL, {"add": "1", "name": name, "attribute": attribute})

    assert answer.status_code == 422
    assert told in answer.content.decode()
    assert SpanAttribute.objects.count() == 1


def test_who_may_not_change_it_reads_it() -> None:
    SpanAttribute.objects.create(name="team", attribute="app.squad")
    lead = signed_in(Role.LEAD)

    page = lead.get(URL).content.decode()
    assert "app.squad" in page
    assert "Map an attribute" not in page
    assert lead.post(URL, {"add": "1", "name": "team", "attribute": "x"}).status_code == 403
