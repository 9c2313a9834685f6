"""The page of one request: follow, comment, withdraw, decide, take back. Nothing here decides who may: the actions do."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import four_eyes, grants
from accounts.models import GrantRequest, User
from accounts.portal.page import signed_in
from accounts.requests import access, asking, deciding
from accounts.requests.flags import flags
from accounts.signin import stepup
from billing.money import plain_usd, to_nanousd
from gateway.forms_decisions import DecideForm, TakeBackForm, WordForm
from gateway.portal.refusals import tried
from gateway.portal.requests import found_request, led_to, may_edit

DONE = {"approve": "Approved.", "deny": "Denied.", "ask": "Asked back."}


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD"])
def one_request(request: HttpRequest, user: User, public_id: str) -> HttpResponse:
    """Show one request: what it would change, where it stands, what was said, and what the visitor may do."""
    return shown(request, user, found_request(user, public_id))


@signed_in
@never_cache
@require_POST
def act_on_request(request: HttpRequest, user: User, public_id: str, verb: str) -> HttpResponse:
    """Comment, withdraw, approve, deny, ask back or take back; a refusal stands in the form."""
    row = found_request(user, public_id)
    if verb in DONE:
        return decide(request, user, row, verb)
    if verb == "comment":
        word = WordForm(request.POST)
        done = word.is_valid() and tried(word, lambda: asking.comment(row, user, word.cleaned_data["text"]))
        return led_to(row) if done else shown(request, user, row, word=word)
    if verb == "withdraw":
        asking_back = forms.Form(request.POST)
        if tried(asking_back, lambda: asking.withdraw(row, user)) is None:
            messages.error(request, " ".join(str(said) for said in asking_back.non_field_errors()))
        return led_to(row)
    if verb == "take-back":
        reason = TakeBackForm(request.POST)
        if reason.is_valid() and tried(reason, lambda: deciding.take_back(row, user, reason.cleaned_data["reason"])) is not None:
            messages.success(request, "Taken back.")
            return led_to(row)
        return shown(request, user, row, take_back=reason)
    raise Http404


def decide(request: HttpRequest, user: User, row: GrantRequest, verb: str) -> HttpResponse:
    """Take a decision, some only with a fresh proof."""
    checked_presence(request, row)
    decision = decision_form(row, request.POST)
    if decision.is_valid() and tried(decision, decided(row, user, verb, decision)) is not None:
        messages.success(request, DONE[verb])
        return led_to(row)
    return shown(request, user, row, decision=decision)


def checked_presence(request: HttpRequest, row: GrantRequest) -> None:
    """Raise StepUpNeeded where the decision takes a fresh proof and there is none."""
    if four_eyes.is_grave(row):
        stepup.require(request)


def decision_form(row: GrantRequest, given: Any = None) -> DecideForm:
    """Return the form of a decision about the present version; with an amount only where there is one."""
    form = DecideForm(given, initial=start_of(row))
    if row.granted_nanousd is None:
        del form.fields["amount_usd"]
    return form


def decided(row: GrantRequest, user: User, verb: str, form: DecideForm) -> Callable[[], GrantRequest]:
    """Return the act of a decision."""
    given = form.cleaned_data
    if verb == "deny":
        return lambda: deciding.deny(row, user, given["comment"], version=given["version"])
    if verb == "ask":
        return lambda: deciding.ask(row, user, given["comment"])
    amount = None if given.get("amount_usd") is None else to_nanousd(given["amount_usd"])
    lowered = amount if amount != row.granted_nanousd else None
    return lambda: deciding.approve(row, user, version=given["version"], amount_nanousd=lowered, comment=given["comment"])


def known(row: GrantRequest) -> dict[str, Any]:
    """Return what a page tells about a request: what it changes, what to know, and what stands out while it is open."""
    told: dict[str, Any] = {"row": row, "asked_usd": row.amount_nanousd, "granted_usd": row.granted_nanousd, "lines": [], "facts": [], "flags": []}
    if row.is_open:
        told |= {"lines": grants.changes_of(row), "facts": grants.grant_of(row.kind).facts(row), "flags": flags(row)}
    return told


def shown(request: HttpRequest, user: User, row: GrantRequest, **tried_forms: forms.Form) -> HttpResponse:
    """Show a request with the forms of what the visitor may do; `tried_forms` are those just refused."""
    grant, is_mine = grants.grant_of(row.kind), asking.is_asker(user, row)
    told: dict[str, Any] = {
        **known(row),
        "steps": row.steps.filter(version=row.version).prefetch_related("decisions__approver", "decisions__seat", "decisions__channel"),
        "notes": row.notes.select_related("author", "program"),
        "may_decide": access.may_decide(user, row),
        "may_edit": may_edit(user, row),
        "may_withdraw": (is_mine and row.is_open) or (row.is_open and asking.may_stop(user, row)),
        "is_asked": is_mine and row.state == GrantRequest.State.NEEDS_INFO,
        "may_take_back": row.state == GrantRequest.State.APPLIED and grant.revoke is not None and deciding.is_taker(user, row),
        "decision": tried_forms.get("decision") or decision_form(row),
        "take_back": tried_forms.get("take_back") or TakeBackForm(auto_id="take_back_%s"),
        "word": tried_forms.get("word") or WordForm(),
    }
    return render(request, "gateway/request.html", told, status=400 if tried_forms else 200)


def start_of(row: GrantRequest) -> dict[str, Any]:
    """Return what the form of a decision starts from: the version shown, and the whole amount."""
    amount = {} if row.granted_nanousd is None else {"amount_usd": plain_usd(row.granted_nanousd)}
    return {"version": row.version, **amount}
