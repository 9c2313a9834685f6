"""Limits of calls at once and per minute, shared by two instances with two workers each, also when workers die."""

import itertools
import os
import signal
from collections.abc import Sequence
from typing import Any

import pytest

from tests.fakes.processes import named
from tests.fakes.service import wait_for
from tests.journeys.budgets import Budgeted, ask
from tests.journeys.crowd import Answer, all_at_once, counted
from tests.journeys.siege import Siege

pytestmark = pytest.mark.journey
SLOW = "[[sim: tokens=5 delay=1500]]"
# whoever comes after the twentieth finds the minute's 20,000 tokens used, or held by those before
LONG = "[[sim: tokens=1000]]"
HELD = """
SELECT w.held FROM billing_window w JOIN billing_limit l ON l.id = w.limit_id JOIN accounts_virtualkey k ON k.id = l.key_id WHERE k.public_id = '{0}'
"""
# kind: its amount, what each call counts, and how many calls of the flat model fit
PER_MINUTE = {"rpm": (12, 12), "spend": ("0.07", 7)}


def limited(besieged: Siege, kind: str, amount: int | str) -> Budgeted:
    """Return a key under one limit of a minute or of calls at once, and a budget that is large enough."""
    made = Budgeted(besieged.services[0], "100")
    made.made("limits", {"scope": {"key": made.key_id}, "kind": kind, "amount": amount})
    revision = besieged.services[0].figure("sgw_snapshot_revision")
    for service in besieged.services:
        service.in_force(revision)
    return made


def minute(besieged: Siege) -> str:
    """Return the minute on the database's clock."""
    return str(besieged.database.rows("SELECT date_trunc('minute', clock_timestamp())")[0][0])


def within_a_minute(besieged: Siege, kind: str, amount: int | str, bodies: Sequence[dict[str, Any]]) -> list[Answer]:
    """Return what callers at once hear, all of them in one minute."""
    while True:
        key, before = limited(besieged, kind, amount).key, minute(besieged)
        answers = all_at_once(besieged.origins, key, bodies)
        if minute(besieged) == before:
            return answers


@pytest.mark.parametrize("kind", PER_MINUTE)
def test_as_many_calls_pass_in_a_minute_as_the_limit_says(besieged: Siege, kind: str) -> None:
    amount, fits = PER_MINUTE[kind]
    answers = within_a_minute(besieged, kind, amount, [ask(f"call {number}") for number in range(60)])
    assert counted(answers) == {200: fits, 429: 60 - fits}
    for answer in answers:
        if answer.status == 429:
            told = answer.body["error"]
            limit = 70_000_000 if kind == "spend" else amount
            assert (told["code"], told["type"], told["sgw"]["limit"], told["sgw"]["limit_amount"]) == ("rate_limited", "rate_limit_error", kind, limit)
            assert 1 <= int(answer.headers["retry-after"]) <= 60
        elif kind == "rpm":
            assert answer.headers["x-ratelimit-limit-requests"] == "12"
            assert 0 <= int(answer.headers["x-ratelimit-remaining-requests"]) < 12
            assert answer.headers["x-ratelimit-reset-requests"].endswith("s")


def test_tokens_per_minute_are_held_before_and_counted_after(besieged: Siege) -> None:
    answers = within_a_minute(besieged, "tpm", 20_000, [ask(f"{number} {LONG}", "sim-chat", max_tokens=1000) for number in range(60)])
    assert set(counted(answers)) == {200, 429}
    used = [answer.body["usage"]["total_tokens"] for answer in answers if answer.status == 200]
    assert 0 < sum(used) <= 20_000
    assert {answer.headers["x-ratelimit-limit-tokens"] for answer in answers if answer.status == 200} == {"20000"}
    assert {answer.body["error"]["sgw"]["limit"] for answer in answers if answer.status == 429} == {"tpm"}


def test_calls_at_once_are_limited_and_a_dead_workers_slots_come_back(besieged: Siege) -> None:
    party = limited(besieged, "parallel", 2)
    numbers = itertools.count()

    def eight() -> list[Answer]:
        return all_at_once(besieged.origins, party.key, [ask(f"{next(numbers)} {SLOW}", "sim-chat", max_tokens=10) for _ in range(8)])

    answers = eight()
    assert counted(answers) == {200: 2, 429: 6}
    refused = next(answer for answer in answers if answer.status == 429)
    assert (refused.body["error"]["sgw"]["limit"], refused.body["error"]["sgw"]["limit_amount"], refused.headers["retry-after"]) == ("parallel", 2, "1")

    def taken() -> int:
        return int(besieged.database.rows(HELD.format(party.public_key))[0][0])

    assert taken() == 2
    for service in besieged.services:
        for pid in named(service.pids(), b"gateway.worker"):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: taken() == 0, 20, "the slots of dead workers are free")
    for service in besieged.services:
        wait_for(lambda: service.status("/readyz") == 200, 20, "new workers serve")  # noqa: B023  # waited for in this turn
    assert counted(eight()) == {200: 2, 429: 6}
