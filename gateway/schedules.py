"""Every write to schedules: switched on and off, and run out of turn. What there is, and how often, stands in gateway.celery."""

import structlog
from celery import current_app
from django.core.exceptions import ValidationError
from django.db import transaction
from django_celery_beat.models import PeriodicTask
from kombu.exceptions import KombuError

from accounts import audit
from accounts.audit.watch import subject_of

log = structlog.get_logger(__name__)


def switch(schedule: PeriodicTask, enabled: bool) -> bool:
    """Switch a schedule on or off; return whether anything changed. Beat follows within seconds."""
    with audit.act(f"schedule.{'enable' if enabled else 'disable'}"):
        locked = PeriodicTask.objects.select_for_update().get(pk=schedule.pk)
        if locked.enabled == enabled:
            return False
        locked.enabled = enabled
        locked.save()
        return True


def run_now(schedule: PeriodicTask) -> None:
    """Have a worker run a schedule's task once, soon, whether or not it is switched on. Raises ValidationError while the broker is away."""
    try:
        with audit.act("schedule.run"), transaction.atomic():
            audit.record("schedule.run", subject_of(schedule))
            current_app.send_task(schedule.task, retry=False)
    except (KombuError, OSError) as error:
        log.warning("schedule_not_run", schedule=schedule.name, error=type(error).__name__)
        raise ValidationError("The broker does not answer. Try again when it does.") from error
