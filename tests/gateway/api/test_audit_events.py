"""The audit trail on the management API and in the admin."""

from typing import Any

import pytest
from django.test import Client

from accounts.audit.erasure import erase
from accounts.models import AuditEvent, User
from tests.gateway.api.callers import company, person, program

pytestmark = pytest.mark.django_db


def test_a_change_by_the_api_names_the_program_the_request_and_both_states() -> None:
    _, _, project, _ = company()
    caller = program()
    answer = caller.patch(f"projects/prj_{project.id.hex}", {"name": "Renamed"})
    (event,) = caller.get(f"audit-events?object=prj_{project.id.hex}&action=project.update").json()["data"]
    assert (event["actor_kind"], event["face"], event["request_id"], event["outcome"]) == ("service_account", "api", answer.headers["X-Request-Id"], "done")
    assert event["texts"]["changes"] == {"name": ["P", "Renamed"]}
    assert caller.get(f"audit-events/{event['id']}").json() == event


def test_a_refused_request_is_an_event() -> None:
    company()
    auditor = person("auditor", "auditor")
    assert auditor.post("business-units", {"name": "New"}).status_code == 403
    (event,) = auditor.get("audit-events?outcome=refused").json()["data"]
    assert (event["action"], event["texts"]["reason"]) == ("access.refuse", "POST /api/v1/business-units")


def test_the_trail_is_verified_by_the_api() -> None:
    company()
    assert program().get("audit-events/verify").json() == {
        "valid": True, "checked": AuditEvent.objects.count(), "first_bad": None, "reason": "", "erased": 0,
    }  # fmt: skip


def test_an_erased_text_is_null() -> None:
    user = User.objects.create_user("ada@example.com")
    erase(f"usr_{user.pk.hex}", "request 17")
    (made,) = program().get(f"audit-events?object=usr_{user.pk.hex}&action=user.create").json()["data"]
    assert (made["texts"]["object"], made["texts"]["changes"]) == (None, None)


@pytest.mark.parametrize("query", ["since=yesterday", "until=1", "colour=red"])
def test_a_filter_that_makes_no_sense_is_refused(query: str) -> None:
    assert program().get(f"audit-events?{query}").status_code == 400


@pytest.mark.parametrize("query", ["action=a%00", "project=prj_1", "business_unit=bu_1", "object=x", "actor=usr_1"])
def test_a_filter_that_fits_nothing_lists_nothing(query: str) -> None:
    assert program().ids(f"audit-events?{query}") == []


def test_the_admin_lists_and_shows_events_and_changes_none() -> None:
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_user("it@example.com", "x" * 14, is_staff=True, role="it_admin"))
    hostile: Any = "<script>alert(1)</script>"
    company()[2].save()
    event = AuditEvent.objects.filter(action="project.create").latest("seq")
    event.texts["changes"]["value"] = {"name": [None, hostile]}
    AuditEvent.objects.filter(pk=event.pk).update(texts=event.texts)
    listed = client.get("/admin/accounts/auditevent/").content.decode()
    shown = client.get(f"/admin/accounts/auditevent/{event.pk}/change/").content.decode()
    assert ("project.create" in listed, hostile in shown, "&lt;script&gt;" in shown) == (True, False, True)
    assert [client.post(f"/admin/accounts/auditevent/{event.pk}/{verb}/", {"post": "yes"}).status_code for verb in ("change", "delete")] == [403, 403]
