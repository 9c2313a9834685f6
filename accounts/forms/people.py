"""Forms of the admin for people, business units and projects; what they refuse, the actions refuse too."""

from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from unfold.widgets import UnfoldAdminPasswordWidget

from accounts.actions import check_no_cycle
from accounts.models import BusinessUnit, User


class UserForm(forms.ModelForm):  # type: ignore[type-arg]
    """A user by e-mail address; the password is written, never shown."""

    new_password = forms.CharField(
        label="Password",
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="At least 12 characters. Leave empty to keep the present one; without any, no password sign-in is possible.",
    )

    class Meta:
        model = User
        fields = ("email", "full_name", "role", "is_active")

    def clean_email(self) -> str:
        """Return the address in lower case."""
        return str(self.cleaned_data["email"]).strip().lower()

    def clean_new_password(self) -> str:
        """Return the password when it is strong enough."""
        password = str(self.cleaned_data.get("new_password") or "")
        if password:
            validate_password(password, self.instance)
        return password


class BusinessUnitForm(forms.ModelForm):  # type: ignore[type-arg]
    """A business unit and its place in the tree."""

    class Meta:
        model = BusinessUnit
        fields = ("name", "code", "parent")

    def clean(self) -> dict[str, Any]:
        """Refuse a parent that lies below the unit."""
        cleaned = super().clean() or {}
        if self.instance.pk and cleaned.get("parent"):
            check_no_cycle(BusinessUnit(pk=self.instance.pk, parent=cleaned["parent"]))
        return cleaned
