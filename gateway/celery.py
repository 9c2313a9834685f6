"""The Celery application: `celery -A gateway worker -B`."""

import os
from pathlib import Path

from celery import Celery
from celery.signals import beat_embedded_init

from gateway.lifeline import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings")

app = Celery("gateway")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(related_name="alert_tasks")
for _folder in ("data_folder_in", "control_folder"):
    _path = (app.conf.broker_transport_options or {}).get(_folder)
    if _path:
        Path(_path).mkdir(parents=True, exist_ok=True, mode=0o700)

app.conf.beat_schedule = {
    "close windows": {"task": "billing.tasks.close_windows", "schedule": 60.0, "options": {"expire_seconds": 60.0}},
    "prune changes": {"task": "gateway.tasks.prune_changes", "schedule": 3600.0},
    "clear sessions": {"task": "gateway.tasks.clear_sessions", "schedule": 3600.0},
    "check provider accounts": {"task": "gateway.tasks.check_provider_accounts", "schedule": 3600.0},
    "forget stored responses": {"task": "gateway.tasks.forget_stored_responses", "schedule": 3600.0},
    "forget vendor objects": {"task": "gateway.tasks.forget_vendor_objects", "schedule": 3600.0},
    "retire models": {"task": "gateway.tasks.retire_models", "schedule": 60.0, "options": {"expire_seconds": 60.0}},
    "remind of verifications": {"task": "gateway.tasks.remind_of_verifications", "schedule": 3600.0},
    "make partitions": {"task": "billing.tasks.make_partitions", "schedule": 21600.0},
    "archive usage": {"task": "billing.tasks.archive_usage", "schedule": 3600.0},
    "import prices": {"task": "gateway.tasks.import_prices", "schedule": 86400.0},
    "look for alerts": {"task": "billing.alert_tasks.look", "schedule": 15.0, "options": {"expire_seconds": 15.0}},
    "look ahead for alerts": {"task": "billing.alert_tasks.look_ahead", "schedule": 3600.0},
    "fold usage": {"task": "billing.tasks.fold_usage", "schedule": 60.0, "options": {"expire_seconds": 60.0}},
    # Expiring: behind a run that takes long, only one more waits. The database scheduler knows `expire_seconds` only.
    "sweep outbox": {"task": "accounts.tasks.sweep_outbox", "schedule": 5.0, "options": {"expire_seconds": 5.0}},
    "settle batches": {"task": "gateway.tasks.settle_batches", "schedule": 5.0, "options": {"expire_seconds": 5.0}},
    "make exports": {"task": "billing.tasks.make_exports", "schedule": 5.0, "options": {"expire_seconds": 5.0}},
    "mail password links": {"task": "accounts.tasks.mail_password_links", "schedule": 10.0, "options": {"expire_seconds": 10.0}},
    "anchor the audit trail": {"task": "accounts.tasks.anchor_audit", "schedule": 60.0, "options": {"expire_seconds": 60.0}},
    "pass time on requests": {"task": "accounts.tasks.pass_time_on_requests", "schedule": 60.0, "options": {"expire_seconds": 60.0}},
    "suspend idle credentials": {"task": "accounts.tasks.suspend_idle_credentials", "schedule": 3600.0},
    "announce ends of credentials": {"task": "accounts.tasks.announce_ends_of_credentials", "schedule": 3600.0},
    "prune outbox": {"task": "accounts.tasks.prune_outbox", "schedule": 86400.0},
    "prune decision links": {"task": "accounts.tasks.prune_decision_links", "schedule": 86400.0},
}


@beat_embedded_init.connect
def _end_with_the_worker(**_: object) -> None:
    """Tie beat, which the worker forks, to the worker: two beats at once would do everything twice."""
    die_with_parent(os.getppid())
