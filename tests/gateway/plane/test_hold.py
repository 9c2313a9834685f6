"""What a call takes before it is made, and what comes back."""

import asyncio
from collections import Counter

import pytest

from billing.holds import Grant, Want
from gateway.errors import DependencyUnavailable, OverBudget, TooFast
from gateway.plane.hold import IDLE_S, NO_BOARD, Board, Holds
from gateway.terms import Budget, Caller, Limit, Rules
from tests.gateway.plane.builders import call, caller

NOON_S = 1_795_521_600.0  # 2026-11-24 12:00:00 UTC
WHO = caller()
KEY = f"key:{WHO.key.id}"


class Bank:
    """An authority with a fixed amount per window, which answers in the next step of the loop while it is there."""

    def __init__(self, **amounts: int) -> None:
        self.amounts = Counter(amounts)
        self.limits = dict(amounts)
        self.asked: list[tuple[str, int]] = []
        self.returned: Counter[str] = Counter()
        self.ended: list[str] = []
        self.reachable = True
        self.generous = False
        self.now = NOON_S
        self.holds = Holds(self, lambda: self.now)

    def ask(self, wants: tuple[Want, ...]) -> None:
        if self.reachable:
            asyncio.get_running_loop().call_soon(self._answer, wants)

    def _answer(self, wants: tuple[Want, ...]) -> None:
        grants = []
        for want in wants:
            self.asked.append((want.window, want.least))
            amount = want.wish if self.generous else want.least
            given = amount if amount <= self.amounts[want.window] else 0
            self.amounts[want.window] -= given
            limit = self.limits.get(want.window, 0)
            grants.append(Grant(want.window, given, limit, 0, limit - self.amounts[want.window], "" if given else "exhausted"))
        self.holds.granted(grants)

    def give_back(self, amounts: dict[str, int], ends: tuple[str, ...] = ()) -> None:
        self.returned.update(amounts)
        self.ended += ends
        self.amounts.update(amounts)

    def now_s(self) -> float:
        return self.now


def budget(name: str, scope: str, **changes: str) -> Budget:
    fields = {"name": name, "mode": "hard", "unit": "nanousd", "period": "monthly", "per": ""} | changes
    return Budget(id=name, scope=scope, starts_at_s=0, ends_at_s=0, **fields)


def rules(*parts: Budget | Limit) -> Rules:
    budgets: dict[str, tuple[Budget, ...]] = {}
    limits: dict[str, tuple[Limit, ...]] = {}
    for part in parts:
        if isinstance(part, Budget):
            budgets[part.scope] = (*budgets.get(part.scope, ()), part)
        else:
            limits[part.scope] = (*limits.get(part.scope, ()), part)
    return Rules(budgets=budgets, limits=limits)


FOUR = rules(budget("k", KEY), budget("p", "project:prj", period="daily"), budget("u", "unit:bu", period="total"), budget("s", "unit:bu", mode="soft"))


def board(bank: Bank, these: Rules = FOUR, who: Caller = WHO, **asked: str) -> Board:
    return bank.holds.board(call(**asked), who, these)


def test_without_rules_nothing_is_held() -> None:
    assert board(Bank(), rules()) is NO_BOARD


def test_a_call_is_held_in_every_window_above_it_and_counted_in_soft_ones() -> None:
    found = board(Bank())
    assert [piece.window for piece in found.slices] == ["k:2026-11", "p:2026-11-24", "u:total"]
    assert (found.windows, found.until_s) == ("k:2026-11 p:2026-11-24 u:total s:2026-11", NOON_S + 12 * 3600)


async def test_all_levels_are_taken_or_none() -> None:
    bank = Bank(**{"k:2026-11": 100, "p:2026-11-24": 100, "u:total": 5})
    with pytest.raises(OverBudget) as refusal:
        await bank.holds.take(board(bank), 10, 0)
    assert [piece.free for piece in board(bank).slices] == [10, 10, 0]
    assert (refusal.value.status, refusal.value.detail) == (
        402,
        {
            "reason": "exhausted", "budget": "bud_u", "name": "u", "unit": "usd", "limit": "0.000000005", "spent": "0.000000000", "held": "0.000000000",
            "resets_at": None,
        },
    )  # fmt: skip


async def test_what_was_not_used_serves_the_next_call_without_asking() -> None:
    bank = Bank(**{"k:2026-11": 100, "p:2026-11-24": 100, "u:total": 100})
    bank.holds.settle(await bank.holds.take(board(bank), 60, 0), 20, 0)
    asked = len(bank.asked)
    assert bank.holds.try_take(board(bank), 40, 0) is not None
    assert (len(bank.asked), [piece.free for piece in board(bank).slices]) == (asked, [0, 0, 0])


async def test_many_callers_share_one_question_and_exactly_the_budget_is_spent() -> None:
    bank = Bank(**{"k:2026-11": 500})
    only = rules(budget("k", KEY))
    taken = await asyncio.gather(*[bank.holds.take(board(bank, only), 10, 0) for _ in range(200)], return_exceptions=True)
    assert Counter(type(one).__name__ for one in taken) == {"Hold": 50, "OverBudget": 150}
    assert len([least for _, least in bank.asked if least]) <= 52


async def test_a_vendors_excess_is_taken_from_what_is_free() -> None:
    bank = Bank(**{"k:2026-11": 100})
    only = rules(budget("k", KEY))
    bank.holds.settle(await bank.holds.take(board(bank, only), 10, 0), 25, 0)
    assert board(bank, only).slices[0].free == -15
    assert bank.holds.try_take(board(bank, only), 0, 0) is None


async def test_each_session_has_its_own_window_and_calls_without_one_have_none() -> None:
    bank = Bank()
    capped = rules(budget("t", "project:prj", unit="tokens", period="total", per="session"))
    one, other = board(bank, capped, session="a"), board(bank, capped, session="b")
    assert one.slices[0].window != other.slices[0].window
    assert (one.slices[0].subject, board(bank, capped).slices) == ("a", ())
    bank.limits[one.slices[0].window] = bank.amounts[one.slices[0].window] = 100
    await bank.holds.take(one, 5, 100)
    with pytest.raises(OverBudget):
        await bank.holds.take(one, 5, 1)


def test_a_clock_found_wrong_changes_the_windows_of_the_next_call() -> None:
    bank = Bank()
    month_s = 40 * 86_400
    bank.now += month_s
    assert board(bank).windows.split()[0] == "k:2027-01"
    bank.now -= month_s
    bank.holds.retime()
    assert (board(bank).windows.split()[0], board(bank).until_s) == ("k:2026-11", NOON_S + 12 * 3600)


async def test_a_worker_at_rest_says_once_that_it_holds_nothing_and_owes_nothing() -> None:
    bank = Bank(**{"k:2026-11": 100})
    only = rules(budget("k", KEY))
    bank.holds.settle(await bank.holds.take(board(bank, only), 10, 0), 25, 0)
    for _ in range(3):
        bank.now += IDLE_S + 1
        bank.holds.tick()
    assert (bank.ended, board(bank, only).slices[0].free) == (["k:2026-11"], 0)
    bank.holds.settle(await bank.holds.take(board(bank, only), 10, 0), 10, 0)
    for _ in range(2):
        bank.now += IDLE_S + 1
        bank.holds.tick(is_journalled=False)
    assert bank.ended == ["k:2026-11"]
    bank.holds.tick()
    assert bank.ended == ["k:2026-11"] * 2


async def test_a_lease_does_not_end_under_a_call_that_waited_while_its_board_was_replaced() -> None:
    bank = Bank(**{"k:2026-11": 100})
    only = rules(budget("k", KEY))
    waiting = asyncio.create_task(bank.holds.take(board(bank, only), 10, 0))
    await asyncio.sleep(0)
    bank.holds.retime()
    hold = await waiting
    for _ in range(2):
        bank.now += IDLE_S + 1
        bank.holds.tick()
    assert bank.ended == []
    bank.holds.settle(hold, 10, 0)
    for _ in range(2):
        bank.now += IDLE_S + 1
        bank.holds.tick()
    assert bank.ended == ["k:2026-11"]


async def test_limits_refuse_until_their_minute_ends() -> None:
    bank = Bank(**{"r:2026-11-24T12:00": 2})
    limited = rules(Limit(id="r", scope=KEY, kind="rpm", amount=2))
    for _ in range(2):
        bank.holds.settle(await bank.holds.take(board(bank, limited), 0, 0), 0, 0)
    told = b"x-ratelimit-limit-requests: 2\r\nx-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 60s\r\n"
    assert bank.holds.head(board(bank, limited)) == told
    bank.now += 20
    with pytest.raises(TooFast) as refusal:
        await bank.holds.take(board(bank, limited), 0, 0)
    assert (refusal.value.retry_after_s, refusal.value.detail["limit"]) == (40, "rpm")
    bank.now += 40
    bank.amounts["r:2026-11-24T12:01"] = 1
    assert (await bank.holds.take(board(bank, limited), 0, 0)).amounts == (0, 0, 1)


async def test_calls_at_once_come_back_when_they_end() -> None:
    bank = Bank(**{"n:now": 1})
    limited = rules(Limit(id="n", scope="unit:bu", kind="parallel", amount=1))
    first = await bank.holds.take(board(bank, limited), 0, 0)
    with pytest.raises(TooFast):
        await bank.holds.take(board(bank, limited), 0, 0)
    bank.holds.settle(first, 0, 0)
    assert bank.holds.try_take(board(bank, limited), 0, 0) is not None


async def test_a_stream_holds_more_as_it_grows_until_nothing_is_left() -> None:
    bank = Bank(**{"k:2026-11": 30})
    hold = await bank.holds.take(board(bank, rules(budget("k", KEY))), 10, 0)
    await bank.holds.extend(hold, 15, 0)
    with pytest.raises(OverBudget):
        await bank.holds.extend(hold, 15, 0)
    assert hold.amounts == (25, 0, 1)


async def test_what_is_idle_goes_back_by_itself_on_recall_and_at_the_end() -> None:
    bank = Bank(**{"k:2026-11": 10_000})
    bank.generous = True
    only = rules(budget("k", KEY))
    bank.holds.settle(await bank.holds.take(board(bank, only), 10, 0), 10, 0)
    bank.holds.recalled(["k:2026-11"])
    assert bank.returned == {"k:2026-11": 310}
    bank.holds.settle(await bank.holds.take(board(bank, only), 10, 0), 10, 0)
    bank.holds.tick()
    bank.now += IDLE_S + 1
    bank.holds.tick()
    assert bank.returned == {"k:2026-11": 310 + 630}
    await bank.holds.take(board(bank, only), 10, 0)
    bank.holds.drain()
    assert bank.returned == {"k:2026-11": 310 + 630 + 310}


async def test_a_closed_window_is_given_back_and_the_next_one_opened() -> None:
    bank = Bank(**{"p:2026-11-24": 10_000, "p:2026-11-25": 10})
    bank.generous = True
    daily = rules(budget("p", "project:prj", period="daily"))
    running = await bank.holds.take(board(bank, daily), 10, 0)
    bank.now += 86_400
    bank.generous = False
    assert board(bank, daily).slices[0].window == "p:2026-11-25"
    bank.holds.tick()
    bank.holds.settle(running, 4, 0)
    await bank.holds.take(board(bank, daily), 10, 0)
    bank.holds.tick()
    assert bank.returned["p:2026-11-24"] == 316


async def test_nobody_to_ask_is_said_within_a_second_and_the_late_answer_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.plane.hold.LOST_S", 0.01)
    bank = Bank(**{"k:2026-11": 10})
    bank.reachable = False
    only = rules(budget("k", KEY))
    with pytest.raises(DependencyUnavailable):
        await bank.holds.take(board(bank, only), 10, 0)
    bank.holds.granted([Grant("k:2026-11", 10, 10, 0, 10)])
    assert bank.holds.try_take(board(bank, only), 10, 0) is not None


async def test_a_busy_worker_asks_ahead_for_more_each_time() -> None:
    bank = Bank(**{"k:2026-11": 1_000_000})
    bank.generous = True
    only = rules(budget("k", KEY))
    for _ in range(5_000):
        hold = bank.holds.try_take(board(bank, only), 10, 0) or await bank.holds.take(board(bank, only), 10, 0)
        bank.holds.settle(hold, 10, 0)
        await asyncio.sleep(0)
    assert len(bank.asked) < 12
    assert [least for _, least in bank.asked][2:] == [0] * (len(bank.asked) - 2)


async def test_a_recall_leaves_what_a_waiting_call_adds_to() -> None:
    bank = Bank(**{"k:2026-11": 100})
    only = rules(budget("k", KEY))
    bank.holds.settle(await bank.holds.take(board(bank, only), 60, 0), 0, 0)
    waiting = asyncio.ensure_future(bank.holds.take(board(bank, only), 90, 0))
    await asyncio.sleep(0)
    bank.holds.recalled(["k:2026-11"])
    assert ((await waiting).amounts[0], bank.returned) == (90, {})


def test_a_batch_asks_every_hard_budget_for_all_it_may_cost_and_no_limit() -> None:
    bank = Bank()
    these = rules(budget("m", KEY), budget("t", "project:prj", unit="tokens"), budget("s", "unit:bu", mode="soft"), Limit("l", KEY, "rpm", 1))
    found = board(bank, these)
    asked = [(want.window, want.least, want.wish, want.call) for want in bank.holds.lasting(found, 700, 90)]
    assert asked == [("m:2026-11", 700, 700, 700), ("t:2026-11", 90, 90, 90)]
    # what costs nothing asks for nothing
    assert bank.holds.lasting(found, 0, 0) == ()


def test_a_batch_is_refused_by_the_first_budget_that_gives_nothing() -> None:
    bank = Bank()
    found = board(bank)
    given = Grant("k:2026-11", 700, 1000, 0, 700)
    assert bank.holds.refusal(found, [given]) is None
    refusal = bank.holds.refusal(found, [given, Grant("u:total", 0, 500, 400, 0, "exhausted")])
    assert (type(refusal), refusal.detail["budget"] if refusal else "") == (OverBudget, "bud_u")
