"""Which price holds: by provider, upstream name and moment, of those approved and not withdrawn. Reads only."""

from datetime import datetime
from typing import Any

import msgspec
from django.db.models import Case, Exists, Min, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce

from billing import money
from billing.models import Price, PriceDecision
from billing.prices.vendors import RATES, published

Decision = PriceDecision.Decision
# Nobody entered it: what a release or the demo brings is approved from the start.
BY_NOBODY = Q(entered_by=None) & ~Q(source=Price.Source.ENTERED)


def with_state() -> QuerySet[Any]:
    """Return all prices with `state` (proposed, approved, rejected or withdrawn) and `withdrawn_at`."""
    made = PriceDecision.objects.filter(price=OuterRef("pk"))
    withdrawn_at = Subquery(made.filter(decision=Decision.WITHDRAWN).values("decided_at")[:1])
    first = Subquery(made.exclude(decision=Decision.WITHDRAWN).values("decision")[:1])
    return Price.objects.annotate(
        withdrawn_at=withdrawn_at,
        state=Case(
            When(Exists(made.filter(decision=Decision.WITHDRAWN)), then=Value("withdrawn")),
            When(BY_NOBODY, then=Value("approved")),
            default=Coalesce(first, Value("proposed")),
        ),
    )


def approved() -> QuerySet[Any]:
    """Return the prices that were approved, with `withdrawn_at` for those withdrawn since."""
    made = PriceDecision.objects.filter(price=OuterRef("pk"))
    withdrawn_at = Subquery(made.filter(decision=Decision.WITHDRAWN).values("decided_at")[:1])
    return Price.objects.annotate(withdrawn_at=withdrawn_at).filter(BY_NOBODY | Exists(made.filter(decision=Decision.APPROVED)))


def holding(at: datetime) -> QuerySet[Any]:
    """Return the approved prices whose time has come at a moment and that are not withdrawn then, the one that wins first.

    An entered price wins over those of releases whatever their date; of equals, the one that starts last.
    """
    rank = Case(When(source=Price.Source.ENTERED, then=Value(1)), default=Value(0))
    rows = approved().filter(valid_from__lte=at).filter(Q(withdrawn_at=None) | Q(withdrawn_at__gt=at))
    ordered: QuerySet[Any] = rows.annotate(rank=rank).order_by("-rank", "-valid_from", "-created_at", "id")
    return ordered


def current(provider: str, upstream_model: str, at: datetime) -> Price | None:
    """Return the price in force at a moment, by the upstream name itself, else by the published model it is an alias of; None if unknown."""
    for name in (provider, upstream_model), published(provider, upstream_model):
        if name is None:
            continue
        row: Price | None = holding(at).filter(provider=name[0], upstream_model=name[1]).first()
        if row is not None:
            return row
    return None


def holds_at(row: Price, at: datetime) -> bool:
    """Say whether a price chosen by hand may be used at a moment: approved, begun and not withdrawn."""
    return holding(at).filter(pk=row.pk).exists()


def next_start(after: datetime) -> datetime | None:
    """Return the moment at which the next approved price begins to hold."""
    found: datetime | None = approved().filter(withdrawn_at=None, valid_from__gt=after).aggregate(first=Min("valid_from"))["first"]
    return found


def as_terms(row: Price, *, is_assumed: bool = False) -> money.Price:
    """Return the row as the plane's frozen price; raises msgspec.ValidationError if its tiers or modes are malformed."""
    return money.Price(
        id=str(row.pk),
        rates=money.Rates(**{name: getattr(row, name) for name in RATES}),
        tiers=msgspec.convert(row.tiers, tuple[money.Rates, ...]),
        request_nanousd=row.request_nanousd,
        modes=msgspec.convert(row.modes, tuple[money.Mode, ...]),
        is_assumed=is_assumed,
    )
