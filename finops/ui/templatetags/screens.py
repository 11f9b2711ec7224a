"""Template tags for screens whose state is their querystring."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from finops.ui.filters import View

register = template.Library()


@register.simple_tag
def sort_head(view: View, label: str, key: str, *, number: bool = False, first: str = "") -> SafeString:
    """A column head that sorts by ``key``; again on it turns the order round.

    ``first`` is the order that the first click gives; numbers begin with the largest.
    """
    ascending, descending = key, f"-{key}"
    state = {ascending: "ascending", descending: "descending"}.get(view.sort, "")
    if view.sort in (ascending, descending):
        target = ascending if view.sort == descending else descending
    else:
        target = first or descending
    return format_html(
        '<th scope="col"{}{}><a href="{}">{}{}</a></th>',
        SafeString(' class="number"') if number else "",
        format_html(' aria-sort="{}"', state) if state else "",
        view.with_(sort=target, others={}).url,
        label,
        {"ascending": " ↑", "descending": " ↓"}.get(state, ""),
    )
