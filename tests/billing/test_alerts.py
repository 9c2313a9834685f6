"""Alerts: each recorded exactly once per rule, subject, window and threshold, and told to those it concerns."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts.models import OutboxMessage, Project, User
from accounts.outbox import deliver_due
from billing.alerts import acknowledge, look, look_ahead
from billing.alerts.outlook import straight_on
from billing.models import AlertEvent, AlertPosition, Budget, CreditAccount, CreditGrant, UsageRecord, Window
from billing.rollups import fold
from tests.accounts.notices import tree, webhook
from tests.fakes.receiver import receiving

pytestmark = pytest.mark.django_db
USD = 1_000_000_000
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
OPENS, CLOSES = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)


def budget(project: Project, **fields: Any) -> Budget:
    return Budget.objects.create(**{"name": "Monthly", "project": project, "amount": 100 * USD, **fields})


def window(owner: Budget, spent: int = 0, label: str = "2026-11", **fields: Any) -> Window:
    return Window.objects.create(
        **{
            "id": f"{owner.pk}:{label}", "budget": owner, "unit": owner.unit, "opens_at": OPENS, "closes_at": CLOSES, "base": owner.amount,
            "spent": spent, **fields,
        }
    )  # fmt: skip


def usage(number: int, **fields: Any) -> UsageRecord:
    return UsageRecord.objects.create(
        **{
            "call_id": f"call_{number}", "started_at": NOW, "duration_ms": 1, "key": "k", "model": "gpt-5", "endpoint": "chat/completions",
            "status": 200, "outcome": "ok", "usage_source": "provider", **fields,
        }
    )  # fmt: skip


def told() -> list[tuple[str, str, int]]:
    """Kind, window and threshold of every alert, oldest first."""
    return list(AlertEvent.objects.order_by("id").values_list("kind", "window", "threshold"))


def spend(row: Window, spent: int) -> None:
    Window.objects.filter(pk=row.pk).update(spent=spent)


@pytest.fixture
def project() -> Project:
    return tree()[2]


def test_each_threshold_is_recorded_once_in_each_window(project: Project) -> None:
    first = window(budget(project))
    seen = []
    for spent in (0, 49 * USD, 50 * USD - 1, 50 * USD, 60 * USD, 99 * USD, 100 * USD, 130 * USD):
        spend(first, spent)
        seen.append((look(NOW), look(NOW)))
    assert seen == [(0, 0), (0, 0), (0, 0), (1, 0), (0, 0), (1, 0), (1, 0), (0, 0)]
    window(Budget.objects.get(), 80 * USD, "2026-12")
    assert look(NOW) == 2
    pk = Budget.objects.get().pk
    assert told() == [
        ("budget", f"{pk}:2026-11", 50), ("budget", f"{pk}:2026-11", 80), ("budget", f"{pk}:2026-11", 100),
        ("budget", f"{pk}:2026-12", 50), ("budget", f"{pk}:2026-12", 80),
    ]  # fmt: skip


def test_a_budgets_own_thresholds_are_used_and_a_jump_records_them_all(project: Project) -> None:
    own = window(budget(project, thresholds=[90, 10, 120, 10], mode="soft"), 119 * USD)
    assert look(NOW) == 2
    spend(own, 120 * USD)
    assert (look(NOW), [(percent, severity) for percent, severity in AlertEvent.objects.order_by("id").values_list("threshold", "severity")]) == (
        1, [(10, "info"), (90, "warning"), (120, "critical")],
    )  # fmt: skip


def test_a_raised_budget_alerts_at_its_new_amount(project: Project) -> None:
    own = window(budget(project), 60 * USD)
    look(NOW)
    Window.objects.filter(pk=own.pk).update(base=200 * USD, spent=100 * USD)
    assert look(NOW) == 0
    spend(own, 160 * USD)
    assert (look(NOW), [percent for _, _, percent in told()]) == (1, [50, 80])


def test_a_closed_window_is_looked_at_for_late_receipts_for_a_day(project: Project) -> None:
    own = window(budget(project), 0)
    Window.objects.filter(pk=own.pk).update(spent=60 * USD, closed_at=NOW - timedelta(hours=25))
    assert look(NOW) == 0
    Window.objects.filter(pk=own.pk).update(closed_at=NOW - timedelta(hours=23))
    assert look(NOW) == 1


def test_an_unchanged_window_costs_no_query_of_its_own(project: Project, django_assert_max_num_queries: Any) -> None:
    for number in range(20):
        window(budget(project, name=f"b{number}"), 60 * USD)
    assert look(NOW) == 20
    with django_assert_max_num_queries(6):
        assert look(NOW) == 0


def test_what_was_used_beyond_a_hold_is_told_once(project: Project) -> None:
    own = window(budget(project), 2 * USD, overrun=USD)
    assert look(NOW) == 1
    Window.objects.filter(pk=own.pk).update(spent=4 * USD, overrun=2 * USD)
    assert (look(NOW), told()) == (0, [("overrun", own.pk, 0)])


def test_the_words_name_what_happened_in_people_s_units(project: Project) -> None:
    window(budget(project, name="B <b>"), 80 * USD + 123_456_789)
    window(budget(project, name="T", unit="tokens", amount=1_000), 1_000)
    look(NOW)
    assert list(AlertEvent.objects.filter(threshold__in=[80, 100]).order_by("title", "threshold").values_list("title", "text")) == [
        (
            "Budget B <b> of project Project has reached 80 %",
            "$80.12 of $100.00 are spent in 2026-11. The window ends at 2026-12-01 00:00 UTC.",
        ),
        (
            "Budget T of project Project has reached 100 %",
            "1,000 tokens of 1,000 tokens are spent in 2026-11. The window ends at 2026-12-01 00:00 UTC. Calls that would exceed it are refused.",
        ),
        (
            "Budget T of project Project has reached 80 %",
            "1,000 tokens of 1,000 tokens are spent in 2026-11. The window ends at 2026-12-01 00:00 UTC.",
        ),
    ]


def test_an_alert_reaches_the_channels_of_its_scope(project: Project, settings: Any) -> None:
    settings.PUBLIC_URL = "https://gw.example.com"
    with receiving() as receiver:
        webhook(receiver.url, "above", business_unit=project.business_unit.parent)
        webhook(receiver.url, "mine", project=project, least_severity="critical")
        webhook(receiver.url, "other", project=Project.objects.create(name="Other", business_unit=project.business_unit))
        window(budget(project), 100 * USD)
        assert (look(NOW), deliver_due()) == (3, 4)
    event = AlertEvent.objects.get(threshold=100)
    critical = [body["data"] for body in receiver.bodies() if body["data"]["threshold"] == 100]
    assert [(data["url"], data["subject"], data["spent"]) for data in critical] == [
        (f"https://gw.example.com/admin/billing/alertevent/{event.pk}/change/", event.subject, 100 * USD)
    ] * 2
    assert len(set(receiver.ids())) == 4


def test_credit_that_runs_low_ends_or_expires_is_told_once_for_each_grant(project: Project) -> None:
    account = CreditAccount.objects.create(name="Prepaid", project=project, low_nanousd=5 * USD)
    grant = CreditGrant.objects.create(account=account, amount_nanousd=100 * USD, remaining_nanousd=100 * USD, expires_at=NOW + timedelta(days=9), reason="r")
    seen = []
    for left in (21, 20, 5, 0):
        CreditGrant.objects.filter(pk=grant.pk).update(remaining_nanousd=left * USD)
        seen.append((look(NOW), look(NOW)))
    assert seen == [(0, 0), (1, 0), (1, 0), (1, 0)]
    second = CreditGrant.objects.create(account=account, amount_nanousd=10 * USD, remaining_nanousd=10 * USD, expires_at=NOW + timedelta(days=7), reason="r")
    new = [look(NOW), look(NOW), look(NOW + timedelta(days=8))]
    assert (new, told()) == (
        [2, 0, 2],
        [
            ("credit_low", f"grant:{grant.pk}", 20), ("credit_low", f"grant:{grant.pk}:amount", 5 * USD), ("credit_low", f"grant:{grant.pk}", 0),
            ("credit_low", f"grant:{second.pk}", 20), ("credit_expiring", f"grant:{second.pk}", 7),
            # the second has expired by now, and the first is empty
            ("credit_low", f"grant:{second.pk}:amount", 5 * USD), ("credit_low", f"grant:{second.pk}", 0),
        ],
    )  # fmt: skip


def test_an_unknown_price_is_told_once_a_day_for_each_project_and_model(project: Project) -> None:
    usage(1, flags="unpriced", project=project.pk)
    usage(2, flags="usage_missing,unpriced", project=project.pk)
    usage(3, flags="", project=project.pk, model="priced")
    usage(4, flags="unpriced", project=UUID(int=1), model="elsewhere")
    first = [look(NOW), look(NOW), look(NOW)]
    usage(5, flags="unpriced", project=project.pk)
    usage(6, flags="unpriced", project=project.pk, started_at=NOW + timedelta(days=1))
    assert (first, [look(NOW), look(NOW)]) == ([2, 0, 0], [1, 0])
    assert sorted(AlertEvent.objects.values_list("subject", "window")) == sorted([
        (f"{UUID(int=1)}:elsewhere", "2026-11-24"), (f"{project.pk}:gpt-5", "2026-11-24"), (f"{project.pk}:gpt-5", "2026-11-25"),
    ])  # fmt: skip


def test_a_usage_row_committed_late_is_still_seen(project: Project) -> None:
    usage(1, flags="", project=project.pk)
    late = usage(2, flags="unpriced", project=project.pk)
    UsageRecord.objects.filter(pk=late.pk).delete()
    usage(3, flags="", project=project.pk)
    assert look(NOW) == 0
    late.save(force_insert=True)
    assert (look(NOW), AlertPosition.objects.get().seen) == (1, UsageRecord.objects.latest("id").pk)


@pytest.mark.parametrize(("day", "expected"), [(1, None), (3, None), (4, 300), (16, 60), (31, 30), (32, None)])
def test_a_forecast_goes_on_as_so_far_once_a_tenth_is_over(day: int, expected: int | None) -> None:
    assert straight_on(30, OPENS, CLOSES, OPENS + timedelta(days=day - 1)) == expected


def test_a_budget_that_will_not_last_is_told_once(project: Project) -> None:
    window(budget(project), 80 * USD)
    window(budget(project, name="lasts"), 70 * USD)
    window(budget(project, name="over"), 101 * USD)
    window(budget(project, name="users", per="end_user"), 90 * USD)
    assert [look_ahead(NOW), look_ahead(NOW)] == [1, 0]
    event = AlertEvent.objects.get()
    assert (event.kind, event.title, event.facts["forecast"]) == ("forecast", "Budget Monthly of project Project will not last", 102_127_659_574)


def test_a_forecast_of_money_follows_the_weekdays_of_the_last_weeks(project: Project) -> None:
    above = project.business_unit.parent
    for day in range(1, 43):
        usage(day, project=project.pk, started_at=NOW - timedelta(days=day), cost_nanousd=(1 if (NOW - timedelta(days=day)).weekday() < 5 else 4) * USD)
    fold()
    # 23 days of November are over, 7 with today are to come: five working days and a weekend, 5 * 1 + 2 * 4 = 13 USD
    window(budget(project, name="lasts", amount=60 * USD), 47 * USD)
    window(budget(project, name="not", amount=60 * USD - 1), 47 * USD)
    window(Budget.objects.create(name="above", amount=59 * USD, business_unit=above), 47 * USD)
    assert [look_ahead(NOW), look_ahead(NOW)] == [2, 0]
    assert sorted((event.title, event.facts["forecast"]) for event in AlertEvent.objects.all()) == [
        ("Budget above of business unit Top will not last", 60 * USD),
        ("Budget not of project Project will not last", 60 * USD),
    ]


def test_a_day_unlike_its_weekday_is_told_once_with_what_caused_it(project: Project) -> None:
    second = Project.objects.create(name="Usual", business_unit=project.business_unit)
    for week in range(1, 6):
        usage(week, project=project.pk, started_at=NOW - timedelta(weeks=week), cost_nanousd=(10 + week) * USD)
        usage(100 + week, project=second.pk, started_at=NOW - timedelta(weeks=week), cost_nanousd=10 * USD)
    usage(50, project=project.pk, cost_nanousd=40 * USD, model="large")
    usage(51, project=project.pk, cost_nanousd=1 * USD)
    usage(52, project=second.pk, cost_nanousd=3 * USD)
    fold()
    assert [look_ahead(NOW), look_ahead(NOW + timedelta(hours=20))] == [1, 0]
    assert list(AlertEvent.objects.values_list("kind", "subject", "window", "text")) == [
        (
            "anomaly", f"prj_{project.pk.hex}", "2026-11-24",
            "$41.00, where $13.00 are usual for this weekday. Most of it: model large, $40.00 instead of $0.00.",
        )
    ]  # fmt: skip


def test_an_alert_is_acknowledged_by_the_first_who_says_so(project: Project) -> None:
    ada, bob = (User.objects.create(email=f"{name}@example.com") for name in ("ada", "bob"))
    window(budget(project), 50 * USD)
    look(NOW)
    events = list(AlertEvent.objects.all())
    assert ([acknowledge(events, by) for by in (ada, bob)], AlertEvent.objects.get().acknowledged_by) == ([1, 0], ada)


@pytest.mark.django_db(transaction=True)
def test_looks_at_the_same_time_record_each_alert_once() -> None:
    project = tree()[2]
    with receiving() as receiver:
        webhook(receiver.url)
        for number in range(5):
            window(budget(project, name=f"b{number}"), 100 * USD)
        counts: list[int] = []

        def run() -> None:
            try:
                counts.append(look(NOW))
            finally:
                connection.close()

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert (sum(counts), AlertEvent.objects.count(), OutboxMessage.objects.count()) == (15, 15, 15)


def test_the_pages_open_and_alerts_are_acknowledged_there(project: Project) -> None:
    admin, auditor = Client(), Client()
    admin.force_login(User.objects.create(email="a@example.com", role="it_admin", is_staff=True))
    auditor.force_login(User.objects.create(email="b@example.com", role="auditor", is_staff=True))
    window(budget(project, name="<script>alert(1)</script>"), 50 * USD)
    look(NOW)
    event = AlertEvent.objects.get()
    page, detail = reverse("admin:billing_alertevent_changelist"), reverse("admin:billing_alertevent_change", args=[event.pk])
    assert [client.get(url).status_code for client in (admin, auditor) for url in (page, detail)] == [200] * 4
    assert b"<script>alert(1)" not in admin.get(page).content + admin.get(detail).content
    auditor.post(page, {"action": "acknowledge", "_selected_action": str(event.pk)})
    assert AlertEvent.objects.get().acknowledged_at is None
    admin.post(page, {"action": "acknowledge", "_selected_action": str(event.pk)})
    assert AlertEvent.objects.get().acknowledged_by == User.objects.get(email="a@example.com")
