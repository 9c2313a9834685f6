"""Budgets that cannot be overspent, however many call at once, through however many processes."""

import asyncio
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.fakes.processes import named
from tests.fakes.service import Service, wait_for
from tests.journeys.budgets import FLAT, Budgeted, ask
from tests.journeys.crowd import Database, Watch, all_at_once, counted, least_free, nanousd
from tests.journeys.siege import DISPUTED, Siege

pytestmark = pytest.mark.journey
BACK_WITHIN_S = 60


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("four") / "data", workers=4).running() as started:
        yield started


# `make chaos` plays those with one worker and with four, the suite the one with two, and two instances
MANY = {"service": [pytest.mark.chaos, pytest.mark.long], "two": [], "four": [pytest.mark.chaos, pytest.mark.long]}


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.xdist_group(name), *marks]) for name, marks in MANY.items()], ids=["1", "2", "4"])
def workers(request: pytest.FixtureRequest) -> Service:
    """A copy with one, two and four workers."""
    started: Service = request.getfixturevalue(request.param)
    return started


def test_exactly_as_many_calls_succeed_as_the_budget_pays_for(workers: Service) -> None:
    for calls in (200, 2_000):
        exactly_fifty(Budgeted(workers, "0.50"), [workers.origin], calls)
    assert "100.00%" in workers.manage("ledger_verify")


def exactly_fifty(budgeted: Budgeted, origins: list[str], calls: int) -> None:
    """Let that many callers at once spend a budget for 50 calls whose quote is their cost; check what they hear, the window meanwhile and the ledger."""
    with Watch(budgeted.service, budgeted.budget) as watch:
        answers = all_at_once(origins, budgeted.key, [ask(f"call {number}") for number in range(calls)])
    assert counted(answers) == {200: 50, 402: calls - 50}
    for answer in answers:
        if answer.status == 402:
            told = answer.body["error"]["sgw"]
            assert (answer.body["error"]["code"], told["budget"], told["limit"], told["unit"]) == ("budget_exceeded", budgeted.budget, "0.500000000", "usd")
            assert told["request_url"].endswith(f"/requests/new/credit?budget={budgeted.budget}")
            # nothing was free: all of it was spent, or held by calls under way
            assert (nanousd(told["spent"]) + nanousd(told["held"]), told["resets_at"] > time.time()) == (500_000_000, True)
    assert (watch.over, least_free(budgeted.service, budgeted.budget)) == ([], 0)
    assert len(watch.samples) > 5
    wait_for(lambda: budgeted.figures() == (0.5, 0.5, 0.0), BACK_WITHIN_S, "everything is spent and nothing held")


def test_calls_cheaper_than_their_quote_leave_nothing_held_and_are_refused_only_for_want_of_money(workers: Service) -> None:
    calls = 2_000
    budgeted = Budgeted(workers, "0.02", scope="project")
    with Watch(workers, budgeted.budget) as watch:
        answers = all_at_once([workers.origin], budgeted.key, [ask(f"call {number}", "sim-chat", max_tokens=30) for number in range(calls)])
    assert set(counted(answers)) <= {200, 402}
    assert (watch.over, least_free(workers, budgeted.budget)) == ([], 0)
    cost = sum(nanousd(answer.headers["x-sgw-cost-usd"]) for answer in answers if answer.status == 200)
    wait_for(lambda: budgeted.figures()[2] == 0, BACK_WITHIN_S, "unused slices are back")
    assert nanousd(str(budgeted.figures()[1])) == cost <= 20_000_000
    quotes = {row["call_id"]: row["quote_nanousd"] for row in workers.rows(f"project = '{budgeted.project[4:]}'", "call_id, quote_nanousd")}
    assert len(quotes) == calls
    for answer in answers:
        if answer.status == 402:
            told = answer.body["error"]["sgw"]
            assert nanousd(told["limit"]) - nanousd(told["spent"]) - nanousd(told["held"]) < quotes[answer.call_id]


def test_two_instances_share_one_budget(besieged: Siege) -> None:
    for calls in (200, 2_000):
        exactly_fifty(besieged.budgeted("0.50"), besieged.origins, calls)


def test_killed_workers_and_stewards_overspend_nothing_and_hold_nothing_for_ever(two: Service) -> None:
    budgeted, database = Budgeted(two, "9.00"), Database(two)
    stop = threading.Event()
    seen: list[tuple[float, float, float]] = []
    killed: list[bytes] = []
    delivered: list[str] = []

    def kill() -> None:
        dice = random.Random(5)
        for name in (b"gateway.worker", b"steward", b"gateway.worker"):
            if stop.wait(0.3):
                return
            victims = wait_for(lambda: named(two.pids(), name), 10, "a victim")  # noqa: B023 (waited for in this turn)
            os.kill(dice.choice(victims), signal.SIGKILL)
            killed.append(name)

    async def load() -> None:
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {budgeted.key}"}, timeout=20) as client:

            async def caller(number: int) -> None:
                for turn in range(200):
                    try:
                        answer = await client.post(f"{two.base_url}/chat/completions", json=ask(f"{number} {turn}"))
                        if answer.status_code == 200:
                            delivered.append(answer.headers["x-request-id"])
                    except httpx.TransportError:
                        continue

            await asyncio.gather(*[caller(number) for number in range(10)])

    killer = threading.Thread(target=kill)
    killer.start()
    asyncio.run(load())
    stop.set()
    killer.join()
    seen.append(budgeted.figures())

    def settled() -> bool:
        seen.append(budgeted.figures())
        return bool(round(seen[-1][2] * 1e9) == database.rows(DISPUTED.format(budgeted.budget[4:]))[0][0])

    wait_for(settled, BACK_WITHIN_S, "only disputed calls are held")
    assert all(spent + held <= amount for amount, spent, held in seen)
    rows = two.rows(f"key = '{budgeted.public_key}'")
    assert (killed, set(delivered) <= {row["call_id"] for row in rows}) == ([b"gateway.worker", b"steward", b"gateway.worker"], True)
    assert len({row["call_id"] for row in rows}) == len(rows)
    assert round(seen[-1][1] * 1e9) == sum(row["cost_nanousd"] for row in rows)
    assert "100.00%" in two.manage("ledger_verify")


# ---- streams, limits and output ---------------------------------------------------------------------------------------


def test_a_stream_without_a_limit_stops_where_the_budget_ends(service: Service) -> None:
    budgeted = Budgeted(service, "0.0012")
    body = ask("[[sim: tokens=4000 pace=1]]", "sim-chat", stream=True)
    with httpx.stream("POST", f"{service.base_url}/chat/completions", json=body, headers={"authorization": f"Bearer {budgeted.key}"}, timeout=60) as answer:
        text = "".join(answer.iter_text())
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    last = json.loads(events[-1])
    assert (answer.status_code, last["error"]["code"], "[DONE]" in text, len(events) > 20) == (200, "budget_exceeded", False, True)
    row = service.row_of(answer.headers["x-request-id"])
    assert (row["outcome"], row["error_code"], row["cost_nanousd"] > 0) == ("failed", "budget_exceeded", True)
    amount, spent, held = budgeted.figures()
    assert spent + held <= amount


def test_an_output_limit_is_lowered_to_what_is_left(service: Service) -> None:
    budgeted = Budgeted(service, "0.0002")
    answer = httpx.post(
        f"{service.base_url}/chat/completions", json=ask("[[sim: tokens=5000]]", "sim-chat"), headers={"authorization": f"Bearer {budgeted.key}"}, timeout=30
    )
    capped = int(answer.headers["x-sgw-max-tokens"])
    told = answer.json()
    assert (answer.status_code, 16 <= capped < 4096, told["choices"][0]["finish_reason"]) == (200, True, "length")
    assert told["usage"]["completion_tokens"] <= capped


def test_a_session_has_tokens_of_its_own(service: Service) -> None:
    budgeted = Budgeted(service, 5000, scope="project", unit="tokens", per="session", period="total")

    def call(session: str) -> int:
        headers = {"authorization": f"Bearer {budgeted.key}", "x-sgw-session": session}
        return httpx.post(f"{service.base_url}/chat/completions", json=ask("x" * 2_000, "sim-chat", max_tokens=1_000), headers=headers).status_code

    def spend(session: str) -> int:
        return next(calls for calls in range(100) if call(session) == 402)

    first = spend("one")
    assert (first > 0, call("one"), call("two")) == (True, 402, 200)


def test_calls_per_minute_are_limited_and_said(service: Service) -> None:
    budgeted = Budgeted(service, "100")
    budgeted.made("limits", {"scope": {"key": budgeted.key_id}, "kind": "rpm", "amount": 3})
    key = {"authorization": f"Bearer {budgeted.key}"}

    def call() -> httpx.Response:
        return httpx.post(f"{service.base_url}/chat/completions", json=ask("hello", "sim-chat"), headers=key)

    assert call().headers["x-ratelimit-limit-requests"] == "3"
    refused = wait_for(lambda: (answer := call()).status_code == 429 and answer, 10, "the limit is reached")
    told = refused.json()["error"]
    assert (told["code"], told["sgw"]["limit"], 1 <= int(refused.headers["retry-after"]) <= 60) == ("rate_limited", "rpm", True)


def test_what_a_caller_says_of_itself_loses_nothing(service: Service) -> None:
    budgeted = Budgeted(service, "1")
    body = ask("hello", FLAT, user="nul\0 and \ud800".encode("utf-8", "replace").decode())
    status, answer, _ = service.post("/v1/chat/completions", body, budgeted.key)
    assert (status, service.row_of(answer["x-request-id"])["cost_nanousd"]) == (200, 10_000_000)
