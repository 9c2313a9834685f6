"""The form of a notification channel: the fields each kind of sink needs, found on the shelf."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts import channels
from accounts.models import NotificationChannel
from accounts.sinks import shelf

# Name of the form's field: the kinds that have it, and the option's name.
OPTION_FIELDS = {f"{slug}_{name}": (slug, name) for slug, sink in shelf().items() for name in sink.options}
# Unfold shows a field only while its condition holds.
CONDITIONS = {field: f"kind == '{slug}'" for field, (slug, _) in OPTION_FIELDS.items()} | {
    "secret": " || ".join(f"kind == '{slug}'" for slug, sink in shelf().items() if sink.asks_for) or "false"
}


def kinds() -> list[tuple[str, str]]:
    """Return the kinds of sink on the shelf."""
    return [("", "Choose…"), *((slug, sink.title) for slug, sink in sorted(shelf().items()))]


def _option_field(field: str) -> forms.CharField:
    slug, name = OPTION_FIELDS[field]
    return forms.CharField(required=False, label=name.capitalize(), help_text=shelf()[slug].options[name], widget=UnfoldAdminTextInputWidget, max_length=2_000)


class _PlainChannelForm(forms.ModelForm):  # type: ignore[type-arg]
    """A channel; its secret is written, never shown."""

    kind = forms.ChoiceField(choices=kinds, widget=UnfoldAdminSelectWidget)
    secret = forms.CharField(
        required=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="; ".join(f"{sink.title}: {sink.asks_for}" for _, sink in sorted(shelf().items()) if sink.asks_for)
        + ". Sealed on saving and never shown again. Leave empty to keep the present one.",
    )

    class Meta:
        model = NotificationChannel
        fields = "__all__"  # noqa: DJ007 (the admin page lists the fields)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field, (slug, name) in OPTION_FIELDS.items():
            if slug == self.instance.kind:
                self.initial[field] = self.instance.options.get(name, "")

    def clean_secret(self) -> str:
        """Return the secret without blanks around it."""
        return str(self.cleaned_data.get("secret") or "").strip()

    def _post_clean(self) -> None:
        kind = self.cleaned_data.get("kind", "")
        self.instance.options = {
            name: self.cleaned_data[field].strip() for field, (slug, name) in OPTION_FIELDS.items() if slug == kind and self.cleaned_data.get(field)
        }
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            try:
                channels.check_channel(self.instance, self.cleaned_data.get("secret", ""))
            except ValidationError as refusal:
                self._show(refusal)

    def _show(self, refusal: ValidationError) -> None:
        """Put a refusal beside its field, or above the form when the field is spread over several."""
        for field, words in getattr(refusal, "error_dict", {None: refusal.error_list if hasattr(refusal, "error_list") else [refusal]}).items():
            self.add_error(field if field in self.fields else None, words)


ChannelForm: type[_PlainChannelForm] = type("ChannelForm", (_PlainChannelForm,), {field: _option_field(field) for field in OPTION_FIELDS})
