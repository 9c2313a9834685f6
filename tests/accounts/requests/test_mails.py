"""Mails of requests: approvers are asked in their own mailbox, askers are told, at times of their own choice, by a real mail server."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from email.header import decode_header, make_header
from email.message import Message
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError

from accounts import access, audit, mailboxes
from accounts.channels import subscribed
from accounts.models import AuditEvent, BusinessUnit, DecisionLink, GrantRequest, NotificationChannel, OutboxMessage, User
from accounts.outbox import deliver_due
from accounts.requests import asking, deciding, schedule
from billing.budgets import save_budget
from billing.models import Budget
from tests.accounts.requests.people import company, credit, delegate, rule, user
from tests.fakes.mail import MailServer, mail_server

pytestmark = pytest.mark.django_db
MORNING = datetime(2026, 11, 25, 9, tzinfo=UTC)  # a Wednesday


@pytest.fixture
def server(settings: Any) -> Iterator[MailServer]:
    with mail_server() as running:
        settings.MAIL_URL, settings.MAIL_FROM, settings.PUBLIC_URL = running.url, "gateway@example.com", "https://ai.example.com"
        yield running


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(MORNING, tick=False) as moved:
        yield moved


@pytest.fixture
def people(clock: Any) -> SimpleNamespace:
    return company()


def text_of(message: Message, kind: str = "text/plain") -> str:
    parts = [part for part in message.walk() if part.get_content_type() == kind]
    return "".join(part.get_payload(decode=True).decode() for part in parts)  # type: ignore[union-attr]


def subject(message: Message) -> str:
    return str(make_header(decode_header(message["Subject"]))).replace("\r\n ", " ")  # long lines are folded


def told(server: MailServer) -> list[tuple[str, str]]:
    """Deliver what is due; return recipient and subject of everything that came since."""
    deliver_due()
    mails, server.mails = server.mails, []
    return sorted((to[0].partition("@")[0], subject(message)) for to, message in mails)


def test_an_approver_reads_everything_needed_to_decide(server: MailServer, people: SimpleNamespace) -> None:
    request = credit(people.dev, people.project)
    deliver_due()
    [(to, message)] = server.mails
    link = DecisionLink.objects.get()
    text = text_of(message)
    assert (to, subject(message), link.approver, link.step.request) == (["manager@example.com"], "To decide: 20.00 USD credit for P", people.manager, request)
    for line in (
        "dev@example.com asks: 20.00 USD credit for P",
        "Load test",
        "Credit of P: 0.00 → 20.00",
        "Note: The first request of this person.",
        "Decide until: 2026-12-16 09:00 UTC",
        f"https://ai.example.com/approvals/{request.shown_id}",
    ):
        assert line in text
    assert text.count("https://ai.example.com/approvals/by-mail/") == 2
    assert link.pk.hex not in str(list(OutboxMessage.objects.exclude(facts__link=link.pk.hex).values()))


def test_askers_hear_of_each_step_of_their_request(server: MailServer, people: SimpleNamespace) -> None:
    rule({"approver": "manager"}, {"approver": "role", "roles": ["finance"]})
    request = credit(people.dev, people.project)
    assert told(server) == [("manager", "To decide: 20.00 USD credit for P")]
    request = deciding.ask(request, people.manager, "What for?")
    assert told(server) == [("dev", "A question: 20.00 USD credit for P")]
    request = asking.comment(request, people.dev, "The sale")
    deliver_due()
    assert "The answer: The sale" in text_of(server.mails[0][1])
    assert told(server) == [("manager", "To decide: 20.00 USD credit for P")]
    request = deciding.approve(request, people.manager)
    assert told(server) == [("dev", "One step further: 20.00 USD credit for P"), ("finance", "To decide: 20.00 USD credit for P")]
    request = deciding.approve(request, people.finance, amount_nanousd=5 * 10**9)
    deliver_due()
    text = text_of(server.mails[0][1])
    assert ("By: finance@example.com" in text, "Asked: 20.00 USD" in text, "Instead: 5.00 USD" in text) == (True, True, True)
    assert told(server) == [("dev", "Granted: 20.00 USD credit for P")]
    deciding.take_back(request, people.finance, "stopped")
    denied = deciding.deny(credit(people.dev, people.project), people.manager, "not now")
    assert (denied.state, [name for name in told(server) if name[0] == "dev"]) == (
        "denied",
        [("dev", "Denied: 20.00 USD credit for P"), ("dev", "Ended: 20.00 USD credit for P")],
    )


def test_reminders_escalation_and_expiry_reach_mailboxes_on_working_days(server: MailServer, people: SimpleNamespace, clock: Any) -> None:
    rule({"approver": "manager"}, remind_days=1, escalate_days=2, expire_days=3)
    credit(people.dev, people.project)
    seen = []
    for day in range(25, 31):
        clock.move_to(datetime(2026, 11, day, 9, tzinfo=UTC))
        schedule.pass_time()
        seen.append(told(server))
    asked, reminded = "To decide: 20.00 USD credit for P", "Reminder: To decide: 20.00 USD credit for P"
    assert seen == [
        [("manager", asked)],
        [("manager", reminded)],
        [("boss", asked), ("manager", reminded)],
        [],  # Saturday
        [],
        [("dev", "Expired: 20.00 USD credit for P")],
    ]


def test_the_asker_is_told_before_a_grant_ends_and_when_it_has(server: MailServer, people: SimpleNamespace, clock: Any) -> None:
    begun = datetime(2098, 11, 26, 9, tzinfo=UTC)  # ends are compared with the database's own clock, which is not moved
    clock.move_to(begun)
    long = credit(people.dev, people.project, until=begun + timedelta(days=30))
    short = credit(people.dev, people.project, 1, until=begun + timedelta(hours=4))
    for request in (long, short):
        deciding.approve(request, people.manager)
    told(server)
    seen = []
    for hours in (2, 3, 4, 26 * 24, 27 * 24, 28 * 24, 30 * 24):
        clock.move_to(begun + timedelta(hours=hours))
        schedule.pass_time()
        seen.append([title for _, title in told(server)])
    assert seen == [
        [], ["Ends soon: 1.00 USD credit for P"], ["Ended: 1.00 USD credit for P"],
        [], ["Ends soon: 20.00 USD credit for P"], [], ["Ended: 20.00 USD credit for P"],
    ]  # fmt: skip


def test_whoever_decides_in_anothers_place_is_asked_too_and_told_in_whose(server: MailServer, people: SimpleNamespace) -> None:
    deputy = user("deputy")
    delegate(people.manager, deputy)
    credit(people.dev, people.project)
    deliver_due()
    mails = {to[0]: text_of(message) for to, message in server.mails}
    assert {to: "In place of: manager@example.com" in text for to, text in mails.items()} == {"deputy@example.com": True, "manager@example.com": False}
    assert "example.com/approvals/by-mail/" in mails["deputy@example.com"]


def test_quiet_hours_and_digests_are_each_persons_own(server: MailServer, people: SimpleNamespace, clock: Any) -> None:
    rule({"approver": "people", "people": [people.manager, people.boss]})
    mailboxes.save_preferences(people.manager, digest="", quiet_from=time(8), quiet_until=time(12), time_zone="Europe/Berlin")
    mailboxes.save_preferences(people.boss, digest="hourly", quiet_from=None, quiet_until=None, time_zone="UTC")
    first, second = credit(people.dev, people.project, 1), credit(people.dev, people.project, 2)
    third = credit(people.dev, people.project, 3)
    assert told(server) == []
    deciding.deny(third, people.boss, "no")
    told(server)
    clock.move_to(MORNING + timedelta(hours=1))
    deliver_due()
    [(to, digest)] = server.mails
    text = text_of(digest)
    assert (to, subject(digest), text.count("/approvals/by-mail/")) == (["boss@example.com"], "2 notices", 4)
    assert [f"/approvals/{request.shown_id}" in text for request in (first, second, third)] == [True, True, False]
    server.mails = []
    clock.move_to(MORNING + timedelta(hours=2))  # noon in Berlin
    assert told(server) == [("manager", "To decide: 1.00 USD credit for P"), ("manager", "To decide: 2.00 USD credit for P")]


def test_nobody_is_asked_to_decide_what_was_decided_edited_or_withdrawn_while_the_mail_waited(server: MailServer, people: SimpleNamespace, clock: Any) -> None:
    mailboxes.save_preferences(people.manager, digest="", quiet_from=time(8), quiet_until=time(12), time_zone="UTC")
    asking.withdraw(credit(people.dev, people.project, 1), people.dev)
    asking.edit(credit(people.dev, people.project, 2), people.dev, amount_nanousd=3 * 10**9)
    clock.move_to(MORNING + timedelta(hours=3))
    assert told(server) == [("manager", "To decide: 3.00 USD credit for P")]


def test_preferences_that_make_no_sense_are_refused_and_good_ones_are_recorded(people: SimpleNamespace) -> None:
    for wrong in ({"time_zone": "Mars/Base"}, {"quiet_from": time(8), "quiet_until": time(8)}, {"quiet_from": time(8)}, {"digest": "yearly"}):
        with pytest.raises(ValidationError):
            mailboxes.save_preferences(people.dev, **{"digest": "", "quiet_from": None, "quiet_until": None, "time_zone": "UTC", **wrong})
    with audit.from_here("portal", actor=people.dev):
        mailboxes.save_preferences(people.dev, digest="daily", quiet_from=time(20), quiet_until=time(7), time_zone="Europe/Berlin")
    assert AuditEvent.objects.filter(action="mailbox.save", actor_id=f"usr_{people.dev.pk.hex}").exists()


def test_what_people_write_breaks_no_header_and_can_be_followed_nowhere(server: MailServer, people: SimpleNamespace) -> None:
    BusinessUnit.objects.filter(pk=people.unit.pk).update(name="U")
    people.project.name = "P\r\nBcc: all@example.com\u202e <script>https://evil.example"
    people.project.save()
    reason = "<a href='https://аррӏе.com'>click</a>\r\nSubject: approved\r\n\r\nhttps://evil.example/%s see evil.com" % ("x" * 50)
    asking.submit(asking.Asking("credit", f"prj_{people.project.pk.hex}", people.dev, amount_nanousd=10**9), reason)
    deliver_due()
    [(to, message)] = server.mails
    html, text = text_of(message, "text/html"), text_of(message)
    assert (to, message["Bcc"], len(message.get_all("Subject") or [])) == (["manager@example.com"], None, 1)
    assert subject(message).startswith("To decide: 1.00 USD credit for P Bcc: all@example.com <script>https[:]//evil[.]example")
    assert ("<script" in html, "<a href='" in html, "\u202e" in html + subject(message)) == (False, False, False)
    ours = "https://ai.example.com"
    for where in (html.replace(ours, ""), text.replace(ours, "")):
        assert ("://" in where, "evil.com" in where, "evil.example" in where, "аррӏе.com" in where) == (False, False, False, False)


@pytest.mark.parametrize("address", ['"a,victim@example.com,b"@example.com', '"a;b"@example.com'])
def test_an_address_that_could_be_read_as_several_gets_nothing(address: str, server: MailServer, people: SimpleNamespace) -> None:
    User.objects.filter(pk=people.manager.pk).update(email=address)
    credit(people.dev, people.project)
    assert (told(server), OutboxMessage.objects.get().last_error) == ([], "The address of this account cannot be mailed to.")


def test_a_mailbox_that_refuses_keeps_no_other_back_and_a_server_that_is_away_rests(server: MailServer, people: SimpleNamespace, settings: Any) -> None:
    rule({"approver": "people", "people": [people.manager, people.boss, people.finance]})
    credit(people.dev, people.project)
    server.refuses = {"manager@example.com"}
    assert [name for name, _ in told(server)] == ["boss", "finance"]
    OutboxMessage.objects.all().delete()
    credit(people.dev, people.project)
    good, settings.MAIL_URL = settings.MAIL_URL, "smtp://127.0.0.1:1?tls=none"
    deliver_due()
    assert sorted(OutboxMessage.objects.values_list("attempts", flat=True)) == [0, 0, 1]
    settings.MAIL_URL, server.refuses = good, set()
    deliver_due()
    assert len(server.mails) == 2


def test_those_who_left_and_those_without_a_mail_server_get_nothing(server: MailServer, people: SimpleNamespace, settings: Any) -> None:
    credit(people.dev, people.project)
    User.objects.filter(pk=people.manager.pk).update(is_active=False)
    assert (told(server), OutboxMessage.objects.count()) == ([], 0)
    settings.MAIL_URL = ""
    credit(people.dev, people.project)
    assert (NotificationChannel.objects.count(), DecisionLink.objects.count(), OutboxMessage.objects.count()) == (1, 1, 0)


def test_a_mailbox_is_no_channel_of_the_platform(people: SimpleNamespace, server: MailServer) -> None:
    credit(people.dev, people.project)
    assert (NotificationChannel.objects.count(), list(subscribed("critical")), list(access.visible_channels(people.it))) == (1, [], [])


def test_an_act_without_a_second_person_is_told_to_every_guardian_and_stopped_by_any(server: MailServer, people: SimpleNamespace) -> None:
    guard = user("guard", "security_officer")
    User.objects.filter(pk=people.finance.pk).update(is_active=False)
    unit_budget = Budget(name="unit", business_unit=people.unit, mode="hard", period="monthly", amount=10**9)
    save_budget(unit_budget)
    project_budget = Budget(name="project", project=people.project, mode="hard", period="monthly", amount=10**9)
    save_budget(project_budget)
    with audit.from_here("admin", actor=people.it):
        project_budget.amount = 5 * 10**9
        save_budget(project_budget, people.it, "more")
    request = GrantRequest.objects.get()
    assert request.runs_at is not None
    assert [name for name, title in told(server) if title.startswith("In 24 hours")] == ["guard", "it"]
    with pytest.raises(Exception, match="Only whoever asked"):
        asking.withdraw(request, people.dev)
    assert asking.withdraw(request, guard).state == "withdrawn"
