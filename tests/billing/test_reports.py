"""Reports: whole answers from rollups, and only about projects their reader may see."""

from datetime import date, timedelta

import pytest

from accounts.access import visible_projects
from accounts.models import Membership, Project, User
from billing.reports.anomalies import Anomaly, Cause, anomalies
from billing.reports.calls import calls
from billing.reports.forecast import Forecast, forecast
from billing.reports.movers import movers
from billing.reports.periods import Period, month_of
from billing.reports.savings import savings
from billing.reports.spend import Line, Measured, by_day, by_hour, spend
from billing.rollups import fold
from tests.billing.spent import MILLION, NOON, days_of, key, project, record, usage

pytestmark = pytest.mark.django_db
USD = 1000 * MILLION
OCTOBER = month_of(date(2026, 10, 1))
EVERY = Project.objects.all()


def one(cost: int, calls: int = 1) -> Measured:
    """What `calls` ordinary calls of this cost in all add up to."""
    return Measured(
        calls=calls, input_tokens=1200 * calls, cached_tokens=1000 * calls, output_tokens=300 * calls, cost_nanousd=cost,
        duration_ms=800 * calls,
    )  # fmt: skip


def test_a_period_is_compared_with_the_one_before() -> None:
    assert month_of(date(2026, 3, 9)) == Period(date(2026, 3, 1), date(2026, 3, 31))
    assert month_of(date(2026, 3, 9)).before == Period(date(2026, 2, 1), date(2026, 2, 28))
    assert Period(date(2026, 1, 1), date(2026, 3, 31)).before == Period(date(2025, 10, 1), date(2025, 12, 31))
    assert Period(date(2026, 3, 9), date(2026, 3, 15)).before == Period(date(2026, 3, 2), date(2026, 3, 8))


def test_spend_by_each_dimension_has_names_and_the_period_before() -> None:
    search, shop = project(), project("Shop", "Wholesale")
    key(search)
    record(usage("1", search), usage("2", search, model="o3"), usage("3", shop, NOON - timedelta(days=30), key="other", provider="azure"))
    fold()
    found = spend(EVERY, "project", OCTOBER)
    assert (found.total, found.before) == (one(4 * MILLION, 2), one(2 * MILLION))
    assert found.lines == (
        Line(str(search.pk), "Search", one(4 * MILLION, 2), Measured()),
        Line(str(shop.pk), "Shop", Measured(), one(2 * MILLION)),
    )
    names = {d: [line.name for line in spend(EVERY, d, OCTOBER).lines] for d in ("business_unit", "key", "model", "provider")}
    assert names == {
        "business_unit": ["Retail", "Wholesale"],
        "key": ["Shop", "other"],
        "model": ["gpt-5", "o3"],
        "provider": ["openai", "azure"],
    }
    assert spend(EVERY, "model", OCTOBER, project=str(search.pk), model="o3").total == one(2 * MILLION)
    with pytest.raises(ValueError, match="is no dimension"):
        spend(EVERY, "password", OCTOBER)


def test_spend_by_end_user_and_tag() -> None:
    search = project()
    record(usage("1", search, end_user="ana", tags="team=a,env=dev"), usage("2", search, end_user="ben", tags="team=a"))
    fold()
    assert [(line.name, line.now.calls) for line in spend(EVERY, "end_user", OCTOBER).lines] == [("ana", 1), ("ben", 1)]
    assert [(line.name, line.now.calls) for line in spend(EVERY, "tag", OCTOBER, project=str(search.pk)).lines] == [
        ("team=a", 2),
        ("env=dev", 1),
    ]


def test_days_and_hours_follow_each_other() -> None:
    record(usage("1", project()), usage("2", project(), NOON + timedelta(days=2)))
    fold()
    period = Period(date(2026, 10, 5), date(2026, 10, 7))
    assert [(point.at.day, point.measured.calls) for point in by_day(EVERY, period)] == [(5, 1), (6, 0), (7, 1)]
    assert [point.at.isoformat() for point in by_hour(EVERY, period)] == ["2026-10-05T12:00:00+00:00", "2026-10-07T12:00:00+00:00"]


def test_a_member_sees_own_projects_only_and_a_stranger_nothing() -> None:
    search, shop = project(), project("Shop")
    record(usage("1", search, end_user="ana"), usage("2", shop, cost_nanousd=99, end_user="zoe"))
    fold()
    member, stranger = User.objects.create_user("m@example.com"), User.objects.create_user("s@example.com")
    Membership.objects.create(user=member, project=search, role="viewer")
    own, none = visible_projects(member), visible_projects(stranger)
    for dimension in ("business_unit", "project", "key", "model", "end_user"):
        assert [line.now.cost_nanousd for line in spend(own, dimension, OCTOBER).lines] == [2 * MILLION]
        assert (spend(none, dimension, OCTOBER).lines, spend(none, dimension, OCTOBER).total) == ((), Measured())
    assert [call.call_id for call in calls(own, OCTOBER).calls] == ["1"]
    assert calls(own, OCTOBER, project=shop.pk).calls == calls(none, OCTOBER).calls == ()
    assert (forecast(none, OCTOBER, date(2026, 10, 20)).spent, by_hour(none, OCTOBER), movers(none, "model", OCTOBER)) == (0, (), ())


def test_calls_come_page_by_page_also_within_one_moment() -> None:
    search = project()
    record(*[usage(f"{n}", search) for n in range(7)], usage("older", search, NOON - timedelta(hours=1)))
    seen, place = [], None
    while True:
        page = calls(EVERY, OCTOBER, place, 3, model="gpt-5")
        seen.append([call.call_id for call in page.calls])
        place = page.next
        if place is None:
            break
    assert seen == [["6", "5", "4"], ["3", "2", "1"], ["0", "older"]]
    with pytest.raises(ValueError, match="1 to 500"):
        calls(EVERY, OCTOBER, count=501)


def test_a_forecast_adds_each_weekdays_mean() -> None:
    """Eight weeks of 10 USD on workdays and nothing on weekends, without a deviation: no band."""
    costs = [10 * USD if n % 7 < 5 else 0 for n in range(56)]
    record(*days_of(project(), costs, NOON - timedelta(days=56)))
    fold()
    week = Period(date(2026, 10, 5), date(2026, 10, 11))
    assert forecast(EVERY, week, date(2026, 10, 5)) == Forecast(week, 0, 50 * USD, 50 * USD, 50 * USD, 56)
    assert forecast(EVERY, week, date(2026, 10, 12)) == Forecast(week, 0, 0, 0, 0, 56)


def test_a_forecasts_band_is_as_wide_as_past_days_were_off() -> None:
    """The same weekday alternates between 8 and 12 USD: always 2 off its mean; four days of it are 4 off."""
    costs = [8 * USD if n // 7 % 2 else 12 * USD for n in range(56)]
    record(*days_of(project(), [*costs, 3 * USD], NOON - timedelta(days=56)))
    fold()
    days = Period(date(2026, 10, 5), date(2026, 10, 8))
    assert forecast(EVERY, days, date(2026, 10, 5)) == Forecast(days, 3 * USD, 40 * USD, 36 * USD, 44 * USD, 56)
    assert forecast(EVERY.none(), days, date(2026, 10, 5)) == Forecast(days, 0, 0, 0, 0, 0)


def test_an_anomaly_names_what_caused_it() -> None:
    search, shop = project(), project("Shop")
    key(shop, "shopkeyabc", "Till")
    start = NOON - timedelta(days=56)
    record(*days_of(search, [5 * USD + n * MILLION for n in range(57)], start))
    record(*days_of(shop, [2 * USD] * 56 + [90 * USD], start, key="shopkeyabc", model="o3"))
    fold()
    found = anomalies(EVERY, Period(date(2026, 9, 28), date(2026, 10, 5)))
    usual = 7 * USD + 21 * MILLION
    width = usual * 20 // 100
    assert found == (
        Anomaly(
            date(2026, 10, 5), 95 * USD + 56 * MILLION, usual, usual - width, usual + width,
            Cause("project", str(shop.pk), "Shop", 90 * USD, 2 * USD),
        ),
    )  # fmt: skip
    assert found[0].is_high
    within = anomalies(EVERY.filter(pk=shop.pk), OCTOBER, project=str(shop.pk))
    assert [a.cause for a in within if a.day == date(2026, 10, 5)] == [Cause("key", "shopkeyabc", "Till", 90 * USD, 2 * USD)]


def test_a_young_project_has_no_anomalies() -> None:
    record(*days_of(project(), [1, 1, 1, 900 * USD]))
    fold()
    assert anomalies(EVERY, OCTOBER) == ()


def test_movers_rise_and_fall() -> None:
    before = NOON - timedelta(days=30)
    record(usage("1", project(), before, model="a", cost_nanousd=10), usage("2", project(), before, model="b", cost_nanousd=500))
    record(usage("3", project(), model="a", cost_nanousd=40), usage("4", project(), before, model="c"), usage("5", project(), model="c"))
    fold()
    assert [(line.name, line.change_nanousd) for line in movers(EVERY, "model", OCTOBER)] == [("b", -500), ("a", 30)]


def test_savings_come_with_the_share_of_cached_input() -> None:
    record(usage("1", project()), usage("2", project(), cached_tokens=0, model="plain"))
    fold()
    found = savings(EVERY, "model", OCTOBER)
    assert (found.saved, found.cost, found.cached_percent, [line.name for line in found.lines]) == (0, 4 * MILLION, 41, ["gpt-5"])
