"""Schedules name tasks that exist, those that come often do not pile up behind a slow run, and only IT switches them."""

import pytest
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import ModelEntry

from accounts.models import AuditEvent
from gateway.celery import app
from tests.gateway.api.callers import person


def test_every_schedule_names_a_task() -> None:
    app.loader.import_default_modules()
    assert [name for name, entry in app.conf.beat_schedule.items() if entry["task"] not in app.tasks] == []


@pytest.mark.django_db
def test_frequent_work_expires_when_the_next_is_due() -> None:
    for name, entry in app.conf.beat_schedule.items():
        ModelEntry.from_entry(name, app=app, **entry)
    found = PeriodicTask.objects.filter(interval__period="seconds", interval__every__lte=60)
    assert {task.name: task.expire_seconds for task in found} == {task.name: task.interval.every for task in found}
    assert {"sweep outbox", "look for alerts"} <= {task.name for task in found}


def schedule() -> PeriodicTask:
    return PeriodicTask.objects.create(name="prune", task="gateway.tasks.prune_changes", interval=IntervalSchedule.objects.create(every=1, period="days"))


def acts() -> list[tuple[str, str]]:
    return list(AuditEvent.objects.filter(action__startswith="schedule.").exclude(action="schedule.create").order_by("seq").values_list("action", "face"))


@pytest.mark.django_db
def test_schedules_are_switched_on_record() -> None:
    row, client = schedule(), person("it_admin").client
    seen = []
    for action in ("switch_off", "switch_off", "switch_on"):
        client.post(reverse("admin:django_celery_beat_periodictask_changelist"), {"action": action, "_selected_action": str(row.pk)})
        seen.append(PeriodicTask.objects.get().enabled)
    assert (seen, acts()) == ([False, False, True], [("schedule.disable", "admin"), ("schedule.enable", "admin")])


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["auditor", "finance", "security_officer"])
def test_nobody_else_switches_or_runs_a_schedule(role: str) -> None:
    row, client = schedule(), person(role).client
    for action in ("switch_off", "run", "disable_tasks", "run_tasks"):
        client.post(reverse("admin:django_celery_beat_periodictask_changelist"), {"action": action, "_selected_action": str(row.pk)})
    assert (PeriodicTask.objects.get().enabled, acts()) == (True, [])


@pytest.mark.django_db
def test_running_one_now_is_on_record_once_the_broker_took_it() -> None:
    row, client = schedule(), person("it_admin").client
    page = reverse("admin:django_celery_beat_periodictask_changelist")
    client.post(page, {"action": "run", "_selected_action": str(row.pk)})
    assert acts() == [("schedule.run", "admin")]
