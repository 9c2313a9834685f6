"""The pages of requests: list, ask and change. Nothing here decides who may: the actions do."""

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.models import GrantRequest, User
from accounts.portal.download import as_csv, wants_csv
from accounts.portal.page import found, page_of, signed_in
from accounts.requests import access, asking
from accounts.requests.foresight import foresee
from billing.money import plain_usd
from gateway.forms_requests import FORMS, AskForm
from gateway.portal.refusals import tried

COLUMNS = ("id", "kind", "title", "by", "project", "business unit", "state", "amount USD", "granted USD", "until", "asked", "decided", "reason")


@signed_in
@require_http_methods(["GET", "HEAD"])
def requests(request: HttpRequest, user: User) -> HttpResponseBase:
    """List the requests the visitor sees, in one state where the address says so."""
    rows, state = access.visible_requests(user), request.GET.get("state", "")
    if state in GrantRequest.State.values:
        rows = rows.filter(state=state)
    if wants_csv(request):
        return as_csv("requests", COLUMNS, cells_of(rows))
    told = {"page": page_of(request, rows), "states": GrantRequest.State.choices, "state": state, "ways": ways(), "query": f"state={state}&"}
    return render(request, "gateway/requests.html", told)


def ways() -> list[tuple[str, str]]:
    """Return what can be asked for: kinds with their headings."""
    return [(form.kind, form.heading) for form in FORMS.values()]


def cells_of(rows: QuerySet[GrantRequest]) -> Iterator[list[Any]]:
    """Yield a line for each request; amounts in USD."""
    for row in rows.iterator(chunk_size=500):
        asker = row.requester or row.service_account or "the system"
        amounts = [None if amount is None else plain_usd(amount) for amount in (row.amount_nanousd, row.granted_nanousd)]
        where = [row.project, row.business_unit, row.state]
        yield [row.shown_id, row.kind, row.title, asker, *where, *amounts, row.until, row.created_at, row.decided_at, row.reason]


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def new_request(request: HttpRequest, user: User, kind: str) -> HttpResponse:
    """Ask for something; the first answer shows what would become of it, the second files it. The address may fill in the form."""
    if kind not in FORMS:
        raise Http404
    form = FORMS[kind](request.POST or None, user=user)
    form.initial = form.told(request.GET.dict())
    return filled(request, form, lambda: asking.submit(form.asking(), form.cleaned_data["reason"]))


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def edit_request(request: HttpRequest, user: User, public_id: str) -> HttpResponse:
    """Change one's own request while it is open; approvals so far do not count any more then."""
    row = found_request(user, public_id)
    if not may_edit(user, row):
        return led_to(row)
    form = FORMS[row.kind](request.POST or None, user=user, initial=FORMS[row.kind].filled_by(row))
    return filled(request, form, lambda: edited(row, user, form), row)


def may_edit(user: User, row: GrantRequest) -> bool:
    """Say whether the visitor may change a request."""
    return row.kind in FORMS and row.is_open and asking.is_asker(user, row)


def edited(row: GrantRequest, user: User, form: AskForm) -> GrantRequest:
    """Store the next version of a request."""
    wanted = form.asking()
    changed = {"target": wanted.target, "parameters": wanted.parameters, "amount_nanousd": wanted.amount_nanousd, "until": wanted.until}
    return asking.edit(row, user, reason=form.cleaned_data["reason"], **changed)


def filled(request: HttpRequest, form: AskForm, act: Any, row: GrantRequest | None = None) -> HttpResponse:
    """Answer a form of a request: do what it asks, say what would become of it, or show it."""
    foreseen = None
    if request.method == "POST" and form.is_valid():
        if "file" in request.POST:
            made = tried(form, act)
            if made is not None:
                return led_to(made)
        else:
            foreseen = tried(form, lambda: foresee(form.asking()))
    return render(request, "gateway/request_new.html", {"form": form, "foreseen": foreseen, "row": row, "lacks": form.lacks()})


def found_request(user: User, public_id: str) -> GrantRequest:
    """Return the request of a prefixed id; raises Http404 for a foreign one as for one that is not."""
    row = found(access.visible_requests(user), "crq" if public_id.startswith("crq_") else "arq", public_id)
    if row.shown_id != public_id:
        raise Http404
    return row


def led_to(row: GrantRequest) -> HttpResponse:
    """Lead to the page of a request."""
    return HttpResponseRedirect(reverse("portal:request", args=[row.shown_id]))
