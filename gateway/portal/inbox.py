"""The page of what waits for one's decision: what each request changes and what stands out, and several decided at once."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import grants
from accounts.models import GrantRequest, User
from accounts.portal.download import as_csv, wants_csv
from accounts.portal.page import page_of, signed_in
from accounts.requests import access, deciding
from accounts.requests.flags import flags
from gateway.forms_decisions import ChosenForm
from gateway.portal.refusals import tried
from gateway.portal.request_page import DONE, checked_presence
from gateway.portal.requests import COLUMNS, cells_of


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def approvals(request: HttpRequest, user: User) -> HttpResponseBase:
    """List what waits for the visitor's decision, the oldest first, and take one decision about some of it."""
    waiting = access.inbox(user)
    if wants_csv(request):
        return as_csv("approvals", COLUMNS, cells_of(waiting))
    form = ChosenForm(request.POST or None, rows=waiting)
    if request.method == "POST" and form.is_valid() and has_reason(form):
        decide_each(request, user, form)
        return HttpResponseRedirect(reverse("portal:approvals"))
    page = page_of(request, waiting)
    rows = [{"row": row, "lines": grants.changes_of(row), "flags": flags(row), "name": f"{row.shown_id}:{row.version}"} for row in page]
    told: dict[str, Any] = {"page": page, "rows": rows, "form": form, "chosen": form["chosen"].value() or []}
    return render(request, "gateway/approvals.html", told, status=400 if form.errors else 200)


def has_reason(form: ChosenForm) -> bool:
    """Say whether a denial says why; else the form does."""
    if form.cleaned_data["verdict"] == "deny" and not form.cleaned_data["comment"].strip():
        form.add_error("comment", "Say why not: whoever asked reads this.")
    return form.is_valid()


def decide_each(request: HttpRequest, user: User, form: ChosenForm) -> None:
    """Decide each as on its own page, and say what became of it; raises StepUpNeeded before the first where one of them needs a fresh proof."""
    rows, verdict = form.rows(), form.cleaned_data["verdict"]
    for row in rows:
        checked_presence(request, row)
    done = [row for row in rows if decided_one(request, user, row, form)]
    if done:
        messages.success(request, f"{DONE[verdict]} {', '.join(row.title for row in done)}")


def decided_one(request: HttpRequest, user: User, row: GrantRequest, form: ChosenForm) -> bool:
    """Decide one in its transaction; say whether it was, and tell what refused it."""
    comment, outcome = form.cleaned_data["comment"], forms.Form({})
    if form.cleaned_data["verdict"] == "deny":
        made = tried(outcome, lambda: deciding.deny(row, user, comment, version=row.version))
    else:
        made = tried(outcome, lambda: deciding.approve(row, user, comment=comment, version=row.version))
    if made is None:
        messages.error(request, f"{row.title}: {' '.join(str(said) for said in outcome.non_field_errors())}")
    return made is not None
