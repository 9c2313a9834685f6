"""Forms that ask for money or speed: credit, a budget raised for a while, a higher limit."""

from typing import Any

from django import forms

from accounts import access
from accounts.grants import Asking
from accounts.models import GrantRequest, Project
from billing.access import visible_budgets, visible_limits
from billing.models import Budget, Limit, Unit
from billing.money import to_nanousd
from gateway.forms_requests.ask import DAY, AskForm


def project_in_words(project: Any) -> str:
    """Return what a project is called where units differ."""
    return f"{project} ({project.business_unit})"


class CreditForm(AskForm):
    """Credit for a project."""

    kind, heading = "credit", "Ask for credit"
    about = "Money on top of a project's budgets, used when those are spent. Calls pass again as soon as it is granted."
    project = forms.ModelChoiceField(queryset=Project.objects.none(), empty_label=None)
    amount_usd = forms.DecimalField(min_value=0, max_digits=12, decimal_places=2, label="Amount (USD)")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offer("project", access.visible_projects(self.user).select_related("business_unit").order_by("name"), project_in_words)

    def asking(self) -> Asking:
        """Return what is asked for."""
        given = self.cleaned_data
        return Asking("credit", f"prj_{given['project'].pk.hex}", self.user, {}, to_nanousd(given["amount_usd"]), self.end())

    @classmethod
    def chosen_by(cls, row: GrantRequest) -> dict[str, Any]:
        """Return the project."""
        return {"project": row.project_id}


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
