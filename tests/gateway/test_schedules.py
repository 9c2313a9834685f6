"""Schedules name tasks that exist, and those that come often do not pile up behind a slow run."""

import pytest
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import ModelEntry

from gateway.celery import app


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
