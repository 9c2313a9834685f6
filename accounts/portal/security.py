"""The pages of one's own account: second factors, passkeys, backup codes, password, sessions. Thin: accounts.signin acts."""

from typing import Any

import qrcode
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST
from qrcode.image.svg import SvgPathImage

from accounts import sessions
from accounts.forms.sign_in import AppCodeForm, ChangePasswordForm, NameForm
from accounts.models import User
from accounts.portal.page import found
from accounts.portal.sign_in import add_error, after, read_json, refused
from accounts.session_store import SessionStore
from accounts.signin import factors, lockout, passkeys, passwords, stepup
from accounts.signin.enter import proved
from accounts.signin.gate import while_setting_up
from accounts.signin.policy import must_have_factor

LAST_ONE = "Your role needs a second factor, and this is your last. Set up another one first."


def visitor(request: HttpRequest) -> User:
    """Return who is signed in, as a row of their own; the gate has seen to it that somebody is."""
    user = request.user
    assert isinstance(user, User)
    return User.objects.get(pk=user.pk)


def session_of(request: HttpRequest) -> SessionStore:
    """Return the session of a request."""
    assert isinstance(request.session, SessionStore)
    return request.session


def to_overview() -> HttpResponse:
    """Lead back to the page of one's account."""
    return HttpResponseRedirect(reverse("account:security"))


@never_cache
@require_http_methods(["GET", "HEAD"])
def security(request: HttpRequest) -> HttpResponse:
    """Show everything about signing in."""
    user = visitor(request)
    told = {
        "factors": factors.factors_of(user),
        "passkeys": factors.passkeys_of(user),
        "must_have_factor": must_have_factor(user),
        "sessions": sessions.sessions_of(user),
        "this_session": session_of(request).id,
        "has_password": user.has_usable_password(),
    }
    return render(request, "accounts/account/security.html", told)


@while_setting_up
@stepup.required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def authenticator(request: HttpRequest) -> HttpResponse:
    """Set up an authenticator app, or replace it; the first factor of a person brings backup codes with it."""
    user = visitor(request)
    is_first = not factors.has_factor(user)
    secret = factors.begin_authenticator(user)
    form = AppCodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            lockout.refuse_while_locked(request, user.email)
            made = factors.confirm_authenticator(user, form.cleaned_data["code"])
        except ValidationError as refusal:
            lockout.failed(request, user.email)
            add_error(form, refusal)
        else:
            proved(request, made)
            return _codes(request, user, after(request)) if is_first else to_overview()
    told = {"form": form, "secret": secret, "qr": qr_code(factors.otpauth_url(user, secret)), "next": after(request), "is_first": is_first}
    return render(request, "accounts/account/authenticator.html", {**told, "must": must_have_factor(user)})


def qr_code(text: str) -> SafeString:
    """Return a QR code as an SVG element without styles or scripts."""
    image = qrcode.make(text, image_factory=SvgPathImage, box_size=12, border=2)
    return SafeString(image.to_string(encoding="unicode"))  # drawn by the library from squares: the text is in their places alone


def _codes(request: HttpRequest, user: User, then: str) -> HttpResponse:
    """Make new backup codes and show them, once."""
    return render(request, "accounts/account/backup_codes.html", {"codes": factors.new_backup_codes(user), "then": then})


@stepup.required
@never_cache
@require_POST
def backup_codes(request: HttpRequest) -> HttpResponse:
    """Replace the backup codes."""
    user = visitor(request)
    if not factors.has_factor(user):
        raise Http404
    return _codes(request, user, reverse("account:security"))


@stepup.required
@require_POST
def remove_authenticator(request: HttpRequest) -> HttpResponse:
    """Take the app out of use, unless it is the last factor of somebody who needs one."""
    user = visitor(request)
    if must_have_factor(user) and not factors.passkeys_of(user).exists():
        messages.error(request, LAST_ONE)
    else:
        factors.remove_authenticator(user)
        messages.success(request, "The authenticator app is removed.")
    return to_overview()


@while_setting_up
@stepup.required
@never_cache
@require_http_methods(["GET", "HEAD"])
def new_passkey(request: HttpRequest) -> HttpResponse:
    """Show the page that makes a passkey."""
    user = visitor(request)
    return render(request, "accounts/account/passkey.html", {"next": after(request), "is_first": not factors.has_factor(user), "must": must_have_factor(user)})


@while_setting_up
@stepup.required
@never_cache
@require_POST
def passkey_begin(request: HttpRequest) -> HttpResponse:
    """Return what the browser needs to make a passkey."""
    try:
        return JsonResponse(passkeys.begin_registration(request, visitor(request)))
    except ValidationError as refusal:
        return refused(refusal)


@while_setting_up
@stepup.required
@never_cache
@require_POST
def passkey_done(request: HttpRequest) -> HttpResponse:
    """Store the passkey that the browser made; the first factor makes the session strong, and leads to backup codes."""
    user = visitor(request)
    is_first = not factors.has_factor(user)
    try:
        body: dict[str, Any] = read_json(request)
        made = passkeys.register(request, user, body, str(body.pop("name", "")))
    except ValidationError as refusal:
        return refused(refusal)
    if is_first:
        proved(request, made)
    messages.success(request, f"{made.name} is ready: next time you can sign in with it alone.")
    return JsonResponse({"next": after(request) if is_first and after(request) != "/" else reverse("account:security")})


def _own_passkey(request: HttpRequest, number: int) -> Any:
    row = factors.passkeys_of(visitor(request)).filter(pk=number).first()
    if row is None:
        raise Http404
    return row


@require_POST
def rename_passkey(request: HttpRequest, number: int) -> HttpResponse:
    """Give a passkey of one's own another name."""
    passkey, form = _own_passkey(request, number), NameForm(request.POST)
    if form.is_valid():
        passkeys.rename(passkey, form.cleaned_data["name"])
    return to_overview()


@stepup.required
@require_POST
def remove_passkey(request: HttpRequest, number: int) -> HttpResponse:
    """Take a passkey of one's own out of use, unless it is the last factor of somebody who needs one."""
    passkey, user = _own_passkey(request, number), visitor(request)
    own = factors.factors_of(user)
    if must_have_factor(user) and own.authenticator is None and own.passkeys == 1:
        messages.error(request, LAST_ONE)
    else:
        passkeys.remove(passkey)
        messages.success(request, f"{passkey.name} is removed.")
    return to_overview()


@require_POST
def end_session(request: HttpRequest, session: str) -> HttpResponse:
    """End one of one's own sessions."""
    row = found(sessions.sessions_of(visitor(request)), "ses", session)
    sessions.end_session(row)
    messages.success(request, "The session is ended.")
    return to_overview()


@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """End every session of one's own but this."""
    ended = sessions.end_sessions(visitor(request), but=session_of(request).id)
    messages.success(request, f"{ended} other sessions are ended." if ended != 1 else "One other session is ended.")
    return to_overview()


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """Change one's own password, knowing the present one; every other session ends."""
    user = visitor(request)
    if not user.has_usable_password():
        raise Http404
    form = ChangePasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        lockout.refuse_while_locked(request, user.email)
        if not user.check_password(form.cleaned_data["current"]):
            lockout.failed(request, user.email)
            form.add_error("current", "This is not your present password.")
        else:
            try:
                passwords.change_password(user, form.cleaned_data["new"], keep=session_of(request).id)
            except ValidationError as refusal:
                add_error(form, refusal)
            else:
                update_session_auth_hash(request, user)
                messages.success(request, "The password is changed. Your other sessions are ended.")
                return to_overview()
    return render(request, "accounts/account/password.html", {"form": form})
