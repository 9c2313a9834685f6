"""credit-requests: credit for a project, key or unit, or a budget raised for a while; and approvals, where amounts can be lowered."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import Given, Moment
from accounts.api.requests import MOST_TEXT, ApproveGiven, RequestResource
from accounts.api.resource import Changes, Makes
from accounts.grants import Asking
from accounts.models import GrantRequest
from accounts.models.requests import MONEY_KINDS
from accounts.requests import access, asking, deciding
from billing.api.fields import Usd

TARGETS = ("project", "key", "business_unit", "budget")


class CreditGiven(Given):
    """How much credit, for what and why; exactly one of project, key, business_unit and budget."""

    project = serializers.CharField(max_length=64, required=False, help_text="`prj_...`")
    key = serializers.CharField(max_length=64, required=False, help_text="`key_...`")
    business_unit = serializers.CharField(max_length=64, required=False, help_text="`bu_...`")
    budget = serializers.CharField(max_length=64, required=False, help_text="`bud_...`, raised until `until`.")
    amount = Usd()
    reason = serializers.CharField(max_length=MOST_TEXT)
    until = Moment(required=False, allow_null=True, help_text="When what is left ends.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse none or several targets."""
        if len([name for name in TARGETS if name in attrs]) != 1:
            raise serializers.ValidationError({"project": "Name exactly one: project, key, business_unit or budget."})
        return attrs


class CreditChange(Given):
    """What of a credit request can be edited; approvals so far are void then."""

    amount = Usd()
    reason = serializers.CharField(max_length=MOST_TEXT)
    until = Moment(allow_null=True)


class AmountGiven(ApproveGiven):
    """A word with the approval, and perhaps a smaller amount."""

    amount = Usd(required=False, help_text="Less than was asked.")


class MoneyRequests(RequestResource):
    """Requests whose amount an approver may lower."""

    @action(detail=True, methods=["post"], takes=AmountGiven)
    def approve(self, request: Request, id: str) -> Response:  # type: ignore[override]  # noqa: A002  # the stubs see two kinds of action
        """Approve, perhaps less; the last approval that is needed carries it out at once."""
        given = self.given(request, AmountGiven)
        return self._done(deciding.approve(self._to_decide(request, id), self.actor, amount_nanousd=given.pop("amount", None), **given))


class CreditRequests(Makes, Changes, MoneyRequests):
    """Requests for money."""

    resource = "credit-requests"
    makes, changes = CreditGiven, CreditChange

    def rows(self) -> QuerySet[GrantRequest]:
        """Return the requests the caller sees."""
        return access.visible_requests(self.actor).filter(kind__in=MONEY_KINDS)

    def make(self, given: dict[str, Any]) -> GrantRequest:
        """File a request."""
        (name,) = (name for name in TARGETS if name in given)
        kind = "budget_raise" if name == "budget" else "credit"
        wanted = Asking(kind, given[name], self.actor, amount_nanousd=given["amount"], until=given.get("until"))
        return asking.submit(wanted, given["reason"])

    def change(self, row: GrantRequest, given: dict[str, Any]) -> GrantRequest:
        """Edit one's own request."""
        if "amount" in given:
            given["amount_nanousd"] = given.pop("amount")
        return asking.edit(row, self.actor, **given)


class Approvals(MoneyRequests):
    """What waits for the caller's decision, the newest first; of those seen otherwise, one by its id."""

    resource = "approvals"

    def rows(self) -> QuerySet[GrantRequest]:
        """Return what waits for the caller, or everything they see where one is asked for."""
        return access.inbox(self.actor) if self.action == "list" else access.visible_requests(self.actor)

    def shown(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Return rows with all there is to know before deciding."""
        return [self.whole(row) for row in rows]
