"""The page a link in a mail leads to: one request with one decision chosen, to be confirmed. Opening it changes nothing, whoever or whatever opens it."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.models import User
from accounts.portal.page import signed_in
from accounts.requests import access
from accounts.requests import by_mail as links
from gateway.portal.refusals import tried
from gateway.portal.request_page import checked_presence, decided, decision_form, known
from gateway.portal.requests import led_to

VERDICTS = {"approve": "Approved.", "deny": "Denied."}


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def by_mail(request: HttpRequest, user: User, token: str, verdict: str) -> HttpResponse:
    """Show what is to be confirmed; take the confirmation of whom the link was made for, with their own session and proof."""
    if verdict not in VERDICTS:
        raise Http404
    try:
        link = links.opened(token, user)
    except links.NotTheirs:
        raise Http404 from None
    except links.LinkOver as refusal:
        return over(request, refusal)
    row = link.step.request
    if not access.may_decide(user, row):
        return over(request, links.LinkOver(links.OVER))
    form = decision_form(row, request.POST or None)
    if verdict == "deny":
        form.fields.pop("amount_usd", None)
    if request.method == "POST":
        checked_presence(request, row)
        if form.is_valid() and tried(form, lambda: links.decide(link, decided(row, user, verdict, form))) is not None:
            messages.success(request, VERDICTS[verdict])
            return led_to(row)
    return render(request, "gateway/by_mail.html", {**known(row), "form": form, "verdict": verdict, "token": token}, status=400 if form.errors else 200)


def over(request: HttpRequest, refusal: links.LinkOver) -> HttpResponse:
    """Return the page of a link that leads nowhere any more."""
    return render(request, "gateway/by_mail_over.html", {"words": " ".join(refusal.messages)}, status=410)
