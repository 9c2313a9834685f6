"""The pages of signing in: password, second step, passkey, confirmation, and out again. Thin: accounts.signin decides."""

import json
from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.conf import settings
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST
from django_otp.models import Device

from accounts import audit
from accounts.audit.watch import subject_of
from accounts.forms.sign_in import CodeForm, PasswordForm, PresentPasswordForm
from accounts.mailboxes import can_mail
from accounts.models import User
from accounts.oidc import provider
from accounts.portal.single_sign_on import ID_TOKEN, Leave
from accounts.signin import How, is_strong, lockout, passkeys, sign_in, sign_out
from accounts.signin.enter import proved
from accounts.signin.factors import check_code, has_factor, passkeys_of
from accounts.signin.gate import open_to_all, while_setting_up
from accounts.signin.policy import is_complete

# In the session: who has given the right password and owes the second step, since when (seconds since 1970).
HALF_WAY = "half_way"
HALF_WAY_LASTS_S = 600
MOST_ANSWER_BYTES = 65_536
UNFIT = "E-mail address and password do not fit together. Try again."


def after(request: HttpRequest) -> str:
    """Return the page to go to afterwards: the one asked for by `next` when it is on this very site, else the overview."""
    wished = request.POST.get("next") or request.GET.get("next") or ""
    return wished if wished.startswith("/") and url_has_allowed_host_and_scheme(wished, allowed_hosts=None) else "/"


def add_error(form: Form, refusal: ValidationError) -> None:
    """Put a refusal of an action beside its field, where the form has it."""
    told = refusal.message_dict if hasattr(refusal, "error_dict") else {"": refusal.messages}
    for field, words in told.items():
        for line in words:
            form.add_error(field if field in form.fields else None, line)


@open_to_all
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def login(request: HttpRequest) -> HttpResponse:
    """Ask for e-mail address and password, or a passkey."""
    if isinstance(request.user, User) and is_complete(request.session, request.user):
        return HttpResponseRedirect(after(request))
    form = PasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user: Any = authenticate(request, username=form.cleaned_data["username"], password=form.cleaned_data["password"])
        if isinstance(user, User):
            return _second_step(request, user)
        form.add_error(None, UNFIT)
    told = {"form": form, "next": after(request), "can_mail": can_mail(), "is_demo": settings.IS_DEMO, "provider": provider.configuration()}
    return render(request, "accounts/sign_in/login.html", told)


def _second_step(request: HttpRequest, user: User) -> HttpResponse:
    if not has_factor(user):
        sign_in(request, user, How.PASSWORD)
        return HttpResponseRedirect(after(request))
    request.session.flush()
    request.session[HALF_WAY] = [user.pk.hex, int(timezone.now().timestamp())]
    request.session.set_expiry(HALF_WAY_LASTS_S)
    return HttpResponseRedirect(f"{reverse('sign-in:code')}?next={quote(after(request))}")


def half_way(request: HttpRequest) -> User | None:
    """Return who has given the right password in this session and owes the second step, or is signed in without having made it."""
    if isinstance(request.user, User):
        return None if is_strong(request.session, request.user) else request.user
    found = request.session.get(HALF_WAY)
    if not found or timezone.now().timestamp() - found[1] > HALF_WAY_LASTS_S:
        return None
    return User.objects.filter(pk=UUID(hex=found[0]), is_active=True).first()


def finish(request: HttpRequest, user: User, device: Device) -> None:
    """Make the second step count: sign in, or strengthen the session that is there."""
    if isinstance(request.user, User):
        proved(request, device)
    else:
        request.session.pop(HALF_WAY, None)
        sign_in(request, user, How.PASSWORD, device=device)


@open_to_all
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def code(request: HttpRequest) -> HttpResponse:
    """Ask for the second step."""
    user = half_way(request)
    if user is None or not has_factor(user):
        return HttpResponseRedirect(f"{reverse('sign-in:login')}?next={quote(after(request))}")
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        device = _checked(request, user, form)
        if device is not None:
            finish(request, user, device)
            return HttpResponseRedirect(after(request))
    told = {"form": form, "next": after(request), "has_passkey": passkeys_of(user).exists(), "is_demo": settings.IS_DEMO and user.is_demo}
    return render(request, "accounts/sign_in/code.html", told)


def _checked(request: HttpRequest, user: User, form: Form) -> Device | None:
    """Return the factor that the code of a form proves; a wrong one counts against the name and the address."""
    lockout.refuse_while_locked(request, user.email)
    try:
        return check_code(user, form.cleaned_data["code"])
    except ValidationError as refusal:
        lockout.failed(request, user.email)
        add_error(form, refusal)
        return None


@while_setting_up
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest) -> HttpResponse:
    """Ask who is signed in to prove again that it is them."""
    user = request.user
    assert isinstance(user, User)
    by_code = has_factor(user)
    form: Form = (CodeForm if by_code else PresentPasswordForm)(request.POST or None)
    if request.method == "POST" and form.is_valid() and (_checked(request, user, form) if by_code else _fits(request, user, form)):
        proved(request)
        audit.record("session.confirm", subject_of(user))
        return HttpResponseRedirect(after(request))
    told = {"form": form, "next": after(request), "has_passkey": by_code and passkeys_of(user).exists(), "by_code": by_code}
    return render(request, "accounts/sign_in/confirm.html", {**told, "has_password": user.has_usable_password(), "is_demo": settings.IS_DEMO and user.is_demo})


def _fits(request: HttpRequest, user: User, form: Form) -> bool:
    found = authenticate(request, username=user.email, password=form.cleaned_data["password"])
    if found is None:
        form.add_error("password", "This is not your password.")
    return found is not None


@open_to_all
@require_POST
def logout(request: HttpRequest) -> HttpResponseBase:
    """End the session, here and at the provider that opened it."""
    if request.session.get(ID_TOKEN) and provider.configuration().signs_in:
        return Leave.as_view()(request)
    sign_out(request)
    return HttpResponseRedirect(reverse("sign-in:login"))


def read_json(request: HttpRequest) -> dict[str, Any]:
    """Return the body as a JSON object. Raises ValidationError for anything else."""
    try:
        if int(request.headers.get("Content-Length") or 0) > MOST_ANSWER_BYTES:
            raise ValueError
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise ValidationError(passkeys.REFUSED)
    return body


def refused(refusal: ValidationError) -> JsonResponse:
    """Return a refusal to a script."""
    return JsonResponse({"detail": " ".join(refusal.messages)}, status=400)


@open_to_all
@never_cache
@require_POST
def passkey_begin(request: HttpRequest) -> HttpResponse:
    """Return a challenge: of the person half way or signed in, else for any passkey."""
    user = half_way(request) or (request.user if isinstance(request.user, User) else None)
    return JsonResponse(passkeys.begin_proof(request, user))


@open_to_all
@never_cache
@require_POST
def passkey_done(request: HttpRequest) -> HttpResponse:
    """Take the answer: a passkey signs in alone, makes the second step, or confirms who is signed in."""
    owing = half_way(request)
    known = owing or (request.user if isinstance(request.user, User) else None)
    try:
        passkey = passkeys.prove(request, read_json(request), known)
    except ValidationError as refusal:
        lockout.failed(request, known.email if known else "")
        return refused(refusal)
    if owing is not None:
        finish(request, owing, passkey)
    elif known is not None:
        proved(request, passkey)
        audit.record("session.confirm", subject_of(passkey.user))
    else:
        sign_in(request, passkey.user, How.PASSKEY, device=passkey)
    return JsonResponse({"next": after(request)})
