"""Break-glass: from the host alone, for an hour, told to everybody in charge, without a say in approvals, over by itself."""

from collections.abc import Iterator
from datetime import time, timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import Client
from structlog.testing import capture_logs

from accounts import access, mailboxes, outbox
from accounts.models import AuditEvent, NotificationChannel, OutboxMessage, Session, User
from tests.accounts.signin.people import START, first_step, person
from tests.fakes.mail import mail_server

pytestmark = pytest.mark.django_db
WHY = "The identity provider is down since nine."


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as moved:
        yield moved


def run(user: User, *more: str, reason: str = WHY) -> str:
    out = StringIO()
    call_command("break_glass", "--user", user.email, "--reason", reason, *more, stdout=out)
    return out.getvalue()


def entered(user: User) -> Client:
    path = run(user).split("minutes: ")[1].strip()
    client = Client()
    client.get(path)
    assert client.post(path).headers["Location"] == "/admin/"
    return client


def test_a_link_lets_in_once_without_password_and_factor_as_an_administrator_for_an_hour(clock: Any) -> None:
    user = person("auditor", app=True)
    path = run(user).split("minutes: ")[1].strip()
    client = Client()
    assert (client.get(path).status_code, client.get("/admin/").status_code) == (200, 302)
    client.post(path)
    assert (client.get("/admin/accounts/user/add/").status_code, Client().post(path).status_code) == (200, 410)
    for minutes, status in ((50, 200), (10, 302)):
        clock.shift(timedelta(minutes=minutes))
        assert client.get("/admin/").status_code == status
    user.refresh_from_db()
    assert (access.role_of(user), user.role) == ("auditor", "auditor")


def test_the_link_is_good_for_a_quarter_of_an_hour(clock: Any) -> None:
    path = run(person()).split("minutes: ")[1].strip()
    clock.shift(timedelta(minutes=16))
    assert Client().post(path).status_code == 410


def test_the_rights_end_with_the_hour_whatever_way_the_user_came_in(clock: Any) -> None:
    user = person()
    run(user)
    assert first_step(user)[0].get("/admin/").headers["Location"].startswith("/account/authenticator")
    during = access.may(User.objects.get(pk=user.pk), "POST business-units")
    clock.shift(timedelta(minutes=61))
    assert (during, access.may(User.objects.get(pk=user.pk), "POST business-units"), access.sees_everything(user)) == (True, False, False)


def test_everybody_in_charge_is_told_and_it_is_on_record() -> None:
    NotificationChannel.objects.create(name="IT", kind="webhook", options={"url": "https://hooks.example/x"})
    user = person()
    entered(user)
    message = OutboxMessage.objects.get(kind="break-glass")
    assert (message.severity, user.email in message.title, WHY in message.text) == ("critical", True, True)
    opened = AuditEvent.objects.get(action="break-glass.open")
    assert (WHY in str(opened.texts["reason"]), opened.face, opened.object_id) == (True, "command", f"usr_{user.pk.hex}")
    assert "break-glass" in str(AuditEvent.objects.get(action="session.sign-in").texts["how"])


def test_every_administrator_and_security_officer_gets_a_mail_at_once(settings: Any) -> None:
    settings.MAIL_URL, settings.MAIL_FROM, settings.PUBLIC_URL = "smtp://127.0.0.1:1?tls=none", "gateway@example.com", "http://testserver"
    told = [User.objects.create_user(f"{name}@example.com", role=role) for name, role in (("it", "it_admin"), ("security", "security_officer"))]
    User.objects.create_user("finance@example.com", role="finance")
    User.objects.create_user("gone@example.com", role="it_admin", is_active=False)
    box = mailboxes.mailbox_of(told[0])
    box.digest, box.quiet_from, box.quiet_until = "daily", time(0, 0), time(23, 59)
    box.save()
    user = person()
    run(user)
    rows = OutboxMessage.objects.filter(kind="break-glass").order_by("channel__person__email")
    assert [row.channel.person for row in rows] == told
    assert {(row.severity, row.for_digest, row.due_at, WHY in row.text, user.email in row.title) for row in rows} == {("critical", False, START, True, True)}
    with mail_server() as server:
        settings.MAIL_URL = server.url
        outbox.deliver_due()
        assert sorted(to for to, _ in server.mails) == [["it@example.com"], ["security@example.com"]]


def test_that_nobody_could_be_told_is_said_in_the_log() -> None:
    with capture_logs() as said:
        run(person())
    assert [line["event"] for line in said if line["log_level"] == "warning"] == ["break_glass_told_nobody"]


def test_it_is_marked_so_that_nothing_can_be_approved_with_it() -> None:
    user = person("it_admin", app=True)
    before = access.is_breaking_glass(user)
    entered(user)
    assert (before, access.is_breaking_glass(User.objects.get(pk=user.pk))) == (False, True)


def test_it_is_ended_before_its_time_by_the_host_and_by_closing_the_account() -> None:
    user = person()
    client = entered(user)
    assert ("has ended" in run(user, "--end"), client.get("/admin/").status_code, Session.objects.count()) == (True, 302, 0)
    again = entered(user)
    user.refresh_from_db()
    user.is_active = False
    user.save()
    assert (again.get("/admin/").status_code, access.role_of(user)) == (302, "")


@pytest.mark.parametrize(("reason", "active", "words"), [("why", True, "Say why in a sentence"), (WHY, False, "is deactivated")])
def test_it_needs_a_reason_and_an_open_account(reason: str, active: bool, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run(person(is_active=active), reason=reason)


def test_it_needs_a_known_user() -> None:
    with pytest.raises(CommandError, match=r"create_admin nobody@example\.com"):
        call_command("break_glass", "--user", "nobody@example.com", "--reason", WHY)


def test_the_secret_of_the_link_is_kept_nowhere() -> None:
    token = run(person()).strip().rsplit("/", 1)[1]
    assert token not in str([*User.objects.values(), *AuditEvent.objects.values(), *OutboxMessage.objects.values()])
