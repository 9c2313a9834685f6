"""Does everything add up: entries, windows, leases, grants and usage rows, each computed anew from the one before. Reads only."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Sum

from billing import attempts, ledger
from billing.models import CreditGrant, DisputedHold, Entry, Lease, Posting, Unit, UsageRecord, Window
from billing.receipts import ATTEMPTS_BILLED
from billing.retention import archived_by_window

POSTINGS_AT_ONCE = 5000
# Postings whose consumption usage rows explain: calls, and calls priced anew.
OF_CALLS = (Posting.Kind.CONSUME, Posting.Kind.RERATE)


class Figures(NamedTuple):
    """A window's figures in its unit."""

    base: int = 0
    credit: int = 0
    spent: int = 0
    held: int = 0
    overrun: int = 0


class Verified(NamedTuple):
    """What was compared, which part of all nano-USD consumed its usage rows explain (1.0 is all), and the first difference in words.

    `attempts_nanousd` of what calls cost went to attempts that did not serve them.
    """

    checked: int
    explained_ratio: float
    first_bad: str
    attempts_nanousd: int = 0


class Usage(NamedTuple):
    """How calls explain what was consumed, in nano-USD."""

    checked: int
    consumed_nanousd: int
    explained_nanousd: int
    differences: list[str]


def verify() -> Verified:
    """Recompute everything from usage rows and entries as of one moment; `first_bad` is empty when all of it adds up."""
    with _one_moment():
        books = books_of_windows()
        usage = _usage()
        checked, found = usage.checked, _Found()
        checked += _windows(books, found)
        checked += _grants(found)
        divided, attempts_nanousd = _attempts(found)
        checked += divided
        for words in usage.differences:
            found.note(words)
    ratio = usage.explained_nanousd / usage.consumed_nanousd if usage.consumed_nanousd else 1.0
    return Verified(checked, ratio, found.first, attempts_nanousd)


def books_of_windows() -> dict[str, Figures]:
    """Return every window's figures as the ledger has them, in nano-USD."""
    totals: dict[str, list[int]] = defaultdict(lambda: [0] * len(Figures._fields))
    for debit, credit, amount in Entry.objects.values_list("debit", "credit").annotate(total=Sum("amount_nanousd")).order_by():
        for account, other, signed in ((credit, debit, int(amount)), (debit, credit, -int(amount))):
            if not account.startswith("window:"):
                continue
            name, _, part = account.removeprefix("window:").rpartition(":")
            figures = totals[name]
            if part == "free" and other == ledger.BUDGETS:
                figures[0] += signed
            elif part == "free" and (other == ledger.EXPIRED or other.startswith("grant:")):
                figures[1] += signed
            elif part == "consumed":
                figures[2] += signed
                figures[4] += signed if other == ledger.OVERRUN else 0
            elif part == "held":
                figures[3] += signed
    return {name: Figures(*figures) for name, figures in totals.items()}


def held_by_window() -> dict[str, int]:
    """Return what leases and open disputes keep of each window, in its unit."""
    held: dict[str, int] = defaultdict(int)
    for name, total in Lease.objects.values_list("window_id").annotate(total=Sum("outstanding")).order_by():
        held[name] += int(total)
    for name, total in DisputedHold.objects.filter(released_at=None).values_list("window_id").annotate(total=Sum("amount")).order_by():
        held[name] += int(total)
    return held


class _Found:
    first = ""

    def note(self, words: str) -> None:
        self.first = self.first or words


@contextmanager
def _one_moment() -> Iterator[None]:
    with transaction.atomic():
        if connection.vendor == "postgresql" and len(connection.savepoint_ids) == 0:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield


def _windows(books: dict[str, Figures], found: _Found) -> int:
    held, seen = held_by_window(), set[str]()
    windows = Window.objects.order_by("id").values_list("id", "unit", "budget_id", *Figures._fields)
    for name, unit, budget, *columns in windows.iterator():
        seen.add(name)
        figures = Figures(*columns)
        if figures.held != held.get(name, 0):
            found.note(f"Window {name} says that {figures.held} are held, its leases and disputes say {held.get(name, 0)}.")
        if budget is None or unit != Unit.NANOUSD:
            continue
        for field, column, booked in zip(Figures._fields, figures, books.get(name, Figures()), strict=True):
            if column != booked:
                found.note(f"Window {name}: {field} is {column} nano-USD, the ledger says {booked}.")
    for name in sorted(name for name in books.keys() - seen if any(books[name])):  # all zero: posted back before the window was removed
        found.note(f"The ledger knows window {name}, which does not exist.")
    return len(seen)


def _grants(found: _Found) -> int:
    balances: dict[str, int] = defaultdict(int)
    for field, sign in (("credit", 1), ("debit", -1)):
        entries = Entry.objects.filter(**{f"{field}__startswith": "grant:"})
        for account, total in entries.values_list(field).annotate(total=Sum("amount_nanousd")).order_by():
            balances[account] += sign * int(total)
    grants = CreditGrant.objects.order_by("id").values_list("id", "remaining_nanousd")
    for number, remaining in grants:
        booked = balances.get(ledger.grant_account(number), 0)
        if booked != remaining:
            found.note(f"Credit grant {number} has {remaining} nano-USD left, the ledger says {booked}.")
    return len(grants)


def _attempts(found: _Found) -> tuple[int, int]:
    """Compare calls that are billed for several attempts with the sum of these; return how many, and nano-USD of attempts that served nobody."""
    checked = lost_nanousd = 0
    rows = UsageRecord.objects.filter(flags__contains=ATTEMPTS_BILLED).order_by("id")
    for call in rows.only("call_id", "kind", "flags", "attempts", "cost_nanousd", *attempts.COUNTS).iterator(chunk_size=1000):
        charges = attempts.costly(call.attempts)
        checked += 1
        for name in ("cost_nanousd", *attempts.COUNTS):
            total = sum(getattr(charge, name) for _, charge in charges)
            if total != getattr(call, name):
                found.note(f"Call {call.call_id} ({call.kind}) has {name} {getattr(call, name)}, its attempts add up to {total}.")
        lost_nanousd += sum(charge.cost_nanousd for attempt, charge in charges if attempt.outcome != "ok")
    return checked, lost_nanousd


def _usage() -> Usage:
    """Compare what each posting consumed with the costs of the calls that name it.

    Of calls in archives only the sums by window are left: what postings lack must be, window by window, what the archives add up to.
    """
    checked = consumed = explained = 0
    archived = archived_by_window()
    lacking: dict[str, int] = defaultdict(int)
    differences: list[str] = []
    known = set(Window.objects.filter(unit=Unit.NANOUSD).exclude(budget=None).values_list("id", flat=True))
    last = 0
    while postings := list(Posting.objects.filter(kind__in=OF_CALLS, id__gt=last).order_by("id").values_list("id", flat=True)[:POSTINGS_AT_ONCE]):
        first, last = min(postings), max(postings)
        booked, used = _booked(first, last), _used(first, last, known)
        for posting, name in sorted(booked.keys() | used.keys()):
            amount, cost = booked.get((posting, name), 0), used.get((posting, name), 0)
            checked += 1
            consumed += amount
            if amount != cost and name in archived:
                # of calls priced anew and archived, a lowered cost is below zero: only their sum says what is explained
                lacking[name] += amount - cost
                explained += cost
                continue
            explained += min(amount, cost)
            if amount != cost:
                differences.append(f"Posting {posting} consumed {amount} nano-USD of window {name}, the calls that name it cost {cost}.")
    for name in sorted(archived.keys() & known):
        checked += 1
        explained += min(lacking[name], archived[name])
        if lacking[name] != archived[name]:
            differences.append(f"Window {name}: archived calls cost {archived[name]} nano-USD, postings without calls consumed {lacking[name]}.")
    unposted = UsageRecord.objects.filter(posting=None).exclude(cost_nanousd=0).exclude(windows="").order_by("id").values_list("call_id", "windows")
    differences += [f"Call {call_id} names the window {names} but no posting." for call_id, names in unposted if known & set(names.split())]
    return Usage(checked, consumed, explained, differences)


def _booked(first: int, last: int) -> dict[tuple[int, str], int]:
    booked: dict[tuple[int, str], int] = defaultdict(int)
    entries = Entry.objects.filter(posting__kind__in=OF_CALLS, posting__gte=first, posting__lte=last)
    for side, sign in (("credit", 1), ("debit", -1)):
        rows = entries.filter(**{f"{side}__startswith": "window:", f"{side}__endswith": ":consumed"}).values_list("posting_id", side)
        for posting, account, total in rows.annotate(total=Sum("amount_nanousd")).order_by():
            booked[posting, account.removeprefix("window:").rpartition(":")[0]] += sign * int(total)
    return booked


def _used(first: int, last: int, known: set[str]) -> dict[tuple[int, str], int]:
    used: dict[tuple[int, str], int] = defaultdict(int)
    rows = UsageRecord.objects.filter(posting__gte=first, posting__lte=last)
    for posting, names, cost in rows.values_list("posting", "windows").annotate(total=Sum("cost_nanousd")).order_by():
        assert posting is not None
        for name in dict.fromkeys(names.split()):
            if name in known:
                used[posting, name] += int(cost)
    return used
