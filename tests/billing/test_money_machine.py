"""Leases, settlements, returns, crashes, recalls, credit and changed budgets in any order, on two hosts, against a model that is plain arithmetic."""

import logging
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from billing import budgets, credits  # noqa: A004  # the subject's name
from billing.holds import GiveBack, Take, Want
from billing.intake import Intake
from billing.leases import end, follow, give_back, recall, recalled, take, undo
from billing.models import Budget, CreditGrant, DisputedHold
from billing.receipts import Intent, Settle, encode
from billing.verification import verify
from gateway.plane.journal import Journal, LocalDisk
from tests.billing.budgets import budget, limit, project, want
from tests.billing.receipts import intent, settle

STEPS_PER_EXAMPLE = 100
# Each part begins a search of its own, so that what a search remembers does not grow in a long run.
STEPS_PER_PART = 5_000
VERIFIED_EVERY = 25
# A long run is shared among so many processes, each with searches of its own.
PARTS = 2
AMOUNT, AT_ONCE = 1000, 4
# Small, so that workers go from segment to segment. Nothing waits for a disk: processes die here, power stays.
SEGMENT_BYTES = 8192
DISK = LocalDisk()
DISK.sync = lambda _: None


@dataclass
class Worker:
    """What a worker knows of its leases: what is free by window, and its calls with their quotes."""

    name: str
    home: Intake
    journal: Journal
    number: int = 0
    free: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    calls: dict[str, int] = field(default_factory=dict)
    untaken: int = 0
    has_overrun: bool = False


@dataclass
class Books:
    """What the database says at one moment: windows' figures, and what leases and disputes keep of them."""

    windows: dict[str, dict[str, int]]
    leases: dict[tuple[str, str], int]
    disputed: dict[str, int]

    def held(self, name: str) -> int:
        """Return what is kept of a window."""
        return sum(amount for (_, window), amount in self.leases.items() if window == name) + self.disputed.get(name, 0)


def books() -> Books:
    """Read them in plain SQL: asked after every step, the ORM's words for it took two thirds of the time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, base, credit, spent, held, overrun FROM billing_window")
        windows = {name: dict(zip(("base", "credit", "spent", "held", "overrun"), figures, strict=True)) for name, *figures in cursor.fetchall()}
        cursor.execute("SELECT worker, window_id, outstanding FROM billing_lease")
        leases = {(worker, name): amount for worker, name, amount in cursor.fetchall()}
        cursor.execute("SELECT window_id, SUM(amount) FROM billing_disputedhold WHERE released_at IS NULL GROUP BY window_id")
        return Books(windows, leases, {name: int(amount) for name, amount in cursor.fetchall()})


class Money(RuleBasedStateMachine):
    """One wide and one narrow hard window, a soft one that only tells, and a limit of calls at once."""

    steps = 0

    @initialize()
    def begin(self) -> None:
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.directory = Path(tempfile.mkdtemp(prefix="sgw-money-"))
        self.hosts = [Intake(self.directory / name) for name in ("one", "two")]
        self.narrow, self.wide = budget(AMOUNT), budget(4 * AMOUNT, name="wide")
        self.soft = budget(AMOUNT // 2, name="soft", mode=Budget.Mode.SOFT)
        self.account = credits.open_account(project(), "c")
        self.wants = [want(self.narrow, 0), want(self.wide, 0)]
        self.hard = [one.window for one in self.wants]
        self.at_once = want(limit(AT_ONCE, "parallel"), 1)
        self.names = " ".join([*self.hard, want(self.soft, 0).window])
        self.workers: list[Worker] = []
        self.started = self.called = 0
        self.spent = dict.fromkeys(self.names.split(), 0)
        self.used = dict.fromkeys(self.hard, 0)

    def teardown(self) -> None:
        if not hasattr(self, "atomic"):
            return
        for worker in self.workers:
            worker.journal.close()
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)
        shutil.rmtree(self.directory)

    def worker(self, pick: int) -> Worker:
        if pick >= len(self.workers) and len(self.workers) < 3:
            self.started += 1
            name, home = f"w{self.started}", self.hosts[self.started % 2]
            journal = Journal(home.directory, name, segment_bytes=SEGMENT_BYTES, flush_interval_ms=0, disk=DISK)
            self.workers.append(Worker(name, home, journal))
        return self.workers[pick % len(self.workers)]

    # ---- workers ----------------------------------------------------------------------------------------------------

    @rule(pick=st.integers(0, 3), least=st.integers(0, 400), wish=st.integers(0, 800), again=st.booleans(), lost=st.booleans())
    def takes(self, pick: int, least: int, wish: int, again: bool, lost: bool) -> None:
        worker = self.worker(pick)
        worker.number += 1
        wants = [Want(one.window, one.owner, "", one.opens_at_s, one.closes_at_s, least, wish) for one in self.wants]
        question = Take(worker.number, worker.name, (*wants, self.at_once))
        answer = take(worker.home.host, question)
        if again:
            repeated = take(worker.home.host, question)
            assert [grant.amount for grant in repeated.grants if grant.amount] == [grant.amount for grant in answer.grants if grant.amount]
            answer = repeated
        if lost:
            undo(worker.home.host, question)
            return
        for grant, asked in zip(answer.grants, question.wants, strict=True):
            assert grant.amount == 0 or grant.amount >= asked.least
            worker.free[grant.window] += grant.amount

    @rule(pick=st.integers(0, 3), quote=st.integers(1, 300), wish=st.integers(0, 800))
    def calls(self, pick: int, quote: int, wish: int) -> None:
        worker = self.worker(pick)
        if any(worker.free[name] < quote for name in self.hard) or not worker.free[self.at_once.window]:
            self.takes(pick, quote, wish, again=False, lost=False)
        if all(worker.free[name] >= quote for name in self.hard) and worker.free[self.at_once.window]:
            self.called += 1
            call_id = f"call_{self.called}"
            for name in self.hard:
                worker.free[name] -= quote
            worker.free[self.at_once.window] -= 1
            worker.calls[call_id] = quote
            worker.journal.append(encode(self.told(intent, call_id, worker, quote_nanousd=quote, input_nanousd=quote // 3)))

    @rule(pick=st.integers(0, 3), share=st.integers(0, 130), twice=st.booleans())
    def settles(self, pick: int, share: int, twice: bool) -> None:
        worker = self.worker(pick)
        if not worker.calls:
            return
        call_id = next(iter(worker.calls))
        quote = worker.calls.pop(call_id)
        cost = quote * share // 100
        for _ in range(1 + twice):
            worker.journal.append(encode(self.told(settle, call_id, worker, quote_nanousd=quote, cost_nanousd=cost)))
        worker.untaken += cost
        worker.has_overrun |= cost > quote
        for name in self.hard:
            worker.free[name] += quote - cost
        worker.free[self.at_once.window] += 1
        for name in self.spent:
            self.spent[name] += cost

    @rule(pick=st.integers(0, 3), share=st.integers(0, 100), again=st.booleans())
    def returns(self, pick: int, share: int, again: bool) -> None:
        worker = self.worker(pick)
        worker.number += 1
        amounts = {name: max(0, free) * share // 100 for name, free in worker.free.items()}
        for _ in range(1 + again):
            give_back(worker.home.host, GiveBack(worker.number, worker.name, amounts))
        for name, amount in amounts.items():
            worker.free[name] -= amount

    @precondition(lambda self: self.workers)
    @rule(pick=st.integers(0, 2))
    def dies(self, pick: int) -> None:
        worker = self.workers.pop(pick % len(self.workers))
        worker.journal.close()
        for quote in worker.calls.values():
            for name in self.spent:
                self.spent[name] += quote // 3

    @rule(pick=st.integers(0, 3))
    def rests(self, pick: int) -> None:
        """A worker without calls returns what it has and ends its leases: nothing of it stays held, whatever vendors billed beyond their holds."""
        worker = self.worker(pick)
        if worker.calls:
            return
        self.give_back_all(worker, self.hard, ends=tuple(self.hard))
        self.takes_in(worker.home is self.hosts[1])
        end(worker.home.host, GiveBack(worker.number, worker.name, {}, tuple(self.hard)))
        kept = {name: amount for (owner, name), amount in books().leases.items() if owner == worker.name and name in self.hard}
        assert not any(kept.values())
        worker.has_overrun = False
        for name in self.hard:
            worker.free[name] = 0

    # ---- hosts ------------------------------------------------------------------------------------------------------

    @rule(second=st.booleans())
    def takes_in(self, second: bool) -> None:
        home = self.hosts[second]
        home.run_once()
        for worker in self.workers:
            if worker.home is home:
                worker.untaken = 0

    @rule(second=st.booleans())
    def intake_restarts(self, second: bool) -> None:
        old, fresh = self.hosts[second], Intake(self.hosts[second].directory)
        assert fresh.host == old.host
        self.hosts[second] = fresh
        for worker in self.workers:
            worker.home = fresh if worker.home is old else worker.home

    @rule(second=st.booleans())
    def idle_amounts_are_called_back(self, second: bool) -> None:
        recall(self.hosts[second].host, self.hard)
        other = self.hosts[not second]
        numbers = recalled(other.host)
        for worker in self.workers:
            if worker.home is other:
                self.give_back_all(worker, numbers)
        follow(other.host, numbers)
        assert recalled(other.host) == {}

    def give_back_all(self, worker: Worker, names: Iterable[str], ends: tuple[str, ...] = ()) -> None:
        worker.number += 1
        amounts = {name: worker.free[name] for name in names if worker.free[name] > 0}
        give_back(worker.home.host, GiveBack(worker.number, worker.name, amounts, ends))
        for name in amounts:
            worker.free[name] = 0

    # ---- people -----------------------------------------------------------------------------------------------------

    @rule(what=st.sampled_from(["credit", "credit for a day", "the end", "amount", "freeze", "thaw", "release"]), amount=st.integers(AMOUNT // 4, AMOUNT * 2))
    def people_act(self, what: str, amount: int) -> None:
        if what == "credit":
            credits.grant(self.account, amount, None, None, "r")
        elif what == "credit for a day":
            credits.grant(self.account, amount, datetime.now(UTC) + timedelta(days=1), None, "r")
        elif what == "the end":
            CreditGrant.objects.exclude(expires_at=None).update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
            credits.expire_due()
        elif what == "amount":
            self.narrow.refresh_from_db()
            if amount != self.narrow.amount:
                self.narrow.amount = amount
                budgets.save_budget(self.narrow, None, "r")
        elif what == "release":
            for dispute in DisputedHold.objects.filter(released_at=None):
                credits.release_dispute(dispute, None, "r")
        else:
            budgets.set_frozen(self.wide, what == "freeze", None, "r")

    # ---- what must hold ---------------------------------------------------------------------------------------------

    @invariant()
    def adds_up(self) -> None:
        """Nothing is promised beyond a limit: what is spent and held only grows within it, also when it was lowered under what is used."""
        if not hasattr(self, "atomic"):
            return
        type(self).steps += 1
        now = books()
        for name, window in now.windows.items():
            assert window["held"] == now.held(name)
        for name in self.hard:
            if name in now.windows:
                window = now.windows[name]
                used = window["spent"] - window["overrun"] + window["held"]
                assert used <= max(window["base"] + window["credit"], self.used[name])
                assert window["spent"] <= self.spent[name]
                self.used[name] = used
        assert now.windows.get(self.at_once.window, {"held": 0})["held"] <= AT_ONCE
        for worker in self.workers:
            for name in self.hard:
                known = worker.free[name] + sum(worker.calls.values()) + worker.untaken
                assert worker.has_overrun or now.leases.get((worker.name, name), 0) == known
            assert now.leases.get((worker.name, self.at_once.window), 0) == worker.free[self.at_once.window] + len(worker.calls)

    @invariant()
    def ledger_explains_everything(self) -> None:
        if hasattr(self, "atomic") and self.steps % VERIFIED_EVERY == 0:
            assert verify().first_bad == ""

    @precondition(lambda self: self.workers)
    @rule()
    def everything_ends(self) -> None:
        """Everyone leaves: what is spent is what the calls cost, and nothing stays held but disputes."""
        while self.workers:
            self.dies(0)
        for home in self.hosts:
            home.run_once()
        found, now = verify(), books()
        assert (found.first_bad, found.explained_ratio) == ("", 1.0)
        for name, spent in self.spent.items():
            window = now.windows.get(name, {"spent": 0, "held": 0})
            assert (window["spent"], window["held"]) == (spent, now.disputed.get(name, 0))
        assert now.windows.get(self.at_once.window, {"held": 0})["held"] == 0

    def told(self, make: Any, call_id: str, worker: Worker, **amounts: int) -> Intent | Settle:
        """A record of one of this machine's calls."""
        record: Intent | Settle = make(call_id, worker=worker.name, windows=self.names, **amounts)
        return record


def run(steps: int) -> None:
    """Make at least so many steps, and say now and then how far it is."""
    Money.steps, began = 0, time.monotonic()
    while Money.steps < steps:
        part = min(STEPS_PER_PART, steps - Money.steps)
        profile = settings(
            max_examples=max(1, -(-part // STEPS_PER_EXAMPLE)),
            stateful_step_count=STEPS_PER_EXAMPLE,
            deadline=None,
            database=None,
            print_blob=True,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(Money, settings=profile)
        print(f"{Money.steps} steps of {steps} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


@pytest.mark.django_db
def test_money_adds_up_whatever_happens_in_whatever_order() -> None:
    run(2_000)


@pytest.mark.chaos
@pytest.mark.long
@pytest.mark.django_db
@pytest.mark.parametrize("part", range(PARTS))
def test_money_adds_up_after_very_many_steps(money_steps: int, part: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="billing")
    run(-(-money_steps // PARTS))
