"""Forms that ask for money or speed: credit, a budget raised for a while, a higher limit."""

from collections.abc import Mapping
from typing import Any

from django import forms

from accounts import access
from accounts.grants import Asking
from accounts.models import GrantRequest, User, VirtualKey
from billing.access import visible_budgets, visible_limits
from billing.grants import named
from billing.models import Budget, Limit, Unit
from billing.money import to_nanousd
from gateway.forms_requests.ask import DAY, AskForm


def project_in_words(project: Any) -> str:
    """Return what a project is called where units differ."""
    return f"{project} ({project.business_unit})"


class CreditForm(AskForm):
    """Credit for a project, or for whatever of the asker's has or is under a hard budget of its own."""

    kind, heading = "credit", "Ask for credit"
    about = "Money on top of hard budgets, used when those are spent. Calls pass again as soon as it is granted."
    scope = forms.ChoiceField(label="For", help_text="What refused the call: a project, or the key or business unit whose own budget is used up.")
    amount_usd = forms.DecimalField(min_value=0, max_digits=12, decimal_places=2, label="Amount (USD)")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["scope"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [group for group in credit_scopes(self.user) if group[1]]

    def asking(self) -> Asking:
        """Return what is asked for."""
        given = self.cleaned_data
        return Asking("credit", given["scope"], self.user, {}, to_nanousd(given["amount_usd"]), self.end())

    @classmethod
    def chosen_by(cls, row: GrantRequest) -> dict[str, Any]:
        """Return what it is for."""
        return {"scope": row.target}

    def told(self, address: Mapping[str, str]) -> dict[str, Any]:
        """Also take a budget, as refused calls name it, or a project: the credit is for what that belongs to."""
        found = super().told(address)
        bare = address.get("budget", "").removeprefix("bud_")
        budget = Budget.objects.select_related("project", "key", "business_unit").filter(pk=bare).first() if bare.isascii() and bare.isalnum() else None
        scope = named(budget.scope) if budget is not None else address.get("project", found.get("scope", ""))
        field = self.fields["scope"]
        assert isinstance(field, forms.ChoiceField)
        return found | {"scope": scope} if field.valid_value(scope) else {name: value for name, value in found.items() if name != "scope"}


def credit_scopes(user: User) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return what somebody may ask credit for, by prefixed id: projects, and of keys and units those with a hard budget of their own."""
    hard = Budget.objects.filter(mode=Budget.Mode.HARD, unit=Unit.NANOUSD, is_archived=False)
    projects = access.visible_projects(user).select_related("business_unit").order_by("name")
    keys = access.visible_keys(user).filter(id__in=hard.values("key")).exclude(state=VirtualKey.State.REVOKED).select_related("project").order_by("name")
    units = access.binding_units(user).filter(id__in=hard.values("business_unit")).order_by("name")
    return [
        ("Projects", [(named(row), project_in_words(row)) for row in projects]),
        ("Keys", [(named(row), f"{row.name} of {row.project}") for row in keys]),
        ("Business units", [(named(row), str(row)) for row in units]),
    ]


class RaiseForm(AskForm):
    """A budget raised for a while."""

    kind, heading = "budget_raise", "Ask for a higher budget for a while"
    about = "A hard budget allows more until a day, then it is what it was."
    budget = forms.ModelChoiceField(queryset=Budget.objects.none(), empty_label=None)
    amount_usd = forms.DecimalField(min_value=0, max_digits=12, decimal_places=2, label="More by (USD)")
    until = forms.DateField(widget=DAY, help_text="It is taken back by itself after this day, UTC.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = visible_budgets(self.user).filter(mode=Budget.Mode.HARD, unit=Unit.NANOUSD, is_archived=False).order_by("name")
        self.offer("budget", rows, lambda budget: f"{budget} ({budget.scope}, {budget.get_period_display()})")

    def asking(self) -> Asking:
        """Return what is asked for."""
        given = self.cleaned_data
        return Asking("budget_raise", f"bud_{given['budget'].pk}", self.user, {}, to_nanousd(given["amount_usd"]), self.end())

    @classmethod
    def chosen_by(cls, row: GrantRequest) -> dict[str, Any]:
        """Return the budget."""
        return {"budget": row.target.removeprefix("bud_")}


class LimitForm(AskForm):
    """A higher limit."""

    kind, heading = "limit", "Ask for a higher limit"
    about = "More calls or tokens a minute, or more calls at once."
    limit = forms.ModelChoiceField(queryset=Limit.objects.none(), empty_label=None)
    to = forms.IntegerField(min_value=1, max_value=10**18, label="New limit")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = visible_limits(self.user).order_by("kind", "id")
        self.offer("limit", rows, lambda limit: f"{limit.get_kind_display()} of {limit.scope}: {limit.amount:,} now")

    def asking(self) -> Asking:
        """Return what is asked for."""
        given = self.cleaned_data
        return Asking("limit", f"lim_{given['limit'].pk}", self.user, {"to": given["to"]}, None, self.end())

    @classmethod
    def chosen_by(cls, row: GrantRequest) -> dict[str, Any]:
        """Return the limit and what it should be."""
        return {"limit": row.target.removeprefix("lim_"), "to": row.parameters["to"]}
