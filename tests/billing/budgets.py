"""Budgets, limits, credit and questions to the authority for the tests of billing."""

import time
from datetime import datetime
from itertools import count
from typing import Any

from accounts.models import BusinessUnit, Project
from billing.holds import GiveBack, Span, Take, Want, span_of
from billing.models import Budget, CreditAccount, CreditGrant, Lease, Limit, Window
from billing.windows import PARALLEL

numbers = count(1)


def project() -> Project:
    """A project in a business unit, made on first use."""
    unit, _ = BusinessUnit.objects.get_or_create(name="Company")
    return Project.objects.get_or_create(name="Shop", business_unit=unit)[0]


def budget(amount: int = 1000, **fields: Any) -> Budget:
    """A hard monthly budget in nano-USD of the project."""
    return Budget.objects.create(**{"project": project(), "name": "b", "amount": amount, **fields})


def limit(amount: int = 10, kind: str = "rpm") -> Limit:
    """A limit of the project."""
    return Limit.objects.create(project=project(), kind=kind, amount=amount)


def credit(*grants: tuple[int, datetime | None]) -> CreditAccount:
    """A credit account of the project with grants of an amount in nano-USD and an end."""
    account, _ = CreditAccount.objects.get_or_create(project=project(), defaults={"name": "c"})
    for amount, expires_at in grants:
        CreditGrant.objects.create(account=account, amount_nanousd=amount, remaining_nanousd=amount, expires_at=expires_at, reason="r")
    return account


def span(owner: Budget | Limit, at_s: float | None = None) -> Span:
    """The owner's window now or at a moment."""
    if isinstance(owner, Limit):
        return PARALLEL if owner.kind == "parallel" else span_of("minute", at_s or time.time())
    ends = [int(at.timestamp()) if at else 0 for at in (owner.starts_at, owner.ends_at)]
    return span_of(owner.period, at_s or time.time(), *ends)


def want(owner: Budget | Limit, least: int, wish: int = 0, at_s: float | None = None, subject: str = "") -> Want:
    """What a worker asks of the owner's window."""
    label, opens, closes = span(owner, at_s)
    name = f"{owner.id}:{subject}:{label}" if subject else f"{owner.id}:{label}"
    return Want(name, f"{'l' if isinstance(owner, Limit) else 'b'}:{owner.id}", subject, opens, closes, least, wish)


def taking(*wants: Want, worker: str = "w1", number: int = 0) -> Take:
    """A question with the next number."""
    return Take(number or next(numbers), worker, wants)


def returning(worker: str = "w1", number: int = 0, **amounts: int) -> GiveBack:
    """A return by window id."""
    return GiveBack(number or next(numbers), worker, amounts)


def figures(window_id: str) -> dict[str, int]:
    """Every figure of a window."""
    return Window.objects.values("base", "credit", "spent", "held", "overrun").get(id=window_id)


def outstanding() -> dict[str, int]:
    """What each worker holds in all."""
    held: dict[str, int] = {}
    for worker, amount in Lease.objects.order_by("worker").values_list("worker", "outstanding"):
        held[worker] = held.get(worker, 0) + amount
    return held
