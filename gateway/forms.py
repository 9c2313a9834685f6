"""Forms of the admin for provider accounts, deployments and keys; what they refuse, the actions refuse too."""

from datetime import timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.actions import check_key
from accounts.credentials import check_new_expiry
from accounts.models import VirtualKey
from gateway import actions
from gateway.models import Model, ProviderAccount
from gateway.providers import shelf


def provider_choices() -> list[tuple[str, str]]:
    """Return the kinds of provider on the shelf."""
    return [("", "Choose…"), *((slug, provider.title) for slug, provider in sorted(shelf().items()))]


class ProviderAccountForm(forms.ModelForm):  # type: ignore[type-arg]
    """A provider account; the credential is written, never shown."""

    provider = forms.ChoiceField(choices=provider_choices, widget=UnfoldAdminSelectWidget)
    base_url = forms.URLField(
        required=False,
        assume_scheme="https",
        widget=UnfoldAdminTextInputWidget,
        help_text="Left empty, the provider's own address is used where it has one.",
    )
    credential = forms.CharField(
        required=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="Sealed on saving and never shown again. Leave empty to keep the present one; a new host needs it again.",
    )

    class Meta:
        model = ProviderAccount
        fields = "__all__"  # noqa: DJ007 (the admin page lists the fields)

    def clean_credential(self) -> str:
        """Return the credential without blanks around it."""
        return str(self.cleaned_data.get("credential") or "").strip()

    def clean_options(self) -> dict[str, str]:
        """Return the options, none when left empty."""
        return self.cleaned_data.get("options") or {}

    def clean(self) -> dict[str, Any]:
        """Fill in the provider's own address."""
        cleaned = super().clean() or {}
        if "base_url" not in self.errors:
            try:
                cleaned["base_url"] = actions.address_of(
                    cleaned.get("provider", ""), cleaned.get("base_url") or "", cleaned.get("options")
                )
            except ValidationError as refusal:
                self.add_error(None, refusal)
        return cleaned

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            try:
                actions.check_provider_account(self.instance, self.cleaned_data.get("credential", ""))
            except ValidationError as refusal:
                self.add_error(None, refusal)


class CatalogueModelForm(forms.ModelForm):  # type: ignore[type-arg]
    """A catalogue model."""

    class Meta:
        model = Model
        fields = "__all__"  # noqa: DJ007 (the admin page lists the fields)

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            try:
                actions.check_assumed_price(self.instance)
            except ValidationError as refusal:
                self.add_error(None, refusal)


class VirtualKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A virtual key; its text is made by the action and shown once."""

    models = forms.CharField(
        initial="*", widget=UnfoldAdminTextInputWidget, help_text="Catalogue names separated by commas, or * for every model."
    )

    class Meta:
        model = VirtualKey
        fields = ("name", "purpose", "project", "owner", "models", "environment", "allowed_ips", "tags", "expires_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:
            self.initial.update(
                models="*",
                expires_at=self.initial.get("expires_at") or timezone.now().replace(second=0, microsecond=0) + timedelta(days=90),
            )
        else:
            self.initial["models"] = ", ".join(self.instance.models)

    def clean_models(self) -> list[str]:
        """Return catalogue names, or `*` alone."""
        names = list(dict.fromkeys(part.strip() for part in str(self.cleaned_data["models"]).split(",") if part.strip()))
        try:
            actions.check_key_models(names)
        except ValidationError as refusal:
            raise ValidationError(refusal.messages) from refusal
        return names

    def clean_allowed_ips(self) -> list[str]:
        """Return IP ranges, none when left empty."""
        return self.cleaned_data.get("allowed_ips") or []

    def clean_tags(self) -> dict[str, str]:
        """Return tags, none when left empty."""
        return self.cleaned_data.get("tags") or {}

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            try:
                check_new_expiry(self.instance)
                check_key(self.instance)
            except ValidationError as refusal:
                self.add_error(None, refusal)


class AddModelsForm(forms.Form):
    """Which discovered models go into the catalogue."""

    models = forms.MultipleChoiceField(widget=UnfoldAdminCheckboxSelectMultipleWidget, label="")

    def __init__(self, *args: Any, names: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["models"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]
