"""Rollups: every usage row counts once, late ones in their own hour, and rebuilding changes nothing."""

from datetime import UTC, date, datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from accounts.models import Project
from billing.models import DayRollup, HourRollup, LabelRollup, Price, RollupPosition, Series, UsageRecord
from billing.models.rollups import FACTS, MEASURES
from billing.rollups import fold, forget_demo
from tests.billing.spent import MILLION, NOON, project, record, usage

pytestmark = pytest.mark.django_db


def everything() -> tuple[list[Any], ...]:
    """All rollup rows by what they are about."""
    facts = tuple(f"series__{name}" for name in FACTS)
    return (
        sorted(HourRollup.objects.values_list("hour", *facts, *MEASURES), key=str),
        sorted(DayRollup.objects.values_list("day", *facts, *MEASURES), key=str),
        sorted(LabelRollup.objects.values_list("day", "kind", "project", "label", "is_demo", *MEASURES), key=str),
    )


def test_calls_are_added_up_by_hour_and_day() -> None:
    search = project()
    searched = usage("2", search, NOON + timedelta(minutes=29), cache_write_1h_tokens=12, web_searches=2)
    record(usage("1", search), searched, usage("3", search, NOON + timedelta(hours=1)))
    record(usage("4", search, outcome="failed", cost_nanousd=0, input_tokens=0, cached_tokens=0, output_tokens=0, reasoning_tokens=0))
    assert fold() == 4
    hours = list(HourRollup.objects.order_by("hour").values_list("hour", *MEASURES))
    assert hours == [
        (datetime(2026, 10, 5, 12, tzinfo=UTC), 3, 1, 2400, 2000, 0, 0, 600, 200, 0, 12, 2, 4 * MILLION, 0, 2400, 300, 900),
        (datetime(2026, 10, 5, 13, tzinfo=UTC), 1, 0, 1200, 1000, 0, 0, 300, 100, 0, 0, 0, 2 * MILLION, 0, 800, 100, 300),
    ]
    day = (date(2026, 10, 5), 4, 1, 3600, 3000, 0, 0, 900, 300, 0, 12, 2, 6 * MILLION, 0, 3200, 400, 1200)
    assert list(DayRollup.objects.values_list("day", *MEASURES)) == [day]
    assert list(Series.objects.values_list(*FACTS)) == [
        (search.business_unit_id, search.pk, "abcdefghij", "gpt-5", "openai-eu/gpt-5", "openai-eu", "openai", "gpt-5-2025-08-07", False)
    ]


def test_nothing_is_added_twice_and_late_rows_fold_into_their_own_hour() -> None:
    search = project()
    record(usage("1", search))
    assert [fold(), fold()] == [1, 0]
    record(usage("late", search), usage("last month", search, NOON - timedelta(days=30)))
    assert fold() == 2
    assert list(HourRollup.objects.order_by("hour").values_list("hour", "calls")) == [
        (datetime(2026, 9, 5, 12, tzinfo=UTC), 1),
        (datetime(2026, 10, 5, 12, tzinfo=UTC), 2),
    ]


def test_labels_count_a_call_under_each_of_its_tags() -> None:
    search = project()
    record(usage("1", search, end_user="ana", tags="team=a, env=dev,,team=a"), usage("2", search, end_user="ana"))
    fold()
    assert sorted(LabelRollup.objects.values_list("kind", "label", "project", "calls", "cost_nanousd")) == [
        ("end_user", "ana", search.pk, 2, 4 * MILLION),
        ("tag", "env=dev", search.pk, 1, 2 * MILLION),
        ("tag", "team=a", search.pk, 1, 2 * MILLION),
    ]


def test_cached_input_saves_the_difference_to_plain_input_by_tier() -> None:
    search = project()
    price = Price.objects.create(
        provider="openai", upstream_model="gpt-5", valid_from=NOON, input_nanousd=1_250_000_000, output_nanousd=10_000_000_000,
        cached_nanousd=125_000_000,
        tiers=[{"above_input_tokens": 2000, "input_nanousd": 2_500_000_000, "output_nanousd": 1, "cached_nanousd": 500_000_000}],
    )  # fmt: skip
    record(usage("1", search, price=price.pk), usage("2", search, price=price.pk, input_tokens=2001), usage("3", search))
    fold()
    assert HourRollup.objects.get().cache_saving_nanousd == 1000 * 1125 + 1000 * 2000


def test_cached_input_dearer_than_plain_input_saves_less_than_nothing() -> None:
    search = project()
    rates = {"input_nanousd": 1_000_000, "output_nanousd": 1, "cached_nanousd": 1_000_900}
    price = Price.objects.create(provider="openai", upstream_model="gpt-5", valid_from=NOON, **rates)
    record(*[usage(f"{n}", search, price=price.pk, cached_tokens=cached) for n, cached in enumerate((1000, 500, 555, 556))])
    record(usage("5", search, price=price.pk, started_at=NOON + timedelta(hours=1), cached_tokens=1200))
    fold()
    # of -0.9, -0.45, -0.4995, -0.5004 and -1.08 nano-USD, each rounded half up
    assert list(HourRollup.objects.order_by("hour").values_list("cache_saving_nanousd", flat=True)) == [-2, -1]


def test_labels_are_kept_as_they_were_said() -> None:
    search = project()
    odd = ('say="hi"', "back\\slash", "ü=\u2028", "{}", "%s", "null", "[1]")
    record(usage("1", search, tags=",".join((*odd, " \tinner  space ")), end_user='a,"b"\\'))
    fold()
    labels = sorted(LabelRollup.objects.values_list("kind", "label", "calls"))
    assert labels == sorted([("end_user", 'a,"b"\\', 1), *(("tag", tag, 1) for tag in (*odd, "inner  space"))])


def test_calls_without_a_project_and_corrections_count_where_they_belong() -> None:
    search = project()
    record(usage("1", search, project=None, business_unit=None, end_user="ana", tags="team=a"))
    record(usage("2", search), usage("2", search, kind="rerate", cost_nanousd=-MILLION, outcome="failed"), usage("3", search, flags="attemptsxbilled"))
    assert (fold(), fold()) == (4, 0)
    rows = DayRollup.objects.order_by("calls").values_list("series__project", "calls", "errors", "input_tokens", "cost_nanousd")
    assert (list(rows), LabelRollup.objects.count()) == ([(None, 1, 0, 1200, 2 * MILLION), (search.pk, 2, 0, 2400, 3 * MILLION)], 0)


def divided(call_id: str, search: Project, **changes: Any) -> UsageRecord:
    """A call whose first attempt broke at another provider after 0.5 million nano-USD."""
    broken = ["azure/gpt-5", "azure", "reset", 200, 30, ["azure", "gpt-5", "", "estimated", "usage_missing", 200, 0, 0, 0, 100, 0, 0, MILLION // 2], 9]
    charge = ["openai", "gpt-5-2025-08-07", "", "provider", "", 1000, 1000, 0, 0, 200, 100, 0, 3 * MILLION // 2]
    served = ["openai-eu/gpt-5", "openai-eu", "ok", 200, 700, charge, 9]
    return usage(call_id, search, **{"flags": "attempts_billed", "attempts": [broken, served], "tags": "team=a", "end_user": "ana"} | changes)


def test_what_an_attempt_cost_counts_where_it_was_made_and_the_call_where_it_ended() -> None:
    record(divided("1", project()))
    fold()
    sums = ("calls", "errors", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "cost_nanousd", "duration_ms")
    facts = ("provider", "account", "deployment", "upstream_model")
    rows = list(DayRollup.objects.order_by("series__provider").values_list(*(f"series__{name}" for name in facts), *sums))
    assert rows == [
        ("azure", "azure", "azure/gpt-5", "gpt-5", 0, 0, 200, 0, 100, 0, MILLION // 2, 0),
        ("openai", "openai-eu", "openai-eu/gpt-5", "gpt-5-2025-08-07", 1, 0, 1000, 1000, 200, 100, 3 * MILLION // 2, 800),
    ]
    labels = list(LabelRollup.objects.order_by("label").values_list("label", "calls", "input_tokens", "cost_nanousd"))
    assert labels == [("ana", 1, 1200, 2 * MILLION), ("team=a", 1, 1200, 2 * MILLION)]


def test_cached_input_of_attempts_saves_by_each_attempts_own_price() -> None:
    rates = {"output_nanousd": 1, "valid_from": NOON}
    dear = Price.objects.create(provider="a", upstream_model="m", input_nanousd=2_000_000_000, cached_nanousd=1_000_000_000, **rates)
    cheap = Price.objects.create(provider="b", upstream_model="m", input_nanousd=1_000_000_000, cached_nanousd=900_000_000, **rates)
    row = divided("1", project(), price=cheap.pk)
    row.attempts[0][5][2], row.attempts[0][5][6], row.attempts[1][5][2] = str(dear.pk), 100, str(cheap.pk)
    row.cached_tokens = 1100
    record(row)
    fold()
    assert list(HourRollup.objects.order_by("series__provider").values_list("cache_saving_nanousd", flat=True)) == [100 * 1000, 1000 * 100]
    assert set(LabelRollup.objects.values_list("cache_saving_nanousd", flat=True)) == {200_000}


@pytest.mark.parametrize("chunk", [1, 7, 20_000])
def test_two_rebuilds_give_the_rows_that_folding_gave(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    search, shop = project(), project("Shop", "Wholesale")
    for n in range(40):
        make = divided if n % 6 == 0 else usage
        record(make(f"{n}", (search, shop)[n % 2], started_at=NOON + timedelta(hours=n * 5 % 60), tags=f"n={n % 3}", end_user=f"u{n % 5}"))
        if n % 9 == 0:
            fold()
    fold()
    folded = everything()
    monkeypatch.setattr("billing.rollups.FOLD_ROWS", chunk)
    call_command("rebuild_rollups")
    once = everything()
    call_command("rebuild_rollups")
    assert (once, everything(), fold()) == (folded, folded, 0)
    assert sum(HourRollup.objects.values_list("calls", flat=True)) == sum(DayRollup.objects.values_list("calls", flat=True)) == 40


def test_rebuilding_keeps_days_whose_usage_rows_are_gone() -> None:
    search = project()
    record(*[usage(f"{n}", search, NOON - timedelta(days=n)) for n in (400, 300, 200, 0)])
    fold()
    UsageRecord.objects.filter(call_id__in=["400", "200"]).delete()
    before = everything()
    call_command("rebuild_rollups")
    assert (everything(), DayRollup.objects.count()) == (before, 4)


def test_demo_totals_go_with_the_demo() -> None:
    search = project()
    record(usage("1", search, is_demo=True, end_user="ana"), usage("2", search, end_user="ana"))
    fold()
    forget_demo()
    assert (HourRollup.objects.get().calls, DayRollup.objects.get().calls, LabelRollup.objects.get().calls) == (1, 1, 1)


@pytest.mark.django_db(transaction=True)
def test_two_folds_at_once_add_nothing_twice() -> None:
    search = project()
    record(*[usage(f"{n}", search) for n in range(500)])
    together, folded = Barrier(2), list[int]()

    def run() -> None:
        together.wait(10)
        folded.append(fold())
        connection.close()

    threads = [Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (sum(folded), HourRollup.objects.get().calls, DayRollup.objects.get().calls) == (500, 500, 500)
    assert RollupPosition.objects.get().last_usage == UsageRecord.objects.latest("id").pk
