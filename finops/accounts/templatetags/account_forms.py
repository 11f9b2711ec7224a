"""Forms as every page shows them: a label, a field, its help and its problems; a linked summary."""

from __future__ import annotations

from typing import Any

from django import template
from django.forms import BaseForm, BoundField, CheckboxInput

register = template.Library()


@register.inclusion_tag("accounts/_field.html")
def field(bound: BoundField) -> dict[str, Any]:  # Any: a template context
    """One field of a form, with everything that belongs to it."""
    grouped = bound.field.widget.use_fieldset
    return {
        "field": bound,
        "widget": bound if grouped else bound.as_widget(attrs={"class": _css(bound)}),
        "grouped": grouped,
        "checkbox": isinstance(bound.field.widget, CheckboxInput),
    }


@register.inclusion_tag("accounts/_problems.html")
def problems(
    form: BaseForm, heading: str = "Nothing was changed yet"
) -> dict[str, Any]:  # Any: a template context
    """What has to be put right, each linked to its field; nothing while nothing is wrong."""
    entries = [
        (form[name].id_for_label or form[name].auto_id, form[name].label, message)
        for name, messages in form.errors.items()
        if name in form.fields
        for message in messages
    ]
    return {"heading": heading, "entries": entries, "general": form.non_field_errors()}


def _css(bound: BoundField) -> str:
    return "" if isinstance(bound.field.widget, CheckboxInput) else "field"
