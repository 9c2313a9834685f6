"""Forms of signing in: e-mail and password, codes, new passwords. They check shapes; whether a proof is right, the actions say."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError


def _password(label: str, autocomplete: str, help_text: str = "") -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": autocomplete})
    return forms.CharField(label=label, strip=False, max_length=200, widget=widget, help_text=help_text)


class PasswordForm(forms.Form):
    """The first step."""

    username = forms.CharField(label="E-mail address", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}))
    password = _password("Password", "current-password")

    def clean_username(self) -> str:
        """Return the address in small letters."""
        return str(self.cleaned_data["username"]).strip().lower()


class CodeForm(forms.Form):
    """A code of the app, or a backup code."""

    code = forms.CharField(
        label="Code",
        max_length=20,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "text", "autofocus": True}),
        help_text="Six digits from your authenticator app, or one of your backup codes.",
    )


class AppCodeForm(forms.Form):
    """The first code of an app that is being set up."""

    code = forms.CharField(
        label="Code",
        max_length=20,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
        help_text="Six digits from the app.",
    )


class PresentPasswordForm(forms.Form):
    """The password again, of those who have no second factor."""

    password = _password("Password", "current-password")


class NewPasswordForm(forms.Form):
    """A new password, typed twice."""

    new = _password("New password", "new-password", "At least 12 characters, not a common one, not like your name.")
    again = _password("New password again", "new-password")

    def clean(self) -> dict[str, Any]:
        """Refuse two different passwords."""
        cleaned = super().clean() or {}
        if "new" in cleaned and "again" in cleaned and cleaned["new"] != cleaned["again"]:
            raise ValidationError({"again": "The two passwords differ."})
        return cleaned


class ChangePasswordForm(NewPasswordForm):
    """A new password by who knows the present one."""

    current = _password("Present password", "current-password")
    field_order = ("current", "new", "again")


class AddressForm(forms.Form):
    """Where to send a link."""

    email = forms.EmailField(label="E-mail address", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}))


class NameForm(forms.Form):
    """What a passkey is called."""

    name = forms.CharField(label="Name", max_length=64)
