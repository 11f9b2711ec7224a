"""Span attributes: which attributes of OpenTelemetry spans hold our names, beside our own."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from attribution.ingest.otlp.mapping import Spellings, forget_spellings
from attribution.ingest.otlp.names import OURS, is_content
from attribution.models import SpanAttribute
from finops.accounts import audit
from finops.accounts.forms import OurForm
from finops.accounts.permissions import Capability, principal_of_person
from finops.accounts.screens import PersonRequest, for_people

_LONGEST = 256


class AttributeForm(OurForm):
    """One attribute that holds one of our names."""

    name = forms.ChoiceField(choices=[(name, name) for name in OURS], label="Our name")
    attribute = forms.CharField(
        max_length=_LONGEST,
        label="Attribute",
        help_text="As it stands on the span or its resource, such as app.squad or cost_center.",
    )

    def clean_attribute(self) -> str:
        """Attributes that may hold what was asked or answered are dropped before anybody reads them."""
        attribute = str(self.cleaned_data["attribute"])
        if not attribute.isprintable() or " " in attribute:
            raise forms.ValidationError("An attribute's name has no spaces.")
        if is_content(attribute):
            raise forms.ValidationError("This attribute may hold prompts, so it is never read.")
        return attribute


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_COSTS)
def span_attributes(request: PersonRequest) -> HttpResponse:
    """The mapped attributes in the order in which they are looked at; add one, take one back."""
    principal = principal_of_person(request.user)
    may_edit = principal.may(Capability.EDIT_OWNERSHIP)
    form = AttributeForm(request.POST if "add" in request.POST else None)
    if request.method == "POST":
        if not may_edit:
            raise PermissionDenied(principal.refusal(Capability.EDIT_OWNERSHIP))
        if "remove" in request.POST:
            return _remove(request)
        if form.is_valid() and _add(request, form):
            return HttpResponseRedirect(request.path)
    mapped = list(SpanAttribute.objects.all())
    context = {
        "form": form,
        "mapped": mapped,
        "spellings": _shown(Spellings.of((each.name, each.attribute) for each in mapped)),
        "may_edit": may_edit,
        "may_audit": principal.may(Capability.VIEW_AUDIT),
    }
    return render(request, "attribution/span_attributes.html", context, status=422 if form.errors else 200)


def _shown(spellings: Spellings) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return [(name, spellings.on_span[name], spellings.on_resource[name]) for name in OURS]


def _add(request: PersonRequest, form: AttributeForm) -> bool:
    name, attribute = form.cleaned_data["name"], form.cleaned_data["attribute"]
    last = SpanAttribute.objects.order_by("position").values_list("position", flat=True).last()
    try:
        with transaction.atomic():
            SpanAttribute.objects.create(name=name, attribute=attribute, position=(last or 0) + 1)
            _note(request, "map", before=None, after={"name": name, "attribute": attribute})
    except IntegrityError:
        form.add_error("attribute", f'It is read as "{name}" already.')
        return False
    forget_spellings()
    messages.success(request, f"{attribute} is read as {name} in spans that arrive from now on.")
    return True


def _remove(request: PersonRequest) -> HttpResponse:
    identifier = request.POST["remove"]
    mapped = get_object_or_404(SpanAttribute, pk=int(identifier) if identifier.isdecimal() else 0)
    with transaction.atomic():
        _note(request, "unmap", before={"name": mapped.name, "attribute": mapped.attribute}, after=None)
        mapped.delete()
    forget_spellings()
    messages.success(request, f"{mapped.attribute} is no longer read as {mapped.name}.")
    return HttpResponseRedirect(reverse("attribution:span-attributes"))


def _note(
    request: PersonRequest, action: str, *, before: dict[str, str] | None, after: dict[str, str] | None
) -> None:
    subject = (after or before or {})["attribute"]
    audit.record(
        request.user.email,
        f"span_attribute.{action}",
        subject_kind="span_attribute",
        subject=subject,
        before=before,
        after=after,
    )
