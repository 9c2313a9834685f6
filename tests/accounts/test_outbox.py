"""The outbox: written with its cause, delivered at least once under one id, given up after ten tries, quiet when asked to be."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from accounts import outbox
from accounts.models import NotificationChannel, OutboxMessage, Severity, User
from accounts.outbox import BACKOFF_S, claim, deliver, deliver_due, prune, send_again
from tests.accounts.notices import tell, tree, webhook
from tests.fakes.receiver import Receiver, receiving

pytestmark = pytest.mark.django_db
NIGHT = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)


@pytest.fixture
def receiver() -> Any:
    with receiving() as running:
        yield running


def states() -> list[tuple[str, int]]:
    """State and tries of every message, oldest first."""
    return list(OutboxMessage.objects.order_by("created_at", "id").values_list("state", "attempts"))


def test_a_notice_is_written_once_and_arrives_once(receiver: Receiver) -> None:
    webhook(receiver.url)
    assert [tell(), tell(), OutboxMessage.objects.count()] == [1, 1, 1]
    assert [deliver_due(), deliver_due(), states()] == [1, 0, [("sent", 1)]]
    assert receiver.ids() == [OutboxMessage.objects.get().pk]


def test_nothing_is_written_when_its_cause_is_undone(receiver: Receiver) -> None:
    webhook(receiver.url)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        tell()
        _ = 1 / 0
    assert (OutboxMessage.objects.count(), deliver_due(), receiver.got) == (0, 0, [])


def test_only_channels_of_the_scope_and_severity_are_told() -> None:
    top, unit, project = tree()
    other = type(project).objects.create(name="Other", business_unit=top)
    for name, fields in {
        "platform": {}, "top": {"business_unit": top}, "unit": {"business_unit": unit}, "project": {"project": project},
        "other": {"project": other}, "critical": {"least_severity": "critical"}, "off": {"is_active": False},
    }.items():  # fmt: skip
        webhook("http://127.0.0.1:9999/", name, **fields)

    def told(reference: str, severity: str, **scope: Any) -> list[str]:
        tell(reference, severity, **scope)
        return sorted(OutboxMessage.objects.filter(reference__startswith=f"{reference}:").values_list("channel__name", flat=True))

    assert [
        told("a", "info", project=project),
        told("b", "critical", project=project),
        told("c", "info", unit=top),
        told("d", "info", unit=unit),
        told("e", "warning"),
        told("f", "info", project=other),
    ] == [
        ["platform", "project", "top", "unit"],
        ["critical", "platform", "project", "top", "unit"],
        ["platform", "top"],
        ["platform", "top", "unit"],
        ["platform"],
        ["other", "platform", "top"],
    ]


def test_a_refused_message_is_tried_again_later_with_the_same_id_and_then_given_up(receiver: Receiver) -> None:
    webhook(receiver.url)
    receiver.answers = [500]
    with time_machine.travel(NIGHT, tick=False) as clock:
        tell()
        for pause in BACKOFF_S:
            assert deliver_due() == 0
            clock.shift(pause - 1)
            assert deliver_due() == 0
            clock.shift(1)
        deliver_due()
        clock.shift(86_400)
        deliver_due()
    message = OutboxMessage.objects.get()
    assert (message.state, message.attempts, message.last_error) == ("dead", 10, "127.0.0.1 answers HTTP 500.")
    assert receiver.ids() == [message.pk] * 10
    by = User.objects.create(email="ada@example.com")
    receiver.answers = [200]
    send_again(message, by)
    assert deliver_due() == 1
    message.refresh_from_db()
    assert (message.state, message.attempts, message.resent_by, receiver.ids()[-1]) == ("sent", 1, by, message.pk)
    with pytest.raises(ValidationError, match="neither waiting nor given up"):
        send_again(message)


def test_two_sweeps_do_not_deliver_the_same_message(receiver: Receiver) -> None:
    webhook(receiver.url)
    tell()
    pk = OutboxMessage.objects.get().pk
    first, second = claim(pk), claim(pk)
    assert (first is not None, second) == (True, None)


def test_a_message_whose_deliverer_died_is_claimed_again_under_the_same_id(receiver: Receiver) -> None:
    webhook(receiver.url)
    with time_machine.travel(NIGHT, tick=False) as clock:
        tell()
        lost = claim(OutboxMessage.objects.get().pk)
        clock.shift(outbox.CLAIM_S - 1)
        assert deliver_due() == 0
        clock.shift(1)
        assert deliver_due() == 1
        # The first one was only slow: what it reports now changes nothing.
        assert lost is not None
        receiver.answers = [500]
        assert deliver(lost) is False
    assert (states(), receiver.ids()) == ([("sent", 2)], [lost.pk, lost.pk])


def test_a_message_that_kills_its_deliverer_every_time_is_given_up() -> None:
    webhook("http://127.0.0.1:9999/")
    with time_machine.travel(NIGHT, tick=False) as clock:
        tell()
        for _ in range(10):
            assert claim(OutboxMessage.objects.get().pk) is not None
            clock.shift(outbox.CLAIM_S)
        assert deliver_due() == 0
    assert (states(), OutboxMessage.objects.get().last_error) == ([("dead", 10)], "The process ended during the last try.")


def test_a_broken_channel_keeps_no_other_back(receiver: Receiver) -> None:
    with receiving() as broken:
        broken.answers = [500]
        webhook(broken.url, "broken")
        webhook(receiver.url, "good")
        for reference in ("a", "b", "c"):
            tell(reference)
        assert deliver_due() == 3
        assert (len(broken.got), len(receiver.got)) == (1, 3)


def test_a_sink_that_breaks_is_recorded_and_keeps_no_other_back(receiver: Receiver) -> None:
    webhook(receiver.url, "bad")
    NotificationChannel.objects.filter(name="bad").update(options={})
    webhook(receiver.url, "good")
    tell()
    assert deliver_due() == 1
    assert sorted(OutboxMessage.objects.values_list("state", "last_error")) == [
        ("sent", ""),
        ("waiting", "The delivery broke off unexpectedly (KeyError); see the log."),
    ]


def test_what_is_not_critical_waits_for_the_end_of_quiet_hours(receiver: Receiver) -> None:
    webhook(receiver.url, quiet_from=time(22), quiet_until=time(7), time_zone="Europe/Berlin")
    with time_machine.travel(NIGHT, tick=False) as clock:
        tell("a", Severity.WARNING)
        tell("b", Severity.CRITICAL)
        assert [deliver_due(), deliver_due()] == [1, 0]
        clock.move_to(datetime(2026, 11, 25, 6, 0, tzinfo=UTC))
        assert deliver_due() == 1
    assert [body["data"]["severity"] for body in receiver.bodies()] == ["critical", "warning"]


def test_a_retry_that_falls_into_quiet_hours_waits_too(receiver: Receiver) -> None:
    webhook(receiver.url, quiet_from=time(22), quiet_until=time(7))
    receiver.answers = [500, 200]
    with time_machine.travel(datetime(2026, 11, 24, 21, 59, 55, tzinfo=UTC), tick=False) as clock:
        tell()
        assert deliver_due() == 0
        clock.shift(10)
        assert (deliver_due(), OutboxMessage.objects.get().due_at) == (0, datetime(2026, 11, 25, 7, 0, tzinfo=UTC))
        clock.move_to(datetime(2026, 11, 25, 7, 0, tzinfo=UTC))
        assert (deliver_due(), len(receiver.got)) == (1, 2)


def test_a_digest_joins_what_came_until_then(receiver: Receiver) -> None:
    webhook(receiver.url, digest="hourly")
    with time_machine.travel(NIGHT, tick=False) as clock:
        tell("a", title="First")
        tell("b", Severity.INFO, title="Second <x>")
        tell("c", Severity.CRITICAL, title="At once")
        assert deliver_due() == 1
        clock.shift(3_599)
        assert deliver_due() == 0
        clock.shift(1)
        assert [deliver_due(), deliver_due()] == [1, 0]
        tell("d", title="Alone")
        clock.shift(3_600)
        assert deliver_due() == 1
    assert [(body["type"], body["data"]["title"], body["data"]["text"]) for body in receiver.bodies()] == [
        ("budget", "At once", "Text"),
        ("digest", "2 notices", "2026-11-24 23:00 UTC  First\n2026-11-24 23:00 UTC  Second <x>"),
        ("budget", "Alone", "Text"),
    ]
    assert sorted(state for state, _ in states()) == ["collected", "collected", "sent", "sent", "sent"]


def test_old_deliveries_are_forgotten_and_nothing_else(receiver: Receiver) -> None:
    webhook(receiver.url)
    for reference in ("old", "new", "waiting"):
        tell(reference)
    old = timezone.now() - timedelta(days=91)
    OutboxMessage.objects.filter(reference__startswith="old").update(state="sent", sent_at=old)
    OutboxMessage.objects.filter(reference__startswith="new").update(state="sent", sent_at=timezone.now())
    OutboxMessage.objects.filter(reference__startswith="waiting").update(created_at=old)
    assert (prune(), OutboxMessage.objects.count()) == (1, 2)


@pytest.mark.django_db(transaction=True)
def test_two_digests_at_the_same_time_take_each_notice_once(receiver: Receiver) -> None:
    import threading

    webhook(receiver.url, digest="hourly")
    for number in range(6):
        tell(f"n{number}")
    OutboxMessage.objects.update(due_at=timezone.now())

    def sweep() -> None:
        try:
            deliver_due()
        finally:
            connection.close()

    threads = [threading.Thread(target=sweep) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [body["data"]["title"] for body in receiver.bodies()] == ["6 notices"]
