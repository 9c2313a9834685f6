"""What the installed genai-prices says otherwise than the book, and how it gets into it. Entered prices are never touched: they win."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from datetime import datetime
from typing import NamedTuple

from django.utils import timezone

from accounts import audit
from accounts.models import User
from billing.models import Price
from billing.prices.book import approved, with_state
from billing.prices.vendors import SEEDED, Name, figures_of, published_prices, release

Book = Mapping[Name, Sequence[Price]]
# how many models the event of an import names
MOST_NAMED = 50


class Figure(NamedTuple):
    """One figure in nano-USD before and after, None where there is none."""

    name: str
    old: int | None
    new: int | None


class Difference(NamedTuple):
    """One model's difference: `kind` is new, changed or vanished (then there is no `row`); `row` is the price to add, not saved."""

    kind: str
    name: Name
    figures: tuple[Figure, ...]
    row: Price | None
    is_overridden: bool
    is_proposed: bool

    @property
    def id(self) -> str:
        """Return what names this difference on a page."""
        return "/".join((*self.name, f"{self.row.valid_from:%Y-%m-%d}" if self.row else ""))


def compare(published: Book, book: Book, overridden: Collection[Name], proposed: Mapping[Name, Sequence[Price]], now: datetime) -> list[Difference]:
    """Return how published prices differ from those of the book, both earliest first, by provider and model.

    Only what holds now or later is compared. A figure that differs today holds from its own date if that is later than the book's, else from now.
    """
    found: list[Difference] = []

    def note(kind: str, name: Name, old: Price | None, row: Price | None) -> None:
        waiting = row is not None and any(figures_of(one) == figures_of(row) for one in proposed.get(name, ()))
        found.append(Difference(kind, name, changed_figures(old, row), row, name in overridden, waiting))

    for name in sorted(published.keys() | book.keys()):
        offered, held = published.get(name, ()), book.get(name, ())
        if not offered:
            note("vanished", name, held[-1], None)
        elif not held:
            for before, row in zip((None, *offered), offered, strict=False):
                note("new", name, before, row)
        else:
            for before, row in _changed(offered, held, now):
                note("changed", name, before, row)
    return found


def _changed(offered: Sequence[Price], held: Sequence[Price], now: datetime) -> Iterable[tuple[Price | None, Price]]:
    """Yield the price a published one takes the place of, and the published one."""
    last = next((row for row in reversed(held) if row.valid_from <= now), None)
    today = next((row for row in reversed(offered) if row.valid_from <= now), None)
    if today is not None and (last is None or figures_of(last) != figures_of(today)):
        if last is not None and today.valid_from <= last.valid_from:
            today = copy(today)
            today.valid_from = now
        yield last, today
        last = today
    planned = {row.valid_from: row for row in held if row.valid_from > now}
    for row in offered:
        if row.valid_from > now:
            known = planned.get(row.valid_from)
            if known is None or figures_of(known) != figures_of(row):
                yield known or last, row
            last = row


def changed_figures(old: Price | None, new: Price | None) -> tuple[Figure, ...]:
    """Return the figures in which two prices differ, in the order of the new one's."""
    before, after = figures_of(old) if old else {}, figures_of(new) if new else {}
    return tuple(Figure(name, before.get(name), after.get(name)) for name in {**after, **before} if before.get(name) != after.get(name))


def differences(now: datetime) -> list[Difference]:
    """Return how the installed release differs from the book."""
    seeds = Price.objects.filter(provider__in=SEEDED, source=Price.Source.SEED)
    book = _by_name(approved().filter(pk__in=seeds.values("pk"), withdrawn_at=None).order_by("valid_from", "created_at"))
    entered = approved().filter(source=Price.Source.ENTERED, withdrawn_at=None, valid_from__lte=now)
    overridden = set(entered.values_list("provider", "upstream_model"))
    proposed = _by_name(with_state().filter(pk__in=seeds.values("pk"), state="proposed"))
    return compare(published_prices(), book, overridden, proposed, now)


def _by_name(rows: Iterable[Price]) -> dict[Name, list[Price]]:
    found: dict[Name, list[Price]] = {}
    for row in rows:
        found.setdefault((row.provider, row.upstream_model), []).append(row)
    return found


@audit.act()
def add_differences(chosen: Iterable[Difference], proposed_by: User | None = None) -> int:
    """Add the prices of these differences and return how many: approved from the start, or as proposals of a person.

    Rows are written in bulk: whoever adds approved ones announces the change.
    """
    rows = [difference.row for difference in chosen if difference.row is not None]
    for row in rows:
        row.entered_by = proposed_by
    before = Price.objects.count()
    Price.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
    added = Price.objects.count() - before
    if added:
        names = sorted({f"{row.provider}/{row.upstream_model}" for row in rows})
        audit.record("price.import", prices=added, models=names[:MOST_NAMED], release=release())
    return added


def seed_prices() -> int:
    """Add the models the book does not know at all and return the number of prices; changed figures wait until somebody imports them.

    Whoever calls this announces the change.
    """
    return add_differences(difference for difference in differences(timezone.now()) if difference.kind == "new")
