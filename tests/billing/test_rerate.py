"""Calls priced anew: what would change, what is posted, and that usage, windows and ledger stay one story."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction

from billing.intake import Intake
from billing.leases import take
from billing.models import DayRollup, Posting, Price, UsageRecord
from billing.partitions import Month
from billing.receipts import Attempted, Charge, Settle
from billing.rerate import Line, Rerated, post_rerate, rerate
from billing.retention import archive_month, restore_month
from billing.rollups import fold
from billing.verification import verify
from tests.billing.budgets import budget, figures, project, taking, want
from tests.billing.receipts import STARTED_AT_MS, settle, write_segment

pytestmark = pytest.mark.django_db
BEGAN = datetime.fromtimestamp(STARTED_AT_MS / 1000, UTC)
SPAN = (BEGAN - timedelta(hours=1), BEGAN + timedelta(hours=1))


def price(nanousd: int, **fields: object) -> Price:
    """A price at which a call of ten input tokens costs ten times so many nano-USD."""
    rates = {"input_nanousd": nanousd * 10**6, "output_nanousd": 0}
    return Price.objects.create(provider="openai", upstream_model=f"m{Price.objects.count()}", valid_from=BEGAN, source="genai-prices", **{**rates, **fields})


def always(row: Price | None) -> Callable[[UsageRecord], Price | None]:
    return lambda call: row


def call(call_id: str = "call_1", cost: int = 100, **changes: object) -> Settle:
    """A receipt of ten input tokens."""
    return settle(
        call_id,
        **{"project": project().pk.hex, "input_tokens": 10, "cached_tokens": 0, "output_tokens": 0, "reasoning_tokens": 0, "cost_nanousd": cost, **changes},
    )


def taken_in(directory: Path, *receipts: Settle) -> None:
    write_segment(directory, *receipts)
    Intake(directory).run_once()


def corrections() -> list[tuple[str, str, int]]:
    return list(UsageRecord.objects.exclude(kind="call").order_by("call_id", "kind").values_list("call_id", "kind", "cost_nanousd"))


def test_what_would_change_is_told_by_project_and_model_and_nothing_is_written(tmp_path: Path) -> None:
    taken_in(tmp_path, call("call_1"), call("call_2", 130), call("call_3", model="other"), call("call_4", 150))
    expected = (Line("Shop", "gpt-5", 2, 230, 300), Line("Shop", "other", 1, 100, 150))
    assert rerate(*SPAN, always(price(15))) == Rerated(4, 0, expected, 0)
    assert rerate(*SPAN, always(price(15)), "other").lines == expected[1:]
    assert (UsageRecord.objects.count(), Posting.objects.count()) == (4, 0)


def test_web_searches_are_priced_anew_and_money_stays_whole(tmp_path: Path) -> None:
    taken_in(tmp_path, call(cost=100, web_searches=3))
    fee = price(10, web_search_nanousd=10 * 10**12)
    post_rerate(*SPAN, always(fee), "searches have a fee")
    assert corrections() == [("call_1", "rerate", 3 * 10**7)]
    assert UsageRecord.objects.get(kind="call").web_searches == 3
    assert post_rerate(*SPAN, always(fee), "again").lines == ()
    assert verify().first_bad == ""


def test_the_span_and_what_no_vendor_was_paid_for_are_kept_out(tmp_path: Path) -> None:
    hour = 3_600_000
    taken_in(
        tmp_path,
        call("call_early", started_at_ms=STARTED_AT_MS - hour - 1),
        call("call_late", started_at_ms=STARTED_AT_MS + hour),
        call("call_never", 0, usage_source="none"),
        call("call_mended", flags="mended"),
        call("call_first", started_at_ms=STARTED_AT_MS - hour),
    )
    found = rerate(*SPAN, always(price(15)))
    assert (found.calls, [line.calls for line in found.lines]) == (1, [1])


def test_a_call_without_a_known_price_stays_as_it_is(tmp_path: Path) -> None:
    taken_in(tmp_path, call())
    assert post_rerate(*SPAN, always(None), "why") == Rerated(1, 1, (), 0)
    assert corrections() == []


def test_posting_twice_posts_nothing_twice_and_another_price_posts_only_the_rest(tmp_path: Path) -> None:
    taken_in(tmp_path, call("call_1"), call("call_2", 150))
    dear, cheap = price(15), price(4)
    posted = [post_rerate(*SPAN, always(row), "why").posted for row in (dear, dear, cheap, cheap, dear)]
    assert posted == [1, 0, 2, 0, 2]
    assert corrections() == [
        ("call_1", "rerate", 50), ("call_1", "rerate:2", -110), ("call_1", "rerate:3", 110), ("call_2", "rerate", -110), ("call_2", "rerate:2", 110),
    ]  # fmt: skip
    row = UsageRecord.objects.get(call_id="call_1", kind="rerate:2")
    original = UsageRecord.objects.get(call_id="call_1", kind="call")
    assert (row.price, row.started_at, row.key, row.tags, row.input_tokens, row.duration_ms) == (cheap.pk, original.started_at, original.key, "team=a", 0, 0)


def divided(call_id: str, **changes: object) -> Settle:
    """A receipt of ten input tokens at a vendor that broke, for 30 nano-USD, and ten at the one that served, for 100."""

    def at(provider: str, outcome: str, cost: int) -> Attempted:
        charge = Charge(provider, "m", "", "provider", "", 10, 0, 0, 0, 0, 0, 0, cost)
        return Attempted(f"{provider}/m", provider, outcome, 200, 1, charge, 9)

    served = {"deployment": "openai/m", "account": "openai", "upstream_model": "m"}
    attempts = (at("azure", "reset", 30), at("openai", "ok", 100))
    return call(call_id, 130, **{"flags": "attempts_billed", "input_tokens": 20, "attempts": attempts, **served, **changes})


def test_a_call_of_several_attempts_is_priced_anew_attempt_by_attempt(tmp_path: Path) -> None:
    taken_in(tmp_path, divided("call_1"))
    azure, openai = price(5), price(12)

    def by_provider(one: UsageRecord) -> Price | None:
        return {"azure": azure, "openai": openai}[one.provider]

    assert [post_rerate(*SPAN, by_provider, "why").posted for _ in range(2)] == [1, 0]
    row = UsageRecord.objects.get(kind="rerate")
    assert (row.cost_nanousd, row.flags, row.input_tokens) == (40, "attempts_billed", 0)
    azure = price(7)
    post_rerate(*SPAN, lambda one: by_provider(one) if one.provider == "azure" else None, "again")
    assert corrections() == [("call_1", "rerate", 40), ("call_1", "rerate:2", 20)]
    fold()
    spent = DayRollup.objects.order_by("series__provider").values_list("series__provider", "calls", "input_tokens", "cost_nanousd")
    assert (list(spent), verify().first_bad) == ([("azure", 0, 10, 70), ("openai", 1, 10, 120)], "")


def test_a_dearer_price_spends_what_is_free_and_then_overruns(tmp_path: Path) -> None:
    money = want(budget(1000), 300)
    take("elsewhere", taking(money))
    taken_in(tmp_path, call(worker="w1", windows=money.window))
    post_rerate(*SPAN, always(price(50)), "vendor raised it")
    assert figures(money.window) == {"base": 1000, "credit": 0, "spent": 500, "held": 200, "overrun": 0}
    post_rerate(*SPAN, always(price(100)), "and again")
    assert figures(money.window) == {"base": 1000, "credit": 0, "spent": 1000, "held": 200, "overrun": 200}
    assert verify().first_bad == ""
    assert list(Posting.objects.filter(kind="rerate").order_by("id").values_list("reason", flat=True)) == ["vendor raised it", "and again"]


def test_a_cheaper_price_takes_back_overrun_first_and_frees_the_rest(tmp_path: Path) -> None:
    money = want(budget(1000), 60)
    take("elsewhere", taking(money))
    taken_in(tmp_path, call(worker="w1", windows=money.window))
    assert figures(money.window)["overrun"] == 40
    post_rerate(*SPAN, always(price(3)), "vendor lowered it")
    assert figures(money.window) == {"base": 1000, "credit": 0, "spent": 30, "held": 0, "overrun": 0}
    found = verify()
    assert (found.first_bad, found.explained_ratio) == ("", 1.0)
    names = UsageRecord.objects.exclude(kind="call").values_list("posting", "windows")
    assert list(names) == [(Posting.objects.get(kind="rerate").pk, money.window)]


def test_several_calls_of_several_windows_are_one_posting(tmp_path: Path) -> None:
    money, wide, tokens = want(budget(1000), 500), want(budget(9000, name="wide"), 500), want(budget(90, name="t", unit="tokens"), 30)
    take("elsewhere", taking(money, wide, tokens))
    names = f"{money.window} {wide.window} {tokens.window}"
    taken_in(tmp_path, *[call(f"call_{n}", worker="w1", windows=names) for n in range(3)], call("call_9", 170))
    post_rerate(*SPAN, always(price(15)), "why")
    assert [figures(window.window)["spent"] for window in (money, wide, tokens)] == [450, 450, 30]
    posting = Posting.objects.get(kind="rerate")
    assert sorted(posting.entries.values_list("credit", "amount_nanousd")) == sorted([(f"window:{window.window}:consumed", 150) for window in (money, wide)])
    assert list(UsageRecord.objects.exclude(kind="call").order_by("call_id").values_list("posting", flat=True)) == [posting.pk] * 3 + [None]
    assert verify().first_bad == ""


def test_the_service_tier_of_a_call_is_priced_again(tmp_path: Path) -> None:
    flex = [{"name": "flex", "rates": {"input_nanousd": 2 * 10**6, "output_nanousd": 0}}]
    taken_in(
        tmp_path, call("call_1", flags="tier_flex"), call("call_2", flags="usage_missing,tier_priority,tier_unpriced"), call("call_3", flags="tier_unpriced")
    )
    post_rerate(*SPAN, always(price(15, modes=flex)), "why")
    assert corrections() == [("call_1", "rerate", -80), ("call_2", "rerate", 50), ("call_3", "rerate", 50)]


def test_rollups_count_a_correction_with_its_cost_alone(tmp_path: Path) -> None:
    taken_in(tmp_path, call())
    fold()
    post_rerate(*SPAN, always(price(4)), "why")
    fold()
    assert list(DayRollup.objects.values_list("calls", "input_tokens", "cost_nanousd")) == [(1, 10, 40)]


def test_more_calls_than_fit_one_batch_are_all_priced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("billing.rerate.AT_ONCE", 2)
    taken_in(tmp_path, *[call(f"call_{n}") for n in range(5)])
    assert post_rerate(*SPAN, always(price(15)), "why").posted == 5
    assert [difference for _, _, difference in corrections()] == [50] * 5


def test_nothing_is_posted_without_a_reason_and_the_database_keeps_calls_from_going_below_zero(tmp_path: Path) -> None:
    taken_in(tmp_path, call())
    with pytest.raises(ValidationError, match="Say why"):
        post_rerate(*SPAN, always(price(15)), " ")
    row = UsageRecord.objects.get()
    row.pk, row.call_id, row.cost_nanousd = None, "call_2", -1
    with pytest.raises(DatabaseError, match="usage_cost_of_a_call_not_negative"), transaction.atomic():
        row.save(force_insert=True)


@pytest.mark.parametrize("nanousd", [4, 90])
def test_archived_calls_that_were_priced_anew_stay_explained(tmp_path: Path, settings: Any, nanousd: int) -> None:
    settings.ARCHIVE_URL = f"file://{tmp_path}/archive"
    money = want(budget(1000), 60)
    take("elsewhere", taking(money))
    name = f"call_{STARTED_AT_MS:011x}0000000000000001"
    taken_in(tmp_path / "journal", call(name, worker="w1", windows=money.window))
    post_rerate(*SPAN, always(price(nanousd)), "why")
    archive_month(Month.of(BEGAN))
    found = verify()
    assert (UsageRecord.objects.count(), found.explained_ratio, found.first_bad) == (0, 1.0, "")
    restore_month(Month.of(BEGAN), is_open=False)
    assert (corrections(), verify().first_bad) == ([(name, "rerate", 10 * nanousd - 100)], "")


def test_beside_another_run_nothing_of_the_batch_is_posted(tmp_path: Path) -> None:
    money = want(budget(1000), 300)
    take("elsewhere", taking(money))
    taken_in(tmp_path, call(worker="w1", windows=money.window))
    dear = price(15)

    def meanwhile(row: UsageRecord) -> Price:
        """The other run has written its correction after this one looked."""
        row.pk, row.kind = None, "rerate"
        row.save(force_insert=True)
        row.kind = "call"
        return dear

    with pytest.raises(ValidationError, match="Another run priced these calls anew meanwhile"):
        post_rerate(*SPAN, meanwhile, "why")
    assert (figures(money.window)["spent"], Posting.objects.filter(kind="rerate").count()) == (100, 0)
