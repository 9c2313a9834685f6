"""The admin of budgets, limits and their windows: what may be spent, how it stands, and who holds of it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from unfold.decorators import action, display
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.admin import GovernedAdmin, ReadOnlyAdmin
from accounts.admin.acts import Act, ActsMixin, ReasonForm
from accounts.models import User
from billing import access, budgets
from billing import credits as credit_actions
from billing.forms import AmountForm, UntilForm
from billing.models import Budget, BudgetChange, DisputedHold, Lease, Limit, Unit, Window
from billing.money import to_usd
from billing.standing import Standing, standings

MODE_COLOURS = {"hard": "danger", "soft": "info"}


def amount(value: int | None, unit: str) -> str:
    """An amount in a unit as people read it; money to the cent, and exactly where it is less than ten cents."""
    if value is None:
        return "-"
    if unit != Unit.NANOUSD:
        return f"{value:,} {unit}"
    usd = to_usd(value)
    return f"${usd:,.2f}" if value == 0 or value >= 100_000_000 else f"${usd:.6f}"


def bar(percent: int) -> str:
    """A bar of how much is used, red from 90 % on."""
    colour = "bg-red-500" if percent >= 90 else "bg-orange-500" if percent >= 75 else "bg-green-500"
    return format_html(
        '<div class="flex gap-2 items-center" title="{0} % spent or held"><div class="bg-base-200 h-2 rounded-full w-24 dark:bg-base-700">'
        '<div class="{1} h-2 rounded-full" style="width: {2}%"></div></div><span>{0} %</span></div>',
        percent,
        colour,
        min(percent, 100),
    )


class BudgetForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A budget; money is typed in USD."""

    typed_amount = forms.DecimalField(
        label="Amount", min_value=0, max_digits=18, decimal_places=9, widget=UnfoldAdminTextInputWidget, help_text="USD, or a number of tokens."
    )
    reason = forms.CharField(
        max_length=500, required=False, widget=UnfoldAdminTextInputWidget, help_text="Needed where the amount changes; stands in the ledger."
    )

    class Meta:
        model = Budget
        fields = ("name", "project", "key", "business_unit", "mode", "unit", "period", "per", "starts_at", "ends_at", "thresholds")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding and "typed_amount" in self.fields:
            is_money = self.instance.unit == Unit.NANOUSD
            self.initial["typed_amount"] = f"{to_usd(self.instance.amount).normalize():f}" if is_money else str(self.instance.amount)

    def clean(self) -> dict[str, Any]:
        """Bring the amount into its unit, and refuse another amount without a reason."""
        cleaned = super().clean() or {}
        if "typed_amount" in cleaned:
            is_money = cleaned.get("unit", self.instance.unit) == Unit.NANOUSD
            if not is_money and cleaned["typed_amount"] % 1:
                self.add_error("typed_amount", "Write a whole number of tokens.")
            value = int(cleaned["typed_amount"] * (1_000_000_000 if is_money else 1))
            if not self.instance._state.adding and value != self.instance.amount and not cleaned.get("reason", "").strip():
                self.add_error("reason", "Say why: an amount changes only with a reason.")
            self.instance.amount = value
        return cleaned

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # Django's hook for checks on the built instance
        if not self.errors:
            try:
                budgets.check_budget(self.instance)
            except ValidationError as error:
                self._update_errors(error)  # type: ignore[attr-defined]


class StandingList(ChangeList):
    """A list of budgets with their figures, asked for at once."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, then how its budgets stand."""
        super().get_results(request)
        self.result_list: list[Any] = list(self.result_list)
        found = standings(self.result_list)
        for budget in self.result_list:
            budget.standing = found[budget.id]


@admin.register(Budget)
class BudgetAdmin(ActsMixin, GovernedAdmin):
    """Budgets, with what is spent, held and left of their open windows."""

    form = BudgetForm
    list_display = ("name", "scope_name", "shown_mode", "period", "shown_amount", "spent", "held", "left", "used", "state")
    list_filter = ("mode", "period", "unit", "is_frozen", "is_archived", "business_unit")
    list_select_related = ("project", "key", "business_unit")
    search_fields = ("name", "project__name", "business_unit__name", "id__exact")
    autocomplete_fields = ("project", "key", "business_unit")
    readonly_fields = ("shown_id", "shown_amount", "credit", "spent", "held", "left", "used", "state")
    actions_detail = ("freeze", "unfreeze", "raise_it", "put_away")
    acts = {
        "freeze": Act(
            "Freeze",
            "Nothing more is spent from this budget until it is thawed: calls below it get 402.",
            ReasonForm,
            lambda row, who, given: budgets.set_frozen(row, True, who, given["reason"]),
        ),
        "unfreeze": Act(
            "Unfreeze", "Calls may spend from this budget again.", ReasonForm, lambda row, who, given: budgets.set_frozen(row, False, who, given["reason"])
        ),
        "raise": Act(
            "Raise",
            "Grants credit with an end to what this budget is for; it is drawn when the budget is used up, and what is left of it expires.",
            UntilForm,
            lambda row, who, given: credit_actions.raise_temporarily(row, given["amount"], given["until"], who, given["reason"]),
        ),
        "archive": Act(
            "Archive",
            "The budget binds no call any more. Its windows and postings stay; it cannot be brought back, but another one made.",
            ReasonForm,
            lambda row, who, given: budgets.archive(row, who, given["reason"]),
        ),
    }

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that knows figures."""
        return StandingList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Budget]:
        """Return the budgets the signed-in user may see."""
        assert isinstance(request.user, User)
        return access.visible_budgets(request.user)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A budget keeps its unit and what it is for."""
        return (*self.readonly_fields, "unit", "project", "key", "business_unit") if obj else self.readonly_fields

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show figures only of a budget that is."""
        scope = ("project", "key", "business_unit")
        fields = ("name", scope, ("mode", "unit"), ("period", "per"), "starts_at", "ends_at", "typed_amount", "thresholds", "reason")
        now = (("shown_id", "state"), ("shown_amount", "credit"), ("spent", "held", "left"), "used")
        return (("Now", {"fields": now}), ("Budget", {"fields": fields})) if obj else ((None, {"fields": fields}),)

    def store(self, request: HttpRequest, obj: Budget, form: Any) -> None:
        """Store the budget; open windows follow a changed amount."""
        assert isinstance(request.user, User)
        budgets.save_budget(obj, request.user, form.cleaned_data["reason"])

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Budgets are archived: the ledger refers to them."""
        return False

    def _standing(self, budget: Any) -> Standing:
        found: Standing = budget.standing if hasattr(budget, "standing") else standings([budget])[budget.id]
        budget.standing = found
        return found

    @admin.display(description="for")
    def scope_name(self, budget: Budget) -> str:
        """What the budget is for."""
        return str(budget.scope)

    @admin.display(description="id")
    def shown_id(self, budget: Budget) -> str:
        """The id of the API."""
        return f"bud_{budget.id}"

    @display(description="mode", ordering="mode", label=MODE_COLOURS)
    def shown_mode(self, budget: Budget) -> str:
        """Hard or soft as a label."""
        return budget.mode

    @display(description="amount", ordering="amount")
    def shown_amount(self, budget: Budget) -> str:
        """What may be spent in a window."""
        return amount(budget.amount, budget.unit)

    @display(description="drawn credit")
    def credit(self, budget: Budget) -> str:
        """What open windows drew from credit."""
        return amount(self._standing(budget).credit, budget.unit)

    @display(description="spent")
    def spent(self, budget: Budget) -> str:
        """What is spent."""
        return amount(self._standing(budget).spent, budget.unit)

    @display(description="held")
    def held(self, budget: Budget) -> str:
        """What calls under way and workers keep."""
        return amount(self._standing(budget).held, budget.unit)

    @display(description="left")
    def left(self, budget: Budget) -> str:
        """What is left."""
        standing = self._standing(budget)
        return f"{standing.windows} windows" if standing.left is None else amount(standing.left, budget.unit)

    @display(description="used")
    def used(self, budget: Budget) -> str:
        """A bar of spent and held."""
        return "-" if budget.per else bar(self._standing(budget).used_percent)

    @display(description="state", label={"open": "success", "frozen": "warning", "archived": "info"})
    def state(self, budget: Budget) -> str:
        """Open, frozen or archived."""
        return "archived" if budget.is_archived else "frozen" if budget.is_frozen else "open"

    @action(description="Freeze", icon="ac_unit", url_path="freeze", permissions=["change"])
    def freeze(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to freezing."""
        return self.lead_to(object_id, "freeze")

    @action(description="Unfreeze", icon="play_arrow", url_path="unfreeze", permissions=["change"])
    def unfreeze(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to thawing."""
        return self.lead_to(object_id, "unfreeze")

    @action(description="Raise for a time", icon="trending_up", url_path="raise", permissions=["change"])
    def raise_it(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to raising."""
        return self.lead_to(object_id, "raise")

    @action(description="Archive", icon="archive", url_path="archive", permissions=["change"])
    def put_away(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to archiving."""
        return self.lead_to(object_id, "archive")


class LimitForm(AmountForm):
    """A limit; spend is typed in USD per minute."""

    reason = forms.CharField(
        max_length=500, required=False, widget=UnfoldAdminTextInputWidget, help_text="Needed where the amount changes; kept with the change."
    )

    class Meta:
        model = Limit
        fields = ("project", "key", "business_unit", "kind")

    def clean(self) -> dict[str, Any]:
        """Refuse another amount without a reason."""
        had = None if self.instance._state.adding else self.instance.amount
        cleaned = super().clean()
        if had not in (None, self.instance.amount) and not cleaned.get("reason", "").strip():
            self.add_error("reason", "Say why: an amount changes only with a reason.")
        return cleaned


@admin.register(Limit)
class LimitAdmin(ActsMixin, GovernedAdmin):
    """Limits per minute and at once."""

    form = LimitForm
    actions_detail = ("remove",)
    acts = {
        "delete": Act(
            "Delete",
            "Calls are no longer counted against this limit. Another one can be made.",
            ReasonForm,
            lambda row, who, given: budgets.delete_limit(row, who, given["reason"]),
            ends=True,
        )
    }
    list_display = ("shown_kind", "scope_name", "shown_amount", "created_at")
    list_filter = ("kind", "business_unit")
    autocomplete_fields = ("project", "key", "business_unit")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Limit]:
        """Return the limits the signed-in user may see."""
        assert isinstance(request.user, User)
        return access.visible_limits(request.user)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A limit keeps its kind and what it is for."""
        return ("kind", "project", "key", "business_unit") if obj else ()

    @display(description="limit", ordering="kind")
    def shown_kind(self, limit: Limit) -> str:
        """What is limited."""
        return limit.get_kind_display()

    @admin.display(description="for")
    def scope_name(self, limit: Limit) -> str:
        """What the limit is for."""
        return str(limit.scope)

    @display(description="amount", ordering="amount")
    def shown_amount(self, limit: Limit) -> str:
        """The amount in its unit."""
        return amount(limit.amount, Unit.NANOUSD) if limit.kind == Limit.Kind.SPEND else f"{limit.amount:,}"

    def store(self, request: HttpRequest, obj: Limit, form: Any) -> None:
        """Store the limit."""
        assert isinstance(request.user, User)
        budgets.save_limit(obj, request.user, form.cleaned_data.get("reason", ""))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Limits are deleted by an act that asks why."""
        return False

    @action(description="Delete", icon="delete", url_path="remove", permissions=["change"])
    def remove(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to deleting."""
        return self.lead_to(object_id, "delete")


class WindowFigures:
    """Amounts of a window's row in its unit."""

    @display(description="may spend")
    def may(self, window: Window) -> str:
        """Base and credit."""
        return amount(window.amount, window.unit)

    @display(description="spent", ordering="spent")
    def shown_spent(self, window: Window) -> str:
        """What is spent."""
        return amount(window.spent, window.unit)

    @display(description="held", ordering="held")
    def shown_held(self, window: Window) -> str:
        """What is held."""
        return amount(window.held, window.unit)

    @display(description="left")
    def shown_left(self, window: Window) -> str:
        """What is left."""
        return amount(window.left, window.unit)

    @display(description="overrun", ordering="overrun")
    def shown_overrun(self, window: Window) -> str:
        """What vendors charged beyond a hold."""
        return amount(window.overrun, window.unit)

    @display(description="used")
    def used(self, window: Window) -> str:
        """A bar of spent and held."""
        return bar((window.spent + window.held) * 100 // window.amount if window.amount else 0)


@admin.register(Window)
class WindowAdmin(WindowFigures, ReadOnlyAdmin):
    """Windows of budgets and limits."""

    list_display = ("id", "owner", "subject", "opens_at", "closes_at", "may", "shown_spent", "shown_held", "shown_left", "shown_overrun", "used")
    list_filter = ("unit", ("closed_at", admin.EmptyFieldListFilter), ("budget", admin.EmptyFieldListFilter))
    list_select_related = ("budget", "limit")
    search_fields = ("id", "budget__name", "subject__exact")

    @admin.display(description="of")
    def owner(self, window: Window) -> str:
        """The budget or limit."""
        return str(window.budget or window.limit)


@admin.register(Lease)
class LeaseAdmin(ReadOnlyAdmin):
    """What workers hold of windows."""

    list_display = ("worker", "host", "window", "shown_outstanding", "at")
    list_filter = ("host",)
    list_select_related = ("window",)
    search_fields = ("worker__exact", "window__id")

    @display(description="outstanding", ordering="outstanding")
    def shown_outstanding(self, lease: Lease) -> str:
        """What the worker holds."""
        return amount(lease.outstanding, lease.window.unit)


@admin.register(DisputedHold)
class DisputedHoldAdmin(ActsMixin, ReadOnlyAdmin):
    """What stays held of calls whose worker died."""

    list_display = ("call_id", "window", "shown_amount", "created_at", "state", "reason")
    list_filter = (("released_at", admin.EmptyFieldListFilter),)
    list_select_related = ("window",)
    search_fields = ("call_id__exact", "window__id")
    actions_detail = ("release",)
    acts = {
        "release": Act(
            "Release",
            "Gives what is kept for this call back to its window. Do this when the vendor's records show what the call cost.",
            ReasonForm,
            lambda row, who, given: credit_actions.release_dispute(row, who, given["reason"]),
        )
    }

    @display(description="held", ordering="amount")
    def shown_amount(self, dispute: DisputedHold) -> str:
        """What is kept."""
        return amount(dispute.amount, dispute.window.unit)

    @display(description="state", label={"held": "warning", "released": "success"})
    def state(self, dispute: DisputedHold) -> str:
        """Held or released."""
        return "released" if dispute.released_at else "held"

    def has_release_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Whoever may change disputed holds may release them."""
        return request.user.has_perm("billing.change_disputedhold")

    @action(description="Release", icon="lock_open", url_path="release", permissions=["release"])
    def release(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to releasing."""
        return self.lead_to(object_id, "release")


@admin.register(BudgetChange)
class BudgetChangeAdmin(ReadOnlyAdmin):
    """Who changed budgets, limits and credit accounts, and why."""

    list_display = ("at", "subject", "kind", "before", "after", "actor", "reason")
    list_filter = ("kind",)
    list_select_related = ("actor",)
    search_fields = ("subject__exact", "reason")
    search_help_text = "The id of a budget (bud_...), limit (lim_...) or credit account (crd_...), or words of a reason."
    date_hierarchy = "at"
