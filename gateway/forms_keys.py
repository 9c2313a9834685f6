"""Forms of the portal's page of keys; what they refuse, the actions refuse too."""

from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from accounts import access
from accounts.models import Environment, Project, User, VirtualKey
from billing.models import Budget
from billing.money import to_nanousd
from gateway import keymaking

LIMITS = ("rpm", "tpm", "parallel")
LINES = forms.Textarea(attrs={"rows": 2})


class KeyFacts(forms.Form):
    """What of a key can be changed later."""

    name = forms.CharField(max_length=200, help_text="What uses it, such as the name of the application.")
    purpose = forms.CharField(max_length=400, required=False)
    environment = forms.ChoiceField(choices=Environment.choices, help_text="A key for production needs a fresh proof that it is you.")
    expires_on = forms.DateField(widget=forms.DateInput(attrs={"type": "date"}), help_text="It works until the end of this day, UTC. Policy sets the latest.")
    models = forms.CharField(initial="*", help_text="Catalogue names separated by commas, or * for every model.")
    allowed_ips = forms.CharField(
        required=False, label="IP ranges", widget=LINES, help_text="One on each line, such as 10.0.0.0/8 or 2001:db8::/32. Empty: from anywhere."
    )
    tags = forms.CharField(required=False, help_text="Recorded on every call, such as team=checkout,cost=4711.")

    def clean_models(self) -> list[str]:
        """Return catalogue names."""
        return list(dict.fromkeys(part.strip() for part in str(self.cleaned_data["models"]).split(",") if part.strip()))

    def clean_allowed_ips(self) -> list[str]:
        """Return IP ranges."""
        return str(self.cleaned_data["allowed_ips"]).replace(",", " ").split()

    def clean_tags(self) -> dict[str, str]:
        """Return tags by name; raises ValidationError for a part without an equals sign."""
        parts = [part.strip() for part in str(self.cleaned_data["tags"]).split(",") if part.strip()]
        if not all("=" in part for part in parts):
            raise ValidationError("Write tags as name=value, separated by commas.")
        return {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in parts)}

    def facts(self) -> dict[str, Any]:
        """Return what the key is to be, by the names of its fields."""
        data = self.cleaned_data
        found = {name: data[name] for name in ("name", "purpose", "environment", "models", "allowed_ips", "tags")}
        return {**found, "expires_at": datetime.combine(data["expires_on"], time(23, 59, 59), UTC)}

    @property
    def is_for_production(self) -> bool:
        """Say whether a valid form asks for a key for production."""
        return bool(self.cleaned_data["environment"] == Environment.PROD)


class KeyForm(KeyFacts):
    """A new key."""

    project = forms.ModelChoiceField(queryset=Project.objects.none(), empty_label=None)
    personal = forms.BooleanField(required=False, label="For me alone", help_text="It ends with your access to the project.")
    rpm = forms.IntegerField(required=False, min_value=0, label="Calls per minute", help_text="Empty: no limit of its own.")
    tpm = forms.IntegerField(required=False, min_value=0, label="Tokens per minute")
    parallel = forms.IntegerField(required=False, min_value=0, label="Calls at once")
    budget_usd = forms.DecimalField(required=False, min_value=0, max_digits=12, decimal_places=2, label="Budget (USD)", help_text="Empty: that of the project.")
    budget_period = forms.ChoiceField(choices=[choice for choice in Budget.Period.choices if choice[0] != "fixed"], initial=Budget.Period.MONTHLY)
    field_order = ("project", "name", "purpose", "personal")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["project"].queryset = projects_for(user)  # type: ignore[attr-defined]

    def given(self, user: User) -> dict[str, Any]:
        """Return what was asked for, as gateway.keymaking takes it."""
        data = self.cleaned_data
        found: dict[str, Any] = {"project": data["project"], **self.facts()}
        found["limits"] = {name: data[name] for name in LIMITS if data[name] is not None}
        if data["personal"]:
            found["owner"] = user
        if data["budget_usd"] is not None:
            found["budget"] = {"amount": to_nanousd(data["budget_usd"]), "period": data["budget_period"], "mode": Budget.Mode.HARD}
        return found


class KeyEditForm(KeyFacts):
    """A key as it is, to be changed."""

    def __init__(self, data: Any, *, key: VirtualKey, initial: dict[str, Any]) -> None:
        super().__init__(data, initial=facts_in_fields(key) | initial)
        self._key = key

    def changed_facts(self) -> dict[str, Any]:
        """Return what differs from the key; the same last day leaves its end as it is, to the second."""
        wanted, key = self.facts(), self._key
        if wanted["expires_at"].date() == key.expires_at.date():
            del wanted["expires_at"]
        return {name: value for name, value in wanted.items() if value != getattr(key, name)}


def facts_in_fields(key: VirtualKey) -> dict[str, Any]:
    """Return a key's facts as its form writes them."""
    return {
        "name": key.name,
        "purpose": key.purpose,
        "environment": key.environment,
        "expires_on": key.expires_at.date(),
        "models": ", ".join(key.models),
        "allowed_ips": "\n".join(key.allowed_ips),
        "tags": ", ".join(f"{name}={value}" for name, value in key.tags.items()),
    }


def projects_for(user: User) -> Any:
    """Return the projects a person may make a key in."""
    seen = access.visible_projects(user).select_related("business_unit__parent").order_by("name")
    drafts = ((project, VirtualKey(project=project, owner=user, environment=Environment.DEV)) for project in seen)
    return Project.objects.filter(pk__in=[project.pk for project, draft in drafts if access.allows(user, keymaking.MAKE, project, draft)]).order_by("name")


class RotateForm(forms.Form):
    """How long the old secret stays good."""

    overlap_hours = forms.IntegerField(min_value=0, max_value=87600, initial=24, label="Old key stays good for (hours)", help_text="0: it ends at once.")


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(max_length=400, required=False)


class RevokeForm(ReasonForm):
    """Whether somebody else may have it, and the key's name typed once more."""

    compromised = forms.BooleanField(required=False, label="Somebody else may have it", help_text="Ends the calls it is making now.")
    name = forms.CharField(max_length=200, label="Name of the key", widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, *args: Any, key: VirtualKey, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._name = key.name
        self.fields["name"].widget.attrs["data-type-to-confirm"] = key.name

    def clean_name(self) -> str:
        """Refuse any other name."""
        if str(self.cleaned_data["name"]).strip() != self._name:
            raise ValidationError(f"Type {self._name} to revoke it.")
        return self._name
