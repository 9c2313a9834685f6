"""What time does: reminders and escalations by working days, expiry, and grants that take themselves back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts import audit
from accounts.actions import save_user
from accounts.grants import Asking
from accounts.models import GrantRequest, Membership, NotificationChannel, OutboxMessage, User
from accounts.requests import asking, deciding, schedule
from accounts.requests.approvers import deciders, open_step
from accounts.requests.workdays import after_working_days
from billing.budgets import save_limit
from billing.models import CreditGrant, Limit
from tests.accounts.requests.people import company, credit, rule, user

pytestmark = pytest.mark.django_db
THURSDAY = datetime(2026, 12, 24, 10, tzinfo=UTC)


def names(request: GrantRequest) -> set[str]:
    step = open_step(request)
    return {User.objects.get(pk=pk).email.partition("@")[0] for pk in deciders(step)} if step else set()


def pass_days(days: float) -> int:
    with time_machine.travel(timezone.now() + timedelta(days=days), tick=False):
        return schedule.pass_time()


@pytest.mark.parametrize(
    ("place", "days", "expected"),
    [("", 0, 24), ("", 1, 25), ("", 2, 28), ("DE", 1, 28), ("DE", 5, 35), ("US", 1, 28)],
)
def test_working_days_leave_out_weekends_and_holidays(place: str, days: int, expected: int, settings: Any) -> None:
    settings.HOLIDAYS = place
    assert after_working_days(THURSDAY, days) == datetime(2026, 12, 1, 10, tzinfo=UTC) + timedelta(days=expected - 1)


def test_a_request_is_escalated_over_a_weekend_on_working_days_only() -> None:
    people = company()
    rule({"approver": "manager"}, remind_days=0, escalate_days=2, expire_days=20)
    with time_machine.travel(datetime(2026, 11, 27, 9, tzinfo=UTC), tick=False) as clock:
        request = credit(people.dev, people.project)
        seen = []
        for day in (28, 29, 30):
            clock.move_to(datetime(2026, 11, day, 10, tzinfo=UTC))
            seen.append((schedule.pass_time(), names(request)))
        clock.move_to(datetime(2026, 12, 1, 10, tzinfo=UTC))
        seen.append((schedule.pass_time(), names(request)))
        clock.move_to(datetime(2026, 12, 3, 10, tzinfo=UTC))
        seen.append((schedule.pass_time(), names(request)))
    only = {"manager"}
    assert seen == [(0, only), (0, only), (0, only), (1, {"manager", "boss"}), (1, {"manager", "boss", "finance"})]
    assert deciding.approve(request, people.boss).state == "applied"


def test_reminders_go_out_every_working_day() -> None:
    people = company()
    NotificationChannel.objects.create(name="c", kind="webhook", business_unit=people.unit)
    rule({"approver": "manager"}, remind_days=1, escalate_days=0, expire_days=20)
    with time_machine.travel(datetime(2026, 11, 26, 9, tzinfo=UTC), tick=False) as clock:
        credit(people.dev, people.project)
        for day in (26, 27, 28, 29, 30):
            clock.move_to(datetime(2026, 11, day, 10, tzinfo=UTC))
            schedule.pass_time()
    told = list(OutboxMessage.objects.order_by("created_at").values_list("title", flat=True))
    assert told == ["20.00 USD credit for P", *["Reminder: 20.00 USD credit for P"] * 2]


def test_a_request_nobody_decides_expires() -> None:
    people = company()
    rule({"approver": "manager"}, remind_days=0, escalate_days=0, expire_days=3)
    request = credit(people.dev, people.project)
    assert (pass_days(2), GrantRequest.objects.get().state) == (0, "submitted")
    assert (pass_days(6), GrantRequest.objects.get().state, CreditGrant.objects.count()) == (1, "expired", 0)
    with pytest.raises(asking.OutOfTurn, match="expired"):
        deciding.approve(request, people.manager)


def test_credit_for_a_while_ends_by_itself() -> None:
    people = company()
    request = deciding.approve(credit(people.dev, people.project, until=timezone.now() + timedelta(days=7)), people.manager)
    assert (pass_days(5), pass_days(6), pass_days(8)) == (0, 1, 1)  # told that it ends soon, then ended
    grant = CreditGrant.objects.get()
    request.refresh_from_db(fields=["ended_at", "outcome"])
    assert (grant.remaining_nanousd, grant.expired_at is not None, GrantRequest.objects.get().state, request.ended_at is not None) == (0, True, "revoked", True)


def test_a_membership_for_a_while_ends_by_itself() -> None:
    people = company()
    newcomer, until = user("new"), timezone.now() + timedelta(days=2)
    for person, role in ((newcomer, "developer"), (people.dev, "owner")):
        deciding.approve(asking.submit(Asking("join_project", f"prj_{people.project.pk.hex}", person, {"role": role}, until=until), "help out"), people.manager)
    members = Membership.objects.filter(project=people.project).order_by("user__email").values_list("user__email", "role")
    assert [role for _, role in members] == ["owner", "developer", "owner"]
    assert pass_days(3) == 2
    assert list(members.all()) == [("dev@example.com", "developer"), ("owner@example.com", "owner")]


def test_a_platform_role_for_a_while_ends_by_itself() -> None:
    people = company()
    deciding.approve(asking.submit(Asking("platform_role", "auditor", people.dev, until=timezone.now() + timedelta(days=1)), "year's end"), people.it)
    assert User.objects.get(pk=people.dev.pk).role == "auditor"
    assert pass_days(2) == 1
    assert User.objects.get(pk=people.dev.pk).role == ""


def test_a_limit_goes_back_unless_somebody_changed_it() -> None:
    people = company()
    limit = save_limit(Limit(kind="rpm", project=people.project, amount=10))
    until = timezone.now() + timedelta(days=1)
    for _ in range(2):
        wanted = Asking("limit", f"lim_{limit.pk}", people.dev, {"to": "50"}, until=until)
        deciding.approve(asking.submit(wanted, "sale"), people.manager)
        assert Limit.objects.get().amount == 50
        pass_days(2)
        assert Limit.objects.get().amount == 10
    deciding.approve(asking.submit(Asking("limit", f"lim_{limit.pk}", people.dev, {"to": 60}, until=until), "sale"), people.manager)
    limit.amount = 70
    save_limit(limit, None, "sale goes on")
    pass_days(2)
    assert Limit.objects.get().amount == 70


def test_what_was_given_is_taken_back_before_its_time_with_a_reason() -> None:
    people = company()
    request = deciding.approve(credit(people.dev, people.project), people.manager)
    assert (deciding.take_back(request, people.manager, "project stopped").state, CreditGrant.objects.get().remaining_nanousd) == ("revoked", 0)


def test_an_end_that_passed_meanwhile_is_not_granted() -> None:
    people = company()
    request = credit(people.dev, people.project, until=timezone.now() + timedelta(hours=1))
    with time_machine.travel(timezone.now() + timedelta(hours=2)), pytest.raises(Exception, match="has passed"):
        deciding.approve(request, people.manager)
    assert (GrantRequest.objects.get().state, CreditGrant.objects.count()) == ("submitted", 0)


def test_one_grant_that_cannot_be_taken_back_keeps_no_other() -> None:
    people = company()
    newcomer, until = user("new"), timezone.now() + timedelta(days=1)
    target = f"prj_{people.project.pk.hex}"
    for person in (newcomer, people.dev):
        deciding.approve(asking.submit(Asking("join_project", target, person, {"role": "owner"}, until=until), "help"), people.manager)
    broken = GrantRequest.objects.get(requester=newcomer)
    GrantRequest.objects.filter(pk=broken.pk).update(outcome={})  # as a fault of the program would leave it
    assert [pass_days(2) for _ in range(3)] == [2, 0, 0]  # one warned of its end and one ended
    assert list(GrantRequest.objects.order_by("created_at").values_list("state", flat=True)) == ["applied", "revoked"]


def test_an_act_waits_in_vain_for_somebody_who_left() -> None:
    people = company()
    with audit.from_here("admin", actor=people.it):
        people.dev.role = "it_admin"
        save_user(people.dev)
    request = GrantRequest.objects.get()
    assert request.runs_at is not None
    User.objects.filter(pk=people.it.pk).update(is_active=False)
    pass_days(1.1)
    assert (GrantRequest.objects.get().state, User.objects.get(pk=people.dev.pk).role) == ("expired", "")
    assert request.steps.filter(state="open").count() == 0


def test_nothing_is_given_to_somebody_who_left() -> None:
    people = company()
    request = credit(people.dev, people.project)
    User.objects.filter(pk=people.dev.pk).update(is_active=False)
    with pytest.raises(ValidationError, match="cannot sign in"):
        deciding.approve(request, people.manager)
    assert (GrantRequest.objects.get().state, CreditGrant.objects.count()) == ("submitted", 0)
    assert deciding.deny(request, people.manager, "left").state == "denied"


def test_the_time_an_asker_takes_to_answer_does_not_count_against_approvers() -> None:
    people = company()
    rule({"approver": "manager"}, remind_days=1, escalate_days=2, expire_days=60)
    with time_machine.travel(datetime(2026, 11, 23, 9, tzinfo=UTC), tick=False) as clock:
        request = deciding.ask(credit(people.dev, people.project), people.manager, "why?")
        clock.move_to(datetime(2026, 12, 7, 9, tzinfo=UTC))
        assert schedule.pass_time() == 0
        asking.comment(request, people.dev, "sale")
        assert (schedule.pass_time(), names(request)) == (0, {"manager"})
        clock.move_to(datetime(2026, 12, 9, 9, tzinfo=UTC))
        schedule.pass_time()
        assert names(request) == {"manager", "boss"}
