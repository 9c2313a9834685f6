"""The page of one's personal tokens for the management API: list, create, revoke. A token is shown in one answer and nowhere else."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import access, credentials
from accounts.models import PersonalToken, User
from accounts.personal_tokens import make_personal_token
from accounts.portal.download import as_csv, wants_csv
from accounts.portal.page import page_of, signed_in
from accounts.service_accounts import SCOPES
from gateway.actions import newest_pepper
from gateway.portal.refusals import tried

DEFAULT_LIFE = timedelta(days=30)
COLUMNS = ("id", "name", "scopes", "state", "expires", "last used", "last address")


class TokenForm(forms.Form):
    """A new personal token."""

    name = forms.CharField(max_length=200, help_text="Where it is used, such as the name of the script.")
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in SCOPES], widget=forms.SelectMultiple(attrs={"size": 10}), help_text="Your own rights bind it too."
    )
    expires_on = forms.DateField(widget=forms.DateInput(attrs={"type": "date"}), help_text="It works until the end of this day, UTC. Policy sets the latest.")


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest, user: User) -> HttpResponseBase:
    """List the visitor's tokens and make one; the answer to a good form shows it, this once."""
    own = access.visible_personal_tokens(user).filter(user=user).exclude(state=PersonalToken.State.REVOKED).order_by("-created_at")
    if wants_csv(request):
        cells = ([f"pt_{row.public_id}", row.name, " ".join(row.scopes), row.state, row.expires_at, row.last_used_at, row.last_used_ip] for row in own)
        return as_csv("tokens", COLUMNS, cells)
    form = TokenForm(request.POST or None, initial={"expires_on": (timezone.now() + DEFAULT_LIFE).date()})
    text = ""
    if request.method == "POST" and form.is_valid():
        text = made(user, form)
        form = form if not text else TokenForm(initial={"expires_on": (timezone.now() + DEFAULT_LIFE).date()})
    return render(request, "gateway/tokens.html", {"form": form, "text": text, "page": page_of(request, own), "now": timezone.now()})


def made(user: User, form: TokenForm) -> str:
    """Return the text of a new token; "" where the action refused, which then stands in the form."""
    data: dict[str, Any] = form.cleaned_data
    expires_at = datetime.combine(data["expires_on"], time(23, 59, 59), UTC)
    given = {"name": data["name"], "scopes": data["scopes"], "expires_at": expires_at}
    token = tried(form, lambda: make_personal_token(user=user, **given, **newest_pepper()))
    return token[1] if token is not None else ""


@signed_in
@require_POST
def revoke_token(request: HttpRequest, user: User, public_id: str) -> HttpResponse:
    """Refuse one of the visitor's tokens for good."""
    row = access.visible_personal_tokens(user).filter(user=user, public_id=public_id.removeprefix("pt_")).first()
    if row is None or not access.allows(user, "POST personal-tokens/{id}/revoke", None, row):
        raise Http404
    credentials.set_state(row, PersonalToken.State.REVOKED)
    messages.success(request, f"{row.name} is revoked.")
    return HttpResponseRedirect(reverse("portal:tokens"))
