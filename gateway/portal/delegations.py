"""The page of delegations: have another decide in one's place while one is away, and end that."""

from datetime import timedelta

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import User
from accounts.portal.download import as_csv, wants_csv
from accounts.portal.page import found, page_of, signed_in
from accounts.requests import access, rules
from gateway.forms_decisions import DelegateForm
from gateway.portal.refusals import tried

COLUMNS = ("id", "for", "who decides", "from", "to", "ended", "why")


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def delegations(request: HttpRequest, user: User) -> HttpResponseBase:
    """List the delegations the visitor gave or was given, and take a new one."""
    seen = access.visible_delegations(user)
    if wants_csv(request):
        cells = ([row.shown_id, row.delegator, row.delegate, row.starts_at, row.ends_at, row.ended_at, row.reason] for row in seen)
        return as_csv("delegations", COLUMNS, cells)
    today = timezone.now().date()
    form = DelegateForm(request.POST or None, initial={"from_day": today, "to_day": today + timedelta(days=7)})
    if request.method == "POST" and form.is_valid():
        made = tried(form, lambda: rules.delegate(user, **form.given()))
        if made is not None:
            messages.success(request, f"{made.delegate} decides in your place from {made.starts_at:%Y-%m-%d} to {made.ends_at:%Y-%m-%d}.")
            return HttpResponseRedirect(reverse("portal:delegations"))
    page = page_of(request, seen)
    told = {"form": form, "page": page, "now": timezone.now(), "me": user.pk}
    return render(request, "gateway/delegations.html", told)


@signed_in
@require_POST
def end_delegation(request: HttpRequest, user: User, public_id: str) -> HttpResponse:
    """End a delegation now."""
    row = found(access.visible_delegations(user), "dlg", public_id)
    form = forms.Form(request.POST)
    if tried(form, lambda: rules.end_delegation(row, user)) is not None:
        messages.success(request, f"{row.delegate} does not decide for {row.delegator} any more.")
    else:
        messages.error(request, " ".join(str(said) for said in form.non_field_errors()))
    return HttpResponseRedirect(reverse("portal:delegations"))
