"""Pages reached by a link from outside: a new password, and break-glass. Only a form acts; opening a link changes nothing."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.forms.sign_in import AddressForm, NewPasswordForm
from accounts.mailboxes import can_mail
from accounts.portal.sign_in import add_error
from accounts.signin import break_glass, passwords
from accounts.signin.gate import open_to_all

SENT = "If there is an account with this address, a link is on its way. It works once, within one hour."


@open_to_all
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def forgotten(request: HttpRequest) -> HttpResponse:
    """Ask for an address and say the same whether or not anybody has it."""
    if not can_mail():
        raise Http404
    form = AddressForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        passwords.wish_for_link(form.cleaned_data["email"], request.META.get("REMOTE_ADDR", ""))
        messages.success(request, SENT)
        return HttpResponseRedirect(reverse("sign-in:login"))
    return render(request, "accounts/sign_in/forgotten.html", {"form": form})


@open_to_all
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def reset_link(request: HttpRequest, token: str) -> HttpResponse:
    """Take a new password by a link."""
    form = NewPasswordForm(request.POST or None)
    try:
        passwords.link_of(token)
    except ValidationError as refusal:
        return gone(request, refusal)
    if request.method == "POST" and form.is_valid():
        try:
            passwords.set_by_link(token, form.cleaned_data["new"])
        except ValidationError as refusal:
            add_error(form, refusal)
        else:
            messages.success(request, "The password is set. Sign in with it.")
            return HttpResponseRedirect(reverse("sign-in:login"))
    return render(request, "accounts/sign_in/new_password.html", {"form": form})


@open_to_all
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def by_host(request: HttpRequest, token: str) -> HttpResponse:
    """Let in by a break-glass link."""
    try:
        if request.method == "POST":
            break_glass.enter(request, token)
            return HttpResponseRedirect(reverse("admin:index"))
        user = break_glass.user_of(token)
    except ValidationError as refusal:
        return gone(request, refusal)
    return render(request, "accounts/sign_in/break_glass.html", {"who": user})


def gone(request: HttpRequest, refusal: ValidationError) -> HttpResponse:
    """Return the page of a link that does not work any more."""
    return render(request, "accounts/sign_in/gone.html", {"words": " ".join(refusal.messages)}, status=410)
