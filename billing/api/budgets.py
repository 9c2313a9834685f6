"""budgets: how much may be spent in each window, and how it stands."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import four_eyes
from accounts.api.fields import Given, Moment, Shown
from accounts.api.resource import Changes, Makes
from billing import budgets as actions
from billing import ceilings
from billing import credits as credit_actions
from billing.access import visible_budgets
from billing.api.fields import ReasonGiven, ScopeGiven, Usd, UsdOrCount, amount_of, reason_of, shown_usd
from billing.api.money import MoneyResource
from billing.models import Budget, Unit
from billing.standing import Standing, standings

UNITS = {"usd": Unit.NANOUSD, "tokens": Unit.TOKENS}
PER = [("scope", "all together"), ("session", "each session"), ("end_user", "each end user")]


class BudgetChange(Given):
    """What of a budget can be changed."""

    name = serializers.CharField(max_length=200, required=False)
    mode = serializers.ChoiceField(Budget.Mode.choices, default=Budget.Mode.HARD)
    period = serializers.ChoiceField(Budget.Period.choices, default=Budget.Period.MONTHLY)
    per = serializers.ChoiceField(PER, default="scope", help_text="Whom a window is for.")
    amount = UsdOrCount(help_text="USD as a decimal string, or a number of tokens.")
    starts_at = Moment(required=False, allow_null=True, help_text="For `fixed`.")
    ends_at = Moment(required=False, allow_null=True, help_text="For `fixed`.")
    thresholds = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=1000), required=False, max_length=20, help_text="Percentages that alert."
    )
    reason = serializers.CharField(max_length=400, required=False, help_text="Needed where the amount changes.")


class BudgetGiven(BudgetChange):
    """A new budget."""

    scope = ScopeGiven()
    unit = serializers.ChoiceField([("usd", "money"), ("tokens", "tokens")], default="usd")


class BudgetShown(Shown):
    """A budget and how its present window stands; amounts are decimal strings in USD, or numbers of tokens."""

    id = serializers.CharField()
    name = serializers.CharField()
    scope = ScopeGiven()
    mode = serializers.ChoiceField(Budget.Mode.choices)
    unit = serializers.ChoiceField([("usd", "money"), ("tokens", "tokens")])
    currency = serializers.CharField(allow_null=True)
    period = serializers.ChoiceField(Budget.Period.choices)
    per = serializers.ChoiceField(PER)
    amount = UsdOrCount(help_text="What may be spent in each window.")
    credit = UsdOrCount(help_text="What the window drew from credit on top.")
    spent = UsdOrCount()
    held = UsdOrCount(help_text="Kept for calls under way and for workers.")
    overrun = UsdOrCount(help_text="Part of spent: what vendors charged beyond a hold.")
    remaining = UsdOrCount(allow_null=True, help_text="null where each session or end user has a window of their own.")
    window = serializers.DictField(allow_null=True, child=Moment(allow_null=True), help_text="opens_at and closes_at; null before the first call.")
    starts_at = Moment(allow_null=True)
    ends_at = Moment(allow_null=True)
    thresholds = serializers.ListField(child=serializers.IntegerField())
    frozen = serializers.BooleanField()
    archived = serializers.BooleanField()
    created_at = Moment()


class RaiseGiven(ReasonGiven):
    """How much more, and until when."""

    amount = Usd()
    until = Moment()


class Budgets(Makes, Changes, MoneyResource):
    """Budgets."""

    resource, prefix = "budgets", "bud_"
    shows, makes, changes = BudgetShown, BudgetGiven, BudgetChange
    live = frozenset({"credit", "spent", "held", "overrun", "remaining", "window"})

    def rows(self) -> QuerySet[Budget]:
        """Return the budgets the caller sees."""
        return visible_budgets(self.actor)

    def shown(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Return budgets with their figures, asked for at once."""
        standing = standings(rows)
        return [_shown(row, standing[row.id]) for row in rows]

    def make(self, given: dict[str, Any]) -> Budget:
        """Make a budget."""
        reason, scope, unit = given.pop("reason", ""), given.pop("scope"), UNITS[given.pop("unit")]
        (place,) = scope.values()
        name = given.pop("name", f"{given['period']} budget of {place}"[:200])
        row = Budget(name=name, unit=unit, **scope, **_fields(given, unit))
        ceilings.check_budget(self.actor, row)
        return actions.save_budget(row, self.person, reason_of(self.actor, reason))

    def change(self, row: Budget, given: dict[str, Any]) -> Budget:
        """Change a budget; its open windows follow."""
        reason = given.pop("reason", "")
        before = (row.amount, row.period)
        for name, value in _fields(given, row.unit).items():
            setattr(row, name, value)
        if row.amount > before[0] or row.period != before[1]:
            ceilings.check_budget(self.actor, row)
        return actions.save_budget(row, self.person, reason_of(self.actor, reason))

    @action(detail=True, methods=["post"], takes=ReasonGiven)
    def freeze(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Let nothing more be spent until it is unfrozen."""
        return self._freeze(request, id, True)

    @action(detail=True, methods=["post"], takes=ReasonGiven)
    def unfreeze(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Let it be spent again."""
        return self._freeze(request, id, False)

    @action(detail=True, methods=["post"], takes=ReasonGiven)
    def archive(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Put it away for good: it binds no call any more."""
        row = self.row(id)
        actions.archive(row, self.person, reason_of(self.actor, self.given(request, ReasonGiven)["reason"]))
        return self.told(self.row(id), waiting=four_eyes.held(row))

    @action(detail=True, methods=["post"], url_path="raise", takes=RaiseGiven)
    def raise_temporarily(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Let it spend more until a moment, as credit of what it is for."""
        row = self.row(id)
        given = self.given(request, RaiseGiven)
        ceilings.check_credit(self.actor, row.scope, given["amount"])
        credit_actions.raise_temporarily(row, given["amount"], given["until"], self.person, reason_of(self.actor, given["reason"]))
        return self.told(self.row(id), waiting=four_eyes.held(row))

    def _freeze(self, request: Request, text: str, frozen: bool) -> Response:
        row = self.row(text)
        actions.set_frozen(row, frozen, self.person, reason_of(self.actor, self.given(request, ReasonGiven)["reason"]))
        return self.told(self.row(text))


def _fields(given: dict[str, Any], unit: str) -> dict[str, Any]:
    fields = dict(given)
    if "amount" in fields:
        fields["amount"] = amount_of(fields["amount"], is_money=unit == Unit.NANOUSD)
    if "per" in fields:
        fields["per"] = "" if fields["per"] == "scope" else fields["per"]
    return fields


def _shown(budget: Budget, standing: Standing) -> dict[str, Any]:
    is_money = budget.unit == Unit.NANOUSD

    def amount(value: int | None) -> str | int | None:
        return shown_usd(value) if is_money and value is not None else value

    def at(value: Any) -> str | None:
        return None if value is None else Moment().to_representation(value)

    return {
        "id": f"bud_{budget.id}",
        "name": budget.name,
        "scope": ScopeGiven().to_representation(budget.scope),
        "mode": budget.mode,
        "unit": "usd" if is_money else "tokens",
        "currency": "USD" if is_money else None,
        "period": budget.period,
        "per": budget.per or "scope",
        "amount": amount(budget.amount),
        "credit": amount(standing.credit),
        "spent": amount(standing.spent),
        "held": amount(standing.held),
        "overrun": amount(standing.overrun),
        "remaining": amount(standing.left),
        "window": {"opens_at": at(standing.opens_at), "closes_at": at(standing.closes_at)} if standing.windows and not budget.per else None,
        "starts_at": at(budget.starts_at),
        "ends_at": at(budget.ends_at),
        "thresholds": budget.thresholds,
        "frozen": budget.is_frozen,
        "archived": budget.is_archived,
        "created_at": at(budget.created_at),
    }
