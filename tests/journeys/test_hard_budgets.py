"""A hard budget under vendors who tell nonsense and callers who leave: what is spent never falls, is never more than was held, and nothing stays held."""

import contextlib
import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.fakes.service import Service, wait_for
from tests.fakes.upstream import JSON, SSE, Turn, Upstream, stream, whole
from tests.journeys.budgets import Budgeted, ask
from tests.journeys.crowd import Sample, Watch, least_free, nanousd

pytestmark = pytest.mark.journey
SOUND = b'"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}'
# what a vendor says: how its answer is billed, and the flag of that
USAGES: dict[str, tuple[bytes, str, str]] = {
    "sound": (SOUND, "provider", ""),
    "negative": (b'"usage":{"prompt_tokens":-7000,"completion_tokens":-2000,"total_tokens":-9000}', "estimated", "usage_invalid"),
    "text": (b'"usage":{"prompt_tokens":"7","completion_tokens":"2","total_tokens":"9"}', "estimated", "usage_invalid"),
    "absurd": (b'"usage":{"prompt_tokens":1000000000000000,"completion_tokens":2,"total_tokens":9}', "estimated", "usage_invalid"),
    "beyond-a-float": (b'"usage":{"prompt_tokens":7,"completion_tokens":1e999,"total_tokens":9}', "estimated", "usage_invalid"),
    "beyond-64-bits": (b'"usage":{"prompt_tokens":7,"completion_tokens":36893488147419103232,"total_tokens":9}', "estimated", "usage_invalid"),
    "half": (b'"usage":{"prompt_tokens":7.5,"completion_tokens":2.5,"total_tokens":10}', "estimated", "usage_invalid"),
    "list": (b'"usage":[7,2]', "estimated", "usage_invalid"),
    "null": (b'"usage":null', "estimated", "usage_missing"),
    "missing": (b'"x":1', "estimated", "usage_missing"),
}
# No reader of JSON takes these: the answer is broken, and billed as far as it came.
BROKEN = {"nan": b'"usage":{"prompt_tokens":NaN,"completion_tokens":NaN,"total_tokens":NaN}'}
BACK_WITHIN_S = 60


async def told(turn: Turn) -> None:
    """Answer whole or as a stream with the usage that the request's `user` names."""
    asked = json.loads(turn.request.body)
    usage = BROKEN[asked["user"]] if asked["user"] in BROKEN else USAGES[asked["user"]][0]
    if asked.get("stream"):
        await stream(SSE.replace(SOUND, usage))(turn)
    else:
        await whole(JSON.replace(SOUND, usage))(turn)


@pytest.fixture(scope="module")
def liar(two: Service) -> Iterator[str]:
    with Upstream(script=told) as upstream:
        two.add_models({"liar": [{"provider": "openai_compatible", "base_url": upstream.url}]})
        yield "liar"


def post(budgeted: Budgeted, body: dict[str, Any]) -> httpx.Response:
    key = {"authorization": f"Bearer {budgeted.key}"}
    return httpx.post(f"{budgeted.service.base_url}/chat/completions", json=body, headers=key, timeout=60)


def never_falls(samples: list[Sample]) -> bool:
    return all(earlier.spent <= later.spent for earlier, later in itertools.pairwise(samples))


@pytest.mark.parametrize("streamed", [False, True])
def test_vendors_numbers_neither_refill_nor_overspend_a_budget(two: Service, liar: str, streamed: bool) -> None:
    budgeted = Budgeted(two, "0.001")
    seen: dict[str, str] = {}
    # in a stream a number beyond a float is not taken either
    believed = [name for name in USAGES if not streamed or name != "beyond-a-float"]
    broken = [*BROKEN, *(set(USAGES) - set(believed))]
    names = itertools.cycle(believed)
    with Watch(two, budgeted.budget) as watch:
        for name in broken:
            assert post(budgeted, ask("hello", liar, user=name, stream=streamed, max_tokens=30)).status_code == 502
        while (answer := post(budgeted, ask("hello", liar, user=(name := next(names)), stream=streamed, max_tokens=30))).status_code == 200:
            seen[answer.headers["x-request-id"]] = name
            assert len(seen) < 300
        wait_for(lambda: budgeted.figures()[2] == 0, BACK_WITHIN_S, "nothing is held")
    assert (answer.status_code, set(seen.values())) == (402, set(believed))
    assert (watch.over, never_falls(watch.samples), least_free(two, budgeted.budget)) == ([], True, 0)
    rows = {row["call_id"]: row for row in two.rows(f"key = '{budgeted.public_key}' AND status <> 402")}
    assert {call: (rows[call]["usage_source"], rows[call]["flags"]) for call in seen} == {call: USAGES[name][1:] for call, name in seen.items()}
    assert [(row["usage_source"], row["outcome"]) for call, row in rows.items() if call not in seen] == [("estimated", "failed")] * len(broken)
    assert all(row["cost_nanousd"] > 0 for row in rows.values())
    assert sum(row["cost_nanousd"] for row in rows.values()) == nanousd(f"{budgeted.figures()[1]:.9f}") <= 1_000_000


def test_callers_who_leave_are_billed_once_and_leave_nothing_held(two: Service) -> None:
    budgeted = Budgeted(two, "0.02")
    key = {"authorization": f"Bearer {budgeted.key}"}

    def leave_a_stream(number: int) -> None:
        body = ask(f"{number} [[sim: tokens=400 pace=20]]", "sim-chat", stream=True)
        with httpx.stream("POST", f"{two.base_url}/chat/completions", json=body, headers=key, timeout=60) as answer:
            assert answer.status_code == 200
            next(answer.iter_text())

    def leave_an_answer(number: int) -> None:
        body = ask(f"{number} [[sim: tokens=20 delay=20000]]", "sim-chat", max_tokens=30)
        with contextlib.suppress(httpx.ReadTimeout):
            httpx.post(f"{two.base_url}/chat/completions", json=body, headers=key, timeout=httpx.Timeout(30, read=0.4))

    with Watch(two, budgeted.budget) as watch:
        with ThreadPoolExecutor(8) as callers:
            list(callers.map(lambda number: (leave_a_stream if number % 2 else leave_an_answer)(number), range(8)))
        where = f"key = '{budgeted.public_key}'"
        rows = wait_for(lambda: len(found := two.rows(where)) == 8 and found, 20, "a row of each call")
        wait_for(lambda: budgeted.figures()[2] == 0, BACK_WITHIN_S, "nothing is held")
    assert [(row["outcome"], row["usage_source"], row["cost_nanousd"] > 0) for row in rows] == [("aborted", "estimated", True)] * 8
    assert (watch.over, never_falls(watch.samples), least_free(two, budgeted.budget)) == ([], True, 0)
    assert sum(row["cost_nanousd"] for row in two.rows(where)) == nanousd(f"{budgeted.figures()[1]:.9f}")
