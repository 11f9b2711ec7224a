"""Imports: a file uploaded, looked at before it counts, watched while it runs, and undone."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.forms.utils import ErrorList
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe
from kombu.exceptions import OperationalError

from attribution import imports, refused_rows, tasks
from attribution.import_preview import Preview, preview
from attribution.ingest.formats import FORMATS
from attribution.models import DataImport, ImportState
from attribution.views.imports_forms import LayoutForm, UploadForm
from finops.accounts.models import User
from finops.accounts.permissions import Capability, Principal, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.core.errors import Conflict, FinopsError, NotFound
from finops.ui.exports import Column, Export, Format, Kind, respond
from finops.ui.screens import sign_in

ON_A_PAGE = 30
_READS = (Capability.IMPORT_FILES, Capability.VIEW_COSTS)
logger = logging.getLogger(__name__)


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(*_READS)
def import_list(request: PersonRequest) -> HttpResponse:
    """What was imported, by whom and when; and, for whoever may, the next file."""
    principal = _reader(request)
    may_import = principal.may(Capability.IMPORT_FILES)
    form = UploadForm(request.POST or None, request.FILES or None) if may_import else None
    if request.method == "POST":
        if form is None:
            raise PermissionDenied(principal.refusal(Capability.IMPORT_FILES))
        if made := _upload(request, form):
            return HttpResponseRedirect(_url(made.pk))
    found = DataImport.objects.all()
    if not may_import:
        found = found.exclude(state=ImportState.DRAFT)
    page = Paginator(found, ON_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "form": form,
        "page": page,
        "total": page.paginator.count,
        "lines": [(one, FORMATS[one.file_format].title) for one in page.object_list],
        "moving": any(one.is_moving for one in page.object_list),
        "most_bytes": settings.IMPORT_MAX_BYTES,
    }
    return render(request, "attribution/imports.html", context, status=422 if form and form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(*_READS)
def import_entry(request: PersonRequest, number: int) -> HttpResponse:
    """One import: before it is started its first rows, later how far it is and what came of it."""
    principal = _reader(request)
    chosen = DataImport.objects.filter(pk=number).first()
    may_import = principal.may(Capability.IMPORT_FILES)
    if chosen is None or (chosen.state == ImportState.DRAFT and not may_import):
        raise Http404
    if request.method == "POST" and not may_import:
        raise PermissionDenied(principal.refusal(Capability.IMPORT_FILES))
    if request.method == "POST" and "undo" in request.POST:
        return _undo(request, chosen)
    if chosen.state == ImportState.DRAFT:
        return _draft(request, chosen)
    if request.method == "POST":  # a second press on a button that has done its work
        return HttpResponseRedirect(_url(chosen.pk))
    return _progress(request, chosen, may_import=may_import)


@require_safe
def refused_csv(request: HttpRequest, number: int) -> HttpResponseBase:
    """The refused rows of an import as a file."""
    if not isinstance(request.user, User):
        return sign_in(request)
    principal = principal_of_person(request.user)
    if not principal.may(Capability.IMPORT_FILES):
        raise PermissionDenied(principal.refusal(Capability.IMPORT_FILES))
    chosen = DataImport.objects.filter(pk=number).first()
    if chosen is None:
        raise Http404
    export = Export(
        name=f"import-{chosen.pk}-refused",
        columns=[
            Column("Record", Kind.COUNT), Column("Event"), Column("Field"), Column("Code"), Column("Reason"),
        ],
        rows=([int(row[0]), *row[1:]] for row in refused_rows.of(chosen.pk)),
        about=[("File", chosen.file_name)],
    )  # fmt: skip
    return respond(export, Format.CSV)


def _reader(request: PersonRequest) -> Principal:
    """Files hold everybody's calls: who sees some teams only has no use for them."""
    principal = principal_of_person(request.user)
    if principal.visible_teams is not None:
        raise PermissionDenied("Imports are for those who see all teams.")
    return principal


def _upload(request: PersonRequest, form: UploadForm) -> DataImport | None:
    is_valid = form.is_valid()
    if getattr(request, "upload_is_too_large", False):
        message = f"Larger than {settings.IMPORT_MAX_BYTES:,} bytes: import it with manage.py import_events."
        form.errors["file"] = ErrorList([message])
        return None
    if not is_valid:
        return None
    file = form.cleaned_data["file"]
    try:
        return imports.put_aside(
            file.chunks(),
            name=file.name,
            file_format=form.cleaned_data["file_format"],
            actor=request.user.email,
        )
    except FinopsError as error:
        form.add_error("file", error.detail)
        return None


def _draft(request: PersonRequest, chosen: DataImport) -> HttpResponse:
    if request.method == "POST" and "drop" in request.POST:
        imports.drop_draft(chosen.pk)
        messages.success(request, f"{chosen.file_name} was not imported, and its file is gone.")
        return HttpResponseRedirect(reverse("attribution:imports"))
    shown, problem = _previewed(chosen)
    columns = shown.columns if shown else list(chosen.options.get("columns", {}).values())
    if request.method != "POST":
        return _draft_page(request, chosen, LayoutForm.of(chosen, columns), shown, problem)
    form = LayoutForm(request.POST, columns=columns)
    if not form.is_valid():
        return _draft_page(request, chosen, form, shown, problem)
    said = {name: form.cleaned_data[name] for name in ("file_format", "options")}
    is_as_shown = said == {"file_format": chosen.file_format, "options": _complete(chosen.options)}
    try:
        if "start" in request.POST and is_as_shown:
            imports.start(chosen.pk, **said, actor=request.user.email)
            _hand_over(chosen.pk)
        else:
            imports.describe(chosen.pk, **said)
            if "start" in request.POST:
                messages.warning(request, "You changed how it is read: look at the rows, then start again.")
    except Conflict:
        pass  # somebody else was quicker: the page shows what came of it
    except NotFound as error:
        raise Http404(error.detail) from error
    return HttpResponseRedirect(_url(chosen.pk))


def _complete(options: dict[str, Any]) -> dict[str, Any]:
    return imports.options_of(imports.layout_of(options), options.get("source"))


def _previewed(chosen: DataImport) -> tuple[Preview | None, str]:
    try:
        return preview(chosen), ""
    except FinopsError as error:
        # The name under which we keep it says nothing to anybody.
        return None, error.detail.removeprefix(f"{imports.uploaded_file(chosen)}: ")


def _draft_page(
    request: PersonRequest, chosen: DataImport, form: LayoutForm, shown: Preview | None, problem: str
) -> HttpResponse:
    context = {"chosen": chosen, "form": form, "preview": shown, "problem": problem}
    return render(request, "attribution/import_draft.html", context, status=422 if form.errors else 200)


def _hand_over(number: int) -> None:
    """Tell a worker now. Without a broker it is found within half a minute of the worker's return."""
    try:
        tasks.carry_out_import.apply_async((number,), queue="books")
    except (OperationalError, OSError) as error:
        logger.warning("the broker did not take an import: %s", error)


def _undo(request: PersonRequest, chosen: DataImport) -> HttpResponse:
    try:
        removed = imports.undo(chosen.pk, actor=request.user.email)
    except FinopsError as error:
        return _progress(request, chosen, may_import=True, problem=error.detail, status=error.status)
    messages.success(request, f"{removed:,} calls of {chosen.file_name} were taken out of the books.")
    return HttpResponseRedirect(_url(chosen.pk))


def _progress(
    request: PersonRequest, chosen: DataImport, *, may_import: bool, problem: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "chosen": chosen,
        "format": FORMATS[chosen.file_format].title,
        "how": _how(chosen),
        "may_import": may_import,
        "may_undo": may_import and chosen.state in (ImportState.DONE, ImportState.FAILED),
        "has_list": bool(chosen.refused or chosen.conflicts),
        "most_listed": refused_rows.MOST_LISTED,
        "problem": problem,
    }
    polled = request.headers.get("HX-Request") == "true" and request.method != "POST"
    template = "attribution/_import_progress.html" if polled else "attribution/import.html"
    return render(request, template, context, status=status)


def _how(chosen: DataImport) -> Sequence[str]:
    """What was said of its columns and fields."""
    options = chosen.options
    columns = [f"{field} from {column}" for field, column in options.get("columns", {}).items()]
    constants = [f"{field} is {value}" for field, value in options.get("constants", {}).items()]
    return [*columns, *constants]


def _url(number: int) -> str:
    return reverse("attribution:import", args=[number])
