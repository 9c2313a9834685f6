"""credit-accounts: credit that budgets draw on when their own amount is used up."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import Given, Moment, Shown
from accounts.api.resource import Changes, Makes
from billing import ceilings
from billing import credits as actions
from billing.access import visible_credit_accounts
from billing.api.fields import ReasonGiven, ScopeGiven, Usd, reason_of, shown_usd
from billing.api.money import MoneyResource
from billing.models import CreditAccount, CreditGrant
from billing.standing import usable_credit

MOST_GRANTS_SHOWN = 100


class CreditAccountGiven(Given):
    """A new credit account."""

    scope = ScopeGiven()
    name = serializers.CharField(max_length=200, required=False)


class CreditAccountChange(Given):
    """What of a credit account can be changed."""

    name = serializers.CharField(max_length=200)


class CreditGrantShown(Shown):
    """An amount of credit and what is left of it."""

    id = serializers.SerializerMethodField()
    amount = Usd(source="amount_nanousd")
    remaining = Usd(source="remaining_nanousd")
    expires_at = Moment(allow_null=True)
    expired = serializers.SerializerMethodField()
    reason = serializers.CharField()
    created_at = Moment()

    def get_id(self, grant: CreditGrant) -> str:
        """Return the prefixed id."""
        return f"grt_{grant.id}"

    def get_expired(self, grant: CreditGrant) -> bool:
        """Say whether its rest has gone."""
        return grant.expired_at is not None


class CreditAccountShown(Shown):
    """A credit account with its newest grants."""

    id = serializers.CharField()
    name = serializers.CharField()
    scope = ScopeGiven()
    currency = serializers.CharField()
    balance = Usd(help_text="Unexpired credit that no budget has drawn yet.")
    frozen = serializers.BooleanField()
    grants = CreditGrantShown(many=True, help_text="The newest 100.")
    created_at = Moment()


class CreditGrantGiven(ReasonGiven):
    """How much credit, until when."""

    amount = Usd()
    expires_at = Moment(required=False, allow_null=True, help_text="Left out: without an end.")


class CreditMoveGiven(ReasonGiven):
    """How much credit goes to which account."""

    to = serializers.CharField(max_length=40, help_text="`crd_...`")
    amount = Usd()


class CreditAccounts(Makes, Changes, MoneyResource):
    """Credit accounts."""

    resource, prefix = "credit-accounts", "crd_"
    shows, makes, changes = CreditAccountShown, CreditAccountGiven, CreditAccountChange
    live = frozenset({"balance", "grants"})

    def rows(self) -> QuerySet[CreditAccount]:
        """Return the accounts the caller sees."""
        return visible_credit_accounts(self.actor)

    def shown(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Return accounts with their balances and grants, asked for at once."""
        balances = usable_credit(rows)
        grants: dict[str, list[CreditGrant]] = {row.id: [] for row in rows}
        for grant in CreditGrant.objects.filter(account__in=list(grants)).order_by("-id"):
            if len(grants[grant.account_id]) < MOST_GRANTS_SHOWN:
                grants[grant.account_id].append(grant)
        return [
            {
                "id": f"crd_{row.id}",
                "name": row.name,
                "scope": ScopeGiven().to_representation(row.scope),
                "currency": "USD",
                "balance": shown_usd(balances[row.id]),
                "frozen": row.is_frozen,
                "grants": [dict(CreditGrantShown(grant).data) for grant in grants[row.id]],
                "created_at": Moment().to_representation(row.created_at),
            }
            for row in rows
        ]

    def make(self, given: dict[str, Any]) -> CreditAccount:
        """Open an account."""
        (scope,) = given["scope"].values()
        return actions.open_account(scope, given.get("name") or f"Credit of {scope}"[:200], self.person)

    def change(self, row: CreditAccount, given: dict[str, Any]) -> CreditAccount:
        """Give the account another name."""
        return actions.rename(row, given.get("name", row.name), self.person, reason_of(self.actor, "renamed"))

    @action(detail=True, methods=["post"], takes=CreditGrantGiven)
    def grant(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Give credit."""
        row = self.row(id)
        given = self.given(request, CreditGrantGiven)
        ceilings.check_credit(self.actor, row.scope, given["amount"])
        actions.grant(row, given["amount"], given.get("expires_at"), self.person, reason_of(self.actor, given["reason"]))
        return self.told(self.row(id))

    @action(detail=True, methods=["post"], takes=CreditMoveGiven)
    def move(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Move credit to another account; it keeps its end."""
        row = self.row(id)
        given = self.given(request, CreditMoveGiven)
        target = self.find(self.rows(), given["to"])
        if target is None:
            raise serializers.ValidationError({"to": "There is no such credit account, or it is not yours to see. Check the id."})
        actions.move(row, target, given["amount"], self.person, reason_of(self.actor, given["reason"]))
        return self.told(self.row(id))

    @action(detail=True, methods=["post"], takes=ReasonGiven)
    def freeze(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Let no budget draw on it until it is unfrozen."""
        return self._freeze(request, id, True)

    @action(detail=True, methods=["post"], takes=ReasonGiven)
    def unfreeze(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Let budgets draw on it again."""
        return self._freeze(request, id, False)

    def _freeze(self, request: Request, text: str, frozen: bool) -> Response:
        row = self.row(text)
        actions.set_frozen(row, frozen, self.person, reason_of(self.actor, self.given(request, ReasonGiven)["reason"]))
        return self.told(self.row(text))
