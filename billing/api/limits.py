"""limits: how fast calls may come, tokens may flow and money may go."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import Given, Moment, Shown
from accounts.api.resource import Changes, Makes
from billing import budgets as actions
from billing import ceilings
from billing.access import visible_limits
from billing.api.fields import ReasonGiven, ScopeGiven, UsdOrCount, amount_of, reason_of, shown_usd
from billing.api.money import MoneyResource
from billing.models import Limit


class LimitChange(Given):
    """What of a limit can be changed."""

    amount = UsdOrCount(help_text="Calls or tokens per minute, calls at once; for `spend` USD per minute as a decimal string.")
    reason = serializers.CharField(max_length=400, required=False, help_text="Needed where the amount changes; kept with the change.")


class LimitGiven(LimitChange):
    """A new limit."""

    scope = ScopeGiven()
    kind = serializers.ChoiceField(Limit.Kind.choices)


class LimitShown(Shown):
    """A limit."""

    id = serializers.SerializerMethodField()
    scope = ScopeGiven()
    kind = serializers.ChoiceField(Limit.Kind.choices)
    amount = serializers.SerializerMethodField()
    created_at = Moment()

    def get_id(self, limit: Limit) -> str:
        """Return the prefixed id."""
        return f"lim_{limit.id}"

    def get_amount(self, limit: Limit) -> str | int:
        """Return USD as a decimal string, or a number."""
        return shown_usd(limit.amount) if limit.kind == Limit.Kind.SPEND else limit.amount


class Limits(Makes, Changes, MoneyResource):
    """Limits."""

    resource, prefix = "limits", "lim_"
    needs_reason = True
    shows, makes, changes = LimitShown, LimitGiven, LimitChange

    def rows(self) -> QuerySet[Limit]:
        """Return the limits the caller sees."""
        return visible_limits(self.actor)

    def make(self, given: dict[str, Any]) -> Limit:
        """Make a limit."""
        amount = amount_of(given["amount"], is_money=given["kind"] == Limit.Kind.SPEND)
        row = Limit(kind=given["kind"], amount=amount, **given["scope"])
        ceilings.check_limit(self.actor, row)
        return actions.save_limit(row, self.person, self._reason(given))

    def change(self, row: Limit, given: dict[str, Any]) -> Limit:
        """Change a limit; its open windows follow."""
        before = row.amount
        if "amount" in given:
            row.amount = amount_of(given["amount"], is_money=row.kind == Limit.Kind.SPEND)
        if row.amount > before:
            ceilings.check_limit(self.actor, row)
        return actions.save_limit(row, self.person, self._reason(given))

    def destroy(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Delete the limit: calls are no longer counted against it."""
        row = self.row(id)
        # not every client sends a body with DELETE: the query may say why instead
        asked = ReasonGiven(data=request.data or request.query_params.dict())
        asked.is_valid(raise_exception=True)
        actions.delete_limit(row, self.person, reason_of(self.actor, asked.validated_data["reason"]))
        return Response(status=204)

    def _reason(self, given: dict[str, Any]) -> str:
        return reason_of(self.actor, given.get("reason", ""))
