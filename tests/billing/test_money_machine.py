"""Leases, settlements, returns, crashes, recalls and credit in any order, against a model that is plain arithmetic."""

import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from billing import budgets, credits  # noqa: A004  # the subject's name
from billing.holds import GiveBack, Take, Want
from billing.intake import Intake
from billing.leases import give_back, take, undo
from billing.models import Budget, CreditGrant, DisputedHold, Lease
from billing.receipts import Intent, Settle, encode
from billing.verification import held_by_window, verify
from gateway.plane.journal import Journal
from tests.billing.budgets import budget, figures, project, want
from tests.billing.receipts import intent, settle

STEPS_PER_EXAMPLE = 50
AMOUNT = 1000


@dataclass
class Worker:
    """What a worker knows of its leases: what is free by window, and its calls with their quotes."""

    name: str
    journal: Journal
    number: int = 0
    free: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    untaken: int = 0
    has_overrun: bool = False


class Money(RuleBasedStateMachine):
    """One wide and one narrow hard window, and a soft one that only tells."""

    @initialize()
    def begin(self) -> None:
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.directory = Path(tempfile.mkdtemp(prefix="sgw-money-"))
        self.intake = Intake(self.directory)
        self.narrow, self.wide = budget(AMOUNT), budget(4 * AMOUNT, name="wide")
        self.soft = budget(AMOUNT // 2, name="soft", mode=Budget.Mode.SOFT)
        self.account = credits.open_account(project(), "c")
        self.wants = [want(self.narrow, 0), want(self.wide, 0)]
        self.hard = [one.window for one in self.wants]
        self.names = " ".join([*self.hard, want(self.soft, 0).window])
        self.workers: list[Worker] = []
        self.started = self.called = 0
        self.spent = dict.fromkeys(self.names.split(), 0)
        self.granted = 0

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
            name = f"w{self.started}"
            self.workers.append(Worker(name, Journal(self.directory, name)))
        return self.workers[pick % len(self.workers)]

    @rule(pick=st.integers(0, 3), least=st.integers(0, 400), wish=st.integers(0, 800), again=st.booleans(), lost=st.booleans())
    def takes(self, pick: int, least: int, wish: int, again: bool, lost: bool) -> None:
        worker = self.worker(pick)
        worker.number += 1
        wants = tuple(Want(one.window, one.owner, "", one.opens_at_s, one.closes_at_s, least, wish) for one in self.wants)
        question = Take(worker.number, worker.name, wants)
        answer = take(self.intake.host, question)
        if again:
            repeated = take(self.intake.host, question)
            assert [grant.amount for grant in repeated.grants if grant.amount] == [grant.amount for grant in answer.grants if grant.amount]
            answer = repeated
        if lost:
            undo(self.intake.host, question)
            return
        for grant in answer.grants:
            assert grant.amount == 0 or grant.amount >= least
            assert grant.spent - figures(grant.window)["overrun"] + grant.held <= grant.limit
            worker.free[grant.window] = worker.free.get(grant.window, 0) + grant.amount

    @rule(pick=st.integers(0, 3), quote=st.integers(1, 300))
    def calls(self, pick: int, quote: int) -> None:
        worker = self.worker(pick)
        if all(worker.free.get(name, 0) >= quote for name in self.hard):
            self.called += 1
            call_id = f"call_{self.called}"
            for name in self.hard:
                worker.free[name] -= quote
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
        for name in self.spent:
            self.spent[name] += cost

    @rule(pick=st.integers(0, 3), share=st.integers(0, 100), again=st.booleans())
    def returns(self, pick: int, share: int, again: bool) -> None:
        worker = self.worker(pick)
        worker.number += 1
        amounts = {name: max(0, free) * share // 100 for name, free in worker.free.items()}
        for _ in range(1 + again):
            give_back(self.intake.host, GiveBack(worker.number, worker.name, amounts))
        for name, amount in amounts.items():
            worker.free[name] -= amount

    @rule()
    def takes_in(self) -> None:
        self.intake.run_once()
        for worker in self.workers:
            worker.untaken = 0

    @rule()
    def intake_restarts(self) -> None:
        host = self.intake.host
        self.intake = Intake(self.directory)
        assert self.intake.host == host

    @precondition(lambda self: self.workers)
    @rule(pick=st.integers(0, 2))
    def dies(self, pick: int) -> None:
        worker = self.workers.pop(pick % len(self.workers))
        worker.journal.close()
        for quote in worker.calls.values():
            for name in self.spent:
                self.spent[name] += quote // 3

    @rule(amount=st.integers(1, 500), lasts=st.booleans())
    def credits_come(self, amount: int, lasts: bool) -> None:
        credits.grant(self.account, amount, None if lasts else datetime.now(UTC) + timedelta(days=1), None, "r")
        self.granted += amount

    @rule()
    def credit_ends(self) -> None:
        CreditGrant.objects.exclude(expires_at=None).update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
        credits.expire_due()

    @rule(amount=st.integers(AMOUNT // 2, AMOUNT * 2))
    def budget_grows(self, amount: int) -> None:
        self.narrow.refresh_from_db()
        if amount > self.narrow.amount:
            self.narrow.amount = amount
            budgets.save_budget(self.narrow, None, "r")

    @rule()
    def disputes_are_released(self) -> None:
        for dispute in DisputedHold.objects.filter(released_at=None):
            credits.release_dispute(dispute, None, "r")

    @invariant()
    def adds_up(self) -> None:
        if not hasattr(self, "atomic"):
            return
        held = held_by_window()
        for name in self.hard:
            if budget_window := self.window(name):
                assert budget_window["held"] == held.get(name, 0)
                assert budget_window["spent"] - budget_window["overrun"] + budget_window["held"] <= budget_window["base"] + budget_window["credit"]
                assert budget_window["spent"] <= self.spent[name]

    @invariant()
    def workers_and_the_authority_agree(self) -> None:
        for worker in getattr(self, "workers", []):
            held = dict(Lease.objects.filter(worker=worker.name).values_list("window_id", "outstanding"))
            for name, free in worker.free.items():
                assert worker.has_overrun or held.get(name, 0) == free + sum(worker.calls.values()) + worker.untaken

    @invariant()
    def ledger_explains_everything(self) -> None:
        if hasattr(self, "atomic") and self.called % 5 == 0:
            assert verify().first_bad == ""

    @rule()
    def everything_ends(self) -> None:
        """Everyone leaves: what is spent is what the calls cost, and nothing stays held but disputes."""
        while self.workers:
            self.dies(0)
        self.intake.run_once()
        found = verify()
        assert (found.first_bad, found.explained_ratio) == ("", 1.0)
        disputed = dict.fromkeys(self.spent, 0)
        for dispute in DisputedHold.objects.filter(released_at=None):
            disputed[dispute.window_id] += dispute.amount
        for name, spent in self.spent.items():
            window = self.window(name)
            assert (spent, 0) if window is None else (window["spent"], window["held"]) == (spent, disputed[name])

    def window(self, name: str) -> dict[str, int] | None:
        from billing.models import Window

        return Window.objects.values("base", "credit", "spent", "held", "overrun").filter(id=name).first()

    def told(self, make: type[Intent] | type[Settle] | object, call_id: str, worker: Worker, **amounts: int) -> Intent | Settle:
        """A record of one of this machine's calls."""
        return make(call_id, worker=worker.name, windows=self.names, **amounts)  # type: ignore[operator,no-any-return]


def run(steps: int) -> None:
    profile = settings(
        max_examples=max(1, steps // STEPS_PER_EXAMPLE),
        stateful_step_count=STEPS_PER_EXAMPLE,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Money, settings=profile)


@pytest.mark.django_db
def test_money_adds_up_whatever_happens_in_whatever_order() -> None:
    run(2_000)


@pytest.mark.chaos
@pytest.mark.django_db
def test_money_adds_up_after_very_many_steps(money_steps: int) -> None:
    run(money_steps)
