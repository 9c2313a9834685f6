"""Forms of the portal's pages of requests; what they refuse, the actions refuse too."""

from datetime import UTC, date, datetime, time
from typing import Any

from django import forms

from accounts import access
from accounts.grants import Asking
from accounts.models import Project, User
from billing.money import to_nanousd
from gateway.models import Model

LINES = forms.Textarea(attrs={"rows": 3})
DAY = forms.DateInput(attrs={"type": "date"})
ROLES = (("developer", "developer: calls and own keys"), ("viewer", "viewer: reads only"), ("owner", "owner: keys and members"))


class AskForm(forms.Form):
    """What every request has: a reason, and perhaps an end."""

    kind = ""
    heading = ""
    reason = forms.CharField(max_length=2000, widget=LINES, help_text="What it is for: whoever decides reads this.")
    until = forms.DateField(required=False, widget=DAY, help_text="It is taken back by itself after this day, UTC. Empty: it stays.")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.order_fields([name for name in self.fields if name not in ("reason", "until")])

    def end(self) -> datetime | None:
        """Return the end of the day chosen."""
        chosen: date | None = self.cleaned_data["until"]
        return datetime.combine(chosen, time(23, 59, 59), UTC) if chosen else None

    def asking(self) -> Asking:
        """Return what is asked for; the form is valid."""
        raise NotImplementedError


class CreditForm(AskForm):
    """Credit for a project."""

    kind, heading = "credit", "Ask for credit"
    project = forms.ModelChoiceField(queryset=Project.objects.none(), empty_label=None)
    amount_usd = forms.DecimalField(min_value=0, max_digits=12, decimal_places=2, label="Amount (USD)")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        set_projects(self, access.visible_projects(self.user))

    def asking(self) -> Asking:
        """Return what is asked for."""
        given = self.cleaned_data
        return Asking("credit", f"prj_{given['project'].pk.hex}", self.user, {}, to_nanousd(given["amount_usd"]), self.end())


class ModelForm(AskForm):
    """A model for the keys of a project."""

    kind, heading = "model", "Ask for a model"
    project = forms.ModelChoiceField(queryset=Project.objects.none(), empty_label=None)
    model = forms.ModelChoiceField(queryset=Model.objects.filter(is_active=True).order_by("name"), empty_label=None)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        set_projects(self, access.visible_projects(self.user))

    def asking(self) -> Asking:
        """Return what is asked for."""
        given = self.cleaned_data
        return Asking("model", given["model"].name, self.user, {"project": f"prj_{given['project'].pk.hex}"}, None, self.end())


class JoinForm(AskForm):
    """A place in a project."""

    kind, heading = "join_project", "Ask to join a project"
    project = forms.ModelChoiceField(queryset=Project.objects.none(), empty_label=None)
    role = forms.ChoiceField(choices=ROLES)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        set_projects(self, access.askable_projects(self.user))

    def asking(self) -> Asking:
        """Return what is asked for."""
        given = self.cleaned_data
        return Asking("join_project", f"prj_{given['project'].pk.hex}", self.user, {"role": given["role"]}, None, self.end())


FORMS: dict[str, type[AskForm]] = {form.kind: form for form in (CreditForm, ModelForm, JoinForm)}


def set_projects(form: forms.Form, projects: Any) -> None:
    """Offer these projects."""
    field = form.fields["project"]
    assert isinstance(field, forms.ModelChoiceField)
    field.queryset = projects.select_related("business_unit").order_by("name")
    field.label_from_instance = lambda project: f"{project} ({project.business_unit})"  # type: ignore[assignment]


class WordForm(forms.Form):
    """Something said about a request."""

    text = forms.CharField(max_length=1000, widget=LINES, label="Comment")


class DecideForm(forms.Form):
    """A decision on the version that was read."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    comment = forms.CharField(max_length=1000, required=False, widget=LINES, help_text="To deny or to ask back, say why.")
    amount_usd = forms.DecimalField(min_value=0, max_digits=12, decimal_places=2, required=False, label="Amount (USD)", help_text="May be lower than asked.")
