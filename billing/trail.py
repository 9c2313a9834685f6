"""Keeps who changed budgets, limits and credit accounts, and why, within the transaction that changes them."""

from typing import Any

from accounts.models import User
from billing.ledger import MOST_REASON_CHARACTERS
from billing.models import Budget, BudgetChange, CreditAccount, Limit

PREFIXES: dict[type[Budget | Limit | CreditAccount], str] = {Budget: "bud", Limit: "lim", CreditAccount: "crd"}
FIELDS: dict[type[Budget | Limit | CreditAccount], tuple[str, ...]] = {
    Budget: ("name", "mode", "unit", "period", "per", "amount", "starts_at", "ends_at", "thresholds", "is_frozen", "is_archived"),
    Limit: ("kind", "amount"),
    CreditAccount: ("name", "is_frozen"),
}
SCOPES = ("project_id", "key_id", "business_unit_id")


def facts(row: Budget | Limit | CreditAccount) -> dict[str, Any]:
    """Return what binds spending of a row; amounts in its unit."""
    scope = {name: str(getattr(row, name)) for name in SCOPES if getattr(row, name)}
    return {name: getattr(row, name) for name in FIELDS[type(row)]} | scope


def note(row: Budget | Limit | CreditAccount, kind: str, before: dict[str, Any], after: dict[str, Any], actor: User | None, reason: str) -> None:
    """Note what differs between two states of a row, nothing when nothing does."""
    differing = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if differing:
        BudgetChange.objects.create(
            subject=f"{PREFIXES[type(row)]}_{row.pk}",
            kind=kind,
            before={name: before[name] for name in differing if name in before},
            after={name: after[name] for name in differing if name in after},
            actor=actor,
            reason=reason.replace("\0", "").strip()[:MOST_REASON_CHARACTERS],
        )
