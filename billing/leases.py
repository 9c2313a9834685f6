"""The authority over windows: gives leases to workers and takes them back, each question once. The database decides; workers and their clocks do not."""

import secrets
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, Q, Sum

from billing import ledger
from billing.credits import draw
from billing.holds import GaveBack, GiveBack, Grant, Granted, Take, Want
from billing.ledger import Draft, Movement
from billing.models import Budget, DisputedHold, Host, Lease, Limit, Posting, Unit, Window
from billing.windows import Change, Opening, change, database_now, lock, open_window

# How far a worker's idea of now may be off before its windows are refused.
TOLERANCE = timedelta(minutes=5)
# While there is plenty a lease is at most this part of what is free, so that no worker starves the others.
PART = 8
# A host that was not heard of for so long is not waited for.
HOST_SILENT = timedelta(seconds=10)
CHANNEL = "symbiosis_recall"
# What is held for batches belongs to no host: it outlives every worker, and is settled by whoever looks at them.
NO_HOST = ""
# No vendor works at a batch for longer than a day.
BATCHES_END_AFTER = timedelta(days=3)

Question = Take | GiveBack
Answer = Granted | GaveBack


def take(host: str, question: Take) -> Granted:
    """Grant what a worker of this host asks for, each want on its own; the same number asked again is answered alike and granted once."""
    (answer,) = answer_all(host, [question])
    assert isinstance(answer, Granted)
    return answer


def give_back(host: str, question: GiveBack) -> GaveBack:
    """Take back what a worker does not need, never more than it holds; the same number again changes nothing."""
    (answer,) = answer_all(host, [question])
    assert isinstance(answer, GaveBack)
    return answer


def answer_all(host: str, questions: Sequence[Question]) -> list[Answer]:
    """Answer many questions in their order and in one transaction; raises django.db.Error, then none has happened or all have."""
    unopened: set[str] = set()
    while True:
        now = database_now()
        with transaction.atomic():
            desk = Desk(host, now, questions)
            openings = {name: opening for name, opening in desk.unknown(questions).items() if name not in unopened}
            if not openings:
                answers = [desk.answer(question) for question in questions]
                desk.close()
                return answers
        # opened before anything is locked: a budget is locked before its windows
        unopened |= {name for name in sorted(openings) if not open_window(openings[name])}


@dataclass
class Desk:
    """The locked windows and leases of one transaction, and what is to be written at its end."""

    host: str
    now: datetime
    questions: Sequence[Question]
    changes: dict[str, Change] = field(default_factory=dict)
    touched: dict[tuple[str, str], Lease] = field(default_factory=dict)
    drafts: list[Draft] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = {name for question in self.questions for name in _named(question)}
        self.windows = lock(names)
        leases = Lease.objects.filter(worker__in={question.worker for question in self.questions}, window__in=list(self.windows))
        self.leases = {(lease.worker, lease.window_id): lease for lease in leases}

    def unknown(self, questions: Iterable[Question]) -> dict[str, Opening]:
        """Return which wanted windows do not exist but would be in time."""
        return {
            want.window: Opening(want.window, want.owner, want.subject, want.opens_at_s, want.closes_at_s)
            for question in questions
            if isinstance(question, Take)
            for want in question.wants
            if want.window not in self.windows and self._in_time(want)
        }

    def answer(self, question: Question) -> Answer:
        """Answer one question; later ones see what it changed."""
        if isinstance(question, GiveBack):
            self._return(question)
            return GaveBack(question.number)
        movements: list[Movement] = []
        grants = tuple(self._grant(question, want, movements) for want in question.wants)
        if movements:
            self.drafts.append(Draft(Posting.Kind.LEASE, _reference("lease", question), movements))
        return Granted(question.number, grants)

    def close(self) -> None:
        """Write the changed windows, leases and postings."""
        change(self.changes)
        for lease in self.touched.values():
            lease.at = self.now
        old = [lease for lease in self.touched.values() if not lease._state.adding]
        Lease.objects.bulk_create([lease for lease in self.touched.values() if lease._state.adding])
        if old:
            Lease.objects.bulk_update(old, ["outstanding", "request", "granted", "returned", "at"])
        ledger.post_all(self.drafts)

    def _in_time(self, want: Want) -> bool:
        opens_s, closes_s, now_s = want.opens_at_s, want.closes_at_s, self.now.timestamp()
        slack_s = TOLERANCE.total_seconds()
        return opens_s <= now_s + slack_s and (not closes_s or closes_s >= now_s - slack_s)

    def _grant(self, question: Take, want: Want, movements: list[Movement]) -> Grant:
        window = self.windows.get(want.window)
        if window is None:
            # a limit that is gone limits nothing
            gone = want.owner.startswith("l:") and not Limit.objects.filter(pk=want.owner[2:]).exists()
            return Grant(want.window, max(want.least, 0), 0, 0, 0) if gone else Grant(want.window, 0, 0, 0, 0, "exhausted")
        lease = self.leases.get((question.worker, window.id))
        if lease is not None and lease.request == question.number and lease.granted:
            return _figures(window, lease.granted)
        reason = self._refusal(window, want, lease, question.number)
        amount = 0 if reason else self._amount(window, want, question)
        if not amount:
            return _figures(window, 0, reason or self._why_not(window))
        if lease is None:
            lease = Lease(worker=question.worker, host=self.host, window=window, recall_seen=window.recall)
            self.leases[question.worker, window.id] = lease
        lease.outstanding += amount
        lease.request, lease.granted = question.number, amount
        self._hold(window, lease, amount)
        if _has_ledger(window):
            movements.append(Movement(ledger.free(window.id), ledger.held(window.id), amount))
        return _figures(window, amount)

    def _refusal(self, window: Window, want: Want, lease: Lease | None, number: int) -> str:
        if not self._in_time(want) or window.closed_at is not None or (window.closes_at and window.closes_at < self.now - TOLERANCE):
            return "exhausted"
        if window.budget is not None and window.budget.is_frozen:
            return "frozen"
        # an answer that a later question has overwritten is not known any more
        return "held" if lease is not None and lease.request > number else ""

    def _amount(self, window: Window, want: Want, question: Take) -> int:
        """Return how much may be leased now, drawing credit when the call needs it; 0 when it does not fit."""
        least, free = max(want.least, 0), window.amount - window.spent - window.held
        if window.budget is not None and window.budget.mode == Budget.Mode.SOFT:
            return least
        if least > free and _has_ledger(window) and window.budget is not None:
            drawn = draw(window.budget, window.id, least - free, self.now)
            if drawn:
                self.drafts.append(Draft(Posting.Kind.DRAW, _reference("draw", question), drawn))
                self._add(window, Change(credit=least - free))
                window.credit += least - free
                free = least
        if least > free:
            return 0
        # in whole calls: what is left over in many workers could have paid for one more
        more = max(0, min(want.wish, max(free, 0) // PART) - least)
        return least + more // max(1, want.call) * max(1, want.call)

    def _why_not(self, window: Window) -> str:
        if not window.held:
            return "exhausted"
        # neither comes back in a moment
        disputed = DisputedHold.objects.filter(window=window.id, released_at=None).aggregate(total=Sum("amount"))["total"] or 0
        batches = Lease.objects.filter(window=window.id, host=NO_HOST).aggregate(total=Sum("outstanding"))["total"] or 0
        return "held" if window.held > disputed + batches else "exhausted"

    def _return(self, question: GiveBack) -> None:
        movements: list[Movement] = []
        for name, amount in question.amounts.items():
            lease, window = self.leases.get((question.worker, name)), self.windows.get(name)
            if lease is None or window is None or lease.returned >= question.number:
                continue
            returned = max(0, min(amount, lease.outstanding))
            lease.outstanding -= returned
            lease.returned = question.number
            self._hold(window, lease, -returned)
            if _has_ledger(window):
                movements.append(Movement(ledger.held(name), ledger.free(name), returned))
        self.drafts.append(Draft(Posting.Kind.RETURN, _reference("return", question), movements))

    def _hold(self, window: Window, lease: Lease, amount: int) -> None:
        window.held += amount
        self.touched[lease.worker, window.id] = lease
        self._add(window, Change(held=amount))

    def _add(self, window: Window, more: Change) -> None:
        had = self.changes.get(window.id, Change())
        held = had.held + more.held
        soft = window.budget is not None and window.budget.mode == Budget.Mode.SOFT
        self.changes[window.id] = Change(held=held, credit=had.credit + more.credit, within=held > 0 and not soft)


def _reference(event: str, question: Question) -> str:
    # a question can be granted in parts, or again after an undo: the lease's own number keeps each part from happening twice
    return f"{event}:{question.worker}:{question.number}:{secrets.token_hex(4)}"


def _named(question: Question) -> Iterable[str]:
    return [want.window for want in question.wants] if isinstance(question, Take) else question.amounts


def _has_ledger(window: Window) -> bool:
    return window.budget_id is not None and window.unit == Unit.NANOUSD


def _figures(window: Window, amount: int, reason: str = "") -> Grant:
    return Grant(window.id, amount, window.amount, window.spent, window.held, reason)


@transaction.atomic
def undo(host: str, question: Take) -> None:
    """Take back what a question was granted if nobody heard the answer, as when the connection broke in its commit."""
    windows = lock([want.window for want in question.wants])
    leases = Lease.objects.filter(worker=question.worker, host=host, window__in=list(windows), request=question.number, granted__gt=0)
    movements: list[Movement] = []
    changes: dict[str, Change] = {}
    for lease in leases:
        amount = min(lease.granted, lease.outstanding)
        Lease.objects.filter(id=lease.id).update(outstanding=F("outstanding") - amount, granted=0)
        changes[lease.window_id] = Change(held=-amount)
        if _has_ledger(windows[lease.window_id]):
            movements.append(Movement(ledger.held(lease.window_id), ledger.free(lease.window_id), amount))
    change(changes)
    ledger.post_all([Draft(Posting.Kind.RETURN, _reference("undo", question), movements)])


@transaction.atomic
def end(host: str, question: GiveBack) -> None:
    """Take back whatever a worker's leases still keep of windows it holds nothing of, once its journal up to this question is taken in.

    That is what it never heard of, what a vendor billed beyond its hold, and what receipts put aside had cost. A lease granted later stays.
    """
    windows = lock(question.ends)
    mine = Lease.objects.filter(_RECLAIMABLE, worker=question.worker, host=host, window__in=list(windows))
    leases = list(mine.filter(request__lt=question.number, outstanding__gt=0))
    change({lease.window_id: Change(held=-lease.outstanding) for lease in leases})
    movements = [
        Movement(ledger.held(lease.window_id), ledger.free(lease.window_id), lease.outstanding) for lease in leases if _has_ledger(windows[lease.window_id])
    ]
    ledger.post_all([Draft(Posting.Kind.RETURN, _reference("end", question), movements)])
    Lease.objects.filter(id__in=[lease.id for lease in leases]).update(outstanding=0)


@transaction.atomic
def reclaim(worker: str) -> dict[str, int]:
    """End every lease of a worker that is dead and whose journal is fully taken in; return what went back by window.

    A minute's limit keeps what was taken: how much of it was used is not known, and the window is gone in a minute.
    """
    windows = lock(list(Lease.objects.filter(worker=worker).filter(_RECLAIMABLE).values_list("window_id", flat=True)))
    leases = list(Lease.objects.filter(worker=worker, window__in=list(windows)).order_by("window_id"))
    if not leases:
        return {}
    change({lease.window_id: Change(held=-lease.outstanding) for lease in leases})
    movements = [
        Movement(ledger.held(lease.window_id), ledger.free(lease.window_id), lease.outstanding) for lease in leases if _has_ledger(windows[lease.window_id])
    ]
    ledger.post_all([Draft(Posting.Kind.RETURN, f"reclaim:{worker}:{max(lease.id for lease in leases)}", movements)])
    Lease.objects.filter(id__in=[lease.id for lease in leases]).delete()
    return {lease.window_id: lease.outstanding for lease in leases}


def outlive(worker: str) -> None:
    """Let what was leased for a batch, under a worker's name of its own, stay when this host's workers and the host itself are gone."""
    Lease.objects.filter(worker=worker).update(host=NO_HOST)


_RECLAIMABLE = Q(window__limit=None) | Q(window__closes_at=None)


def workers_of(host: str) -> set[str]:
    """Return the workers of a host that have leases to reclaim once they are dead."""
    return set(Lease.objects.filter(_RECLAIMABLE, host=host).values_list("worker", flat=True).distinct())


# ---- recalls -----------------------------------------------------------------------------------------------------------


def heard_of(host: str) -> None:
    """Note that a host's steward is there."""
    Host.objects.update_or_create(id=host, defaults={"seen_at": database_now()})


def holders(host: str, names: Collection[str]) -> dict[str, set[str]]:
    """Return which workers of a host hold something of these windows, by window."""
    found: dict[str, set[str]] = defaultdict(set)
    for worker, name in Lease.objects.filter(host=host, window__in=names, outstanding__gt=0).values_list("worker", "window_id"):
        found[name].add(worker)
    return found


def held_elsewhere(host: str, names: Collection[str], *, unanswered: bool = False) -> set[str]:
    """Return which of these windows other living hosts hold something of; with `unanswered` only where a recall was not followed yet."""
    alive = Host.objects.filter(seen_at__gte=database_now() - HOST_SILENT).exclude(id=host).values("id")
    leases = Lease.objects.filter(window__in=names, outstanding__gt=0, host__in=alive)
    if unanswered:
        leases = leases.filter(recall_seen__lt=F("window__recall"))
    return set(leases.values_list("window_id", flat=True).distinct())


@transaction.atomic
def recall(host: str, names: Collection[str]) -> None:
    """Ask every other host for its idle leases of these windows; stewards see it at their next poll, or at once on Postgres."""
    for name in lock(names):
        Window.objects.filter(id=name).update(recall=F("recall") + 1)
        Lease.objects.filter(window=name, host=host).update(recall_seen=Window.objects.filter(id=name).values("recall"))
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")


def recalled(host: str) -> dict[str, int]:
    """Return the windows whose recall this host has not followed yet, with the recall's number."""
    unseen = Lease.objects.filter(host=host, recall_seen__lt=F("window__recall"))
    return dict(unseen.values_list("window_id", "window__recall").distinct())


@transaction.atomic
def follow(host: str, numbers: Mapping[str, int]) -> None:
    """Note that this host's workers have given back what was idle."""
    for name in lock(list(numbers)):
        Lease.objects.filter(window=name, host=host, recall_seen__lt=numbers[name]).update(recall_seen=numbers[name])


def abandoned(silent: timedelta = timedelta(minutes=10)) -> list[Lease]:
    """Return leases of hosts not heard of for so long, and of batches long over: they may still be settled, so only a person may end them."""
    alive = Host.objects.filter(seen_at__gte=database_now() - silent).values("id")
    young = Q(host=NO_HOST, at__gte=database_now() - BATCHES_END_AFTER)
    return list(Lease.objects.filter(_RECLAIMABLE, outstanding__gt=0).exclude(host__in=alive).exclude(young).order_by("worker", "window_id"))
