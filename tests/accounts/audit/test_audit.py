"""Every change leaves an event that says who, what and why, in the transaction of the change itself."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import Client

from accounts import audit
from accounts.actions import save_business_unit, save_project, save_user, set_users_active
from accounts.audit.erasure import erase
from accounts.audit.verify import verify
from accounts.models import AuditEvent, BusinessUnit, Project, User

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"


def told(event: AuditEvent) -> dict[str, Any]:
    return {name: text["value"] for name, text in event.texts.items() if text is not None}


def last() -> AuditEvent:
    event = AuditEvent.objects.first()
    assert event is not None
    return event


def test_a_change_records_what_was_and_what_is() -> None:
    unit = save_business_unit(BusinessUnit(name="Research"))
    unit.name = "Studies"
    save_business_unit(unit)
    event = last()
    assert (event.action, event.object_kind, event.object_id, event.business_unit, event.outcome) == (
        "business-unit.update", "business-unit", f"bu_{unit.pk.hex}", unit.pk, "done",
    )  # fmt: skip
    assert told(event) == {"object": "Studies", "changes": {"name": ["Research", "Studies"]}}


def test_a_save_that_changes_nothing_records_nothing() -> None:
    unit = save_business_unit(BusinessUnit(name="Research"))
    before = AuditEvent.objects.count()
    save_business_unit(unit)
    assert AuditEvent.objects.count() == before


def test_a_secret_is_said_to_have_changed_and_is_not_told() -> None:
    save_user(User(email="ada@example.com"), PASSWORD)
    assert told(last())["changes"]["password"] == [None, "(changed)"]


def test_what_is_rolled_back_was_never_recorded() -> None:
    before = AuditEvent.objects.count()
    with pytest.raises(ZeroDivisionError), audit.act("project.move"):
        save_business_unit(BusinessUnit(name="Research"))
        raise ZeroDivisionError
    assert (AuditEvent.objects.count(), verify().valid) == (before, True)


def test_an_act_within_an_act_that_fails_leaves_only_the_outer_ones_events() -> None:
    with audit.act("unit.try"):
        unit = save_business_unit(BusinessUnit(name="Kept"))
        with pytest.raises(ValidationError):
            save_project(Project(name="", business_unit=unit))
    assert [event.action for event in AuditEvent.objects.all()[:1]] == ["unit.try"]


def test_the_events_of_one_act_share_its_name_its_reason_and_its_transaction() -> None:
    with audit.act("onboarding.start", reason="first sign-in"):
        unit = save_business_unit(BusinessUnit(name="Research"))
        save_project(Project(name="Sandbox", business_unit=unit))
    events = list(AuditEvent.objects.order_by("-seq")[:2])
    assert [(event.action, told(event)["reason"]) for event in events] == [("onboarding.start", "first sign-in")] * 2
    assert len({event.transaction for event in events}) == 1


def test_closing_a_sign_in_is_recorded_for_each_person() -> None:
    people = [save_user(User(email=f"{name}@example.com")) for name in ("ada", "bob")]
    assert set_users_active(people, False) == 2
    events = AuditEvent.objects.filter(action="user.update").order_by("seq")
    assert sorted(event.object_id for event in events) == sorted(f"usr_{user.pk.hex}" for user in people)


def test_a_sign_in_and_a_refused_one_are_recorded_with_their_address(client: Client) -> None:
    user = save_user(User(email="ada@example.com", role=User.PlatformRole.IT_ADMIN), PASSWORD)
    for password in ("wrong", PASSWORD):
        client.post("/login", {"username": "ada@example.com", "password": password}, headers={"user-agent": "curl/8"})
    refused, done = AuditEvent.objects.filter(action="session.sign-in").order_by("seq")
    assert (refused.outcome, refused.actor_kind, told(refused)) == ("refused", "anonymous", {"ip": "127.0.0.1", "agent": "curl/8", "name": "ada@example.com"})
    assert (done.outcome, done.actor_id, done.object_id, done.face) == ("done", f"usr_{user.pk.hex}", f"usr_{user.pk.hex}", "portal")


def test_a_change_in_the_admin_names_the_person_and_the_request(client: Client) -> None:
    user = save_user(User(email="ada@example.com", role=User.PlatformRole.IT_ADMIN), PASSWORD)
    client.force_login(user)
    rows = {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}
    answer = client.post("/admin/accounts/businessunit/add/", {"name": "Research", "code": "", "parent": "", **rows})
    event = AuditEvent.objects.get(action="business-unit.create")
    assert (event.actor_id, event.face, event.request_id, told(event)["actor"]) == (
        f"usr_{user.pk.hex}", "admin", answer.headers["X-Request-Id"], "ada@example.com",
    )  # fmt: skip


def test_a_refused_page_is_recorded(client: Client) -> None:
    user = save_user(User(email="eve@example.com", role=User.PlatformRole.AUDITOR), PASSWORD)
    client.force_login(user)
    assert client.get("/admin/accounts/businessunit/add/").status_code == 403
    event = last()
    assert (event.action, event.outcome, event.actor_id, told(event)["reason"]) == (
        "access.refuse", "refused", f"usr_{user.pk.hex}", "GET /admin/accounts/businessunit/add/",
    )  # fmt: skip


@pytest.mark.parametrize("statement", ["UPDATE accounts_auditevent SET action = 'x'", "DELETE FROM accounts_auditevent"])
def test_the_database_refuses_to_change_or_delete_an_event(statement: str) -> None:
    audit.record("test.done")
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert verify().valid


def test_erasing_a_person_leaves_a_valid_trail_that_says_so() -> None:
    user = save_user(User(email="ada@example.com", full_name="Ada"), PASSWORD)
    with audit.from_here("command", actor=user):
        save_business_unit(BusinessUnit(name="Research"))
    assert erase(f"usr_{user.pk.hex}", "request 17") == 2
    assert "ada@example.com" not in str(list(AuditEvent.objects.values_list("texts", flat=True)))
    verdict = verify()
    assert (verdict.valid, verdict.checked, verdict.erased) == (True, AuditEvent.objects.count(), 3)


@pytest.mark.parametrize(("subject", "reason"), [("prj_1", "request 17"), ("usr_1", " ")])
def test_an_erasure_names_a_person_and_a_reason(subject: str, reason: str) -> None:
    with pytest.raises(ValidationError):
        erase(subject, reason)
