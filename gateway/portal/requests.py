"""The pages of requests and approvals: ask, follow, decide. Nothing here decides who may: the actions do."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import grants
from accounts.models import GrantRequest, User
from accounts.portal.page import found, page_of, signed_in
from accounts.requests import access, asking, deciding
from accounts.requests.foresight import flags, foresee
from accounts.signin import stepup
from billing.money import to_nanousd
from gateway.forms_requests import FORMS, DecideForm, WordForm
from gateway.portal.refusals import tried

# What takes two people asks the second one for a fresh proof, as it did the first.
GRAVE = "act."


@signed_in
@require_http_methods(["GET", "HEAD"])
def requests(request: HttpRequest, user: User) -> HttpResponse:
    """List the requests the visitor sees, in one state where the address says so."""
    rows, state = access.visible_requests(user), request.GET.get("state", "")
    if state in GrantRequest.State.values:
        rows = rows.filter(state=state)
    ways = [(form.kind, form.heading) for form in FORMS.values()]
    told = {"page": page_of(request, rows), "states": GrantRequest.State.choices, "state": state, "ways": ways, "query": f"state={state}&"}
    return render(request, "gateway/requests.html", told)


@signed_in
@require_http_methods(["GET", "HEAD"])
def approvals(request: HttpRequest, user: User) -> HttpResponse:
    """List what waits for the visitor's decision, the oldest first."""
    page = page_of(request, access.inbox(user))
    rows = [{"row": row, "lines": grants.grant_of(row.kind).preview(row)} for row in page]
    return render(request, "gateway/approvals.html", {"page": page, "rows": rows})


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def new_request(request: HttpRequest, user: User, kind: str) -> HttpResponse:
    """Ask for something; the first answer shows what would become of it, the second files it."""
    if kind not in FORMS:
        raise Http404
    form, foreseen = FORMS[kind](request.POST or None, user=user), None
    if request.method == "POST" and form.is_valid():
        if "file" in request.POST:
            made = tried(form, lambda: asking.submit(form.asking(), form.cleaned_data["reason"]))
            if made is not None:
                return led_to(made)
        else:
            foreseen = tried(form, lambda: foresee(form.asking()))
    return render(request, "gateway/request_new.html", {"form": form, "foreseen": foreseen, "kind": kind})


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
    """Comment, withdraw, approve, deny or ask back; a refusal stands in the form."""
    row = found_request(user, public_id)
    if verb == "comment":
        word = WordForm(request.POST)
        done = word.is_valid() and tried(word, lambda: asking.comment(row, user, word.cleaned_data["text"]))
        return led_to(row) if done else shown(request, user, row, word=word)
    if verb == "withdraw":
        asking_back = forms.Form(request.POST)
        if tried(asking_back, lambda: asking.withdraw(row, user)) is None:
            messages.error(request, " ".join(str(said) for said in asking_back.non_field_errors()))
        return led_to(row)
    if verb not in ("approve", "deny", "ask"):
        raise Http404
    if row.kind.startswith(GRAVE):
        stepup.require(request)
    decision = DecideForm(request.POST)
    if decision.is_valid() and tried(decision, decided(row, user, verb, decision)) is not None:
        messages.success(request, {"approve": "Approved.", "deny": "Denied.", "ask": "Asked back."}[verb])
        return led_to(row)
    return shown(request, user, row, decision=decision)


def decided(row: GrantRequest, user: User, verb: str, form: DecideForm) -> Callable[[], GrantRequest]:
    """Return the act of a decision."""
    given = form.cleaned_data
    if verb == "deny":
        return lambda: deciding.deny(row, user, given["comment"], version=given["version"])
    if verb == "ask":
        return lambda: deciding.ask(row, user, given["comment"])
    amount = None if given["amount_usd"] is None else to_nanousd(given["amount_usd"])
    lowered = amount if amount != row.granted_nanousd else None
    return lambda: deciding.approve(row, user, version=given["version"], amount_nanousd=lowered, comment=given["comment"])


def found_request(user: User, public_id: str) -> GrantRequest:
    """Return the request of a prefixed id; raises Http404 for a foreign one as for one that is not."""
    row = found(access.visible_requests(user), "crq" if public_id.startswith("crq_") else "arq", public_id)
    if row.shown_id != public_id:
        raise Http404
    return row


def led_to(row: GrantRequest) -> HttpResponse:
    """Lead to the page of a request."""
    return HttpResponseRedirect(reverse("portal:request", args=[row.shown_id]))


def shown(request: HttpRequest, user: User, row: GrantRequest, **tried_forms: forms.Form) -> HttpResponse:
    """Show a request with the forms of what the visitor may do; `tried_forms` are those just refused."""
    grant = grants.grant_of(row.kind)
    initial: dict[str, Any] = {"version": row.version}
    decision = tried_forms.get("decision") or DecideForm(initial=initial)
    if row.granted_nanousd is None:
        del decision.fields["amount_usd"]
    told = {
        "row": row,
        "lines": grant.preview(row) if row.is_open else [],
        "facts": grant.facts(row) if row.is_open else [],
        "flags": flags(row) if row.is_open else [],
        "steps": row.steps.filter(version=row.version).prefetch_related("decisions__approver"),
        "notes": row.notes.select_related("author", "program"),
        "may_decide": access.may_decide(user, row),
        "may_withdraw": asking.is_asker(user, row) and row.is_open,
        "decision": decision,
        "word": tried_forms.get("word") or WordForm(),
    }
    return render(request, "gateway/request.html", told, status=400 if tried_forms else 200)
