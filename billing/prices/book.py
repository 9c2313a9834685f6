"""Which price holds: by provider, upstream name and moment, of those approved and not withdrawn. Reads only."""

from datetime import datetime
from typing import Any

import msgspec
from django.db.models import Case, Exists, Min, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce

from billing import money
from billing.models import Price, PriceDecision
from billing.prices.vendors import RATES, Name, published

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


class Book:
    """The price book for one run: each name is read once and remembered, so that many calls ask little."""

    def __init__(self) -> None:
        self._by_name: dict[Name, list[Any]] = {}

    def named(self, name: Name, at: datetime) -> Price | None:
        """Return the price that wins under exactly this provider and name at a moment.

        An entered price wins over those of releases whatever their date; of equals, the one that starts last, then the one made last.
        """
        if name not in self._by_name:
            self._by_name[name] = list(approved().filter(provider=name[0], upstream_model=name[1]))
        holding = [row for row in self._by_name[name] if _holds(row, at)]
        return max(holding, key=lambda row: (row.source == Price.Source.ENTERED, row.valid_from, row.created_at, row.pk), default=None)

    def current(self, provider: str, upstream_model: str, at: datetime) -> Price | None:
        """Return the price in force at a moment, by the upstream name itself, else by the published model it is an alias of; None if unknown."""
        return next((row for name in names(provider, upstream_model) if (row := self.named(name, at)) is not None), None)


def names(provider: str, upstream_model: str) -> tuple[Name, ...]:
    """Return the names under which the book is asked for a model, the first that is priced counts."""
    known = published(provider, upstream_model)
    own = (provider, upstream_model)
    return (own,) if known in (None, own) else (own, known)


def current(provider: str, upstream_model: str, at: datetime) -> Price | None:
    """Return what a fresh book says is in force at a moment; None if unknown."""
    return Book().current(provider, upstream_model, at)


def holds_at(row: Price, at: datetime) -> bool:
    """Say whether a price chosen by hand may be used at a moment: approved, begun and not withdrawn."""
    known = approved().filter(pk=row.pk).first()
    return known is not None and _holds(known, at)


def _holds(row: Any, at: datetime) -> bool:
    return row.valid_from <= at and (row.withdrawn_at is None or row.withdrawn_at > at)


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
