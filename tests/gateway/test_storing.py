"""The store of responses: each project's own, sealed, gone on from, and gone when its time is over."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEvent, BusinessUnit, GrantRequest, Project, User
from accounts.sealing import SealBroken
from gateway import acts, batches, publish, retention, storing
from gateway.models import Batch, ResponseRetention, StoredItem, StoredResponse
from gateway.plane.stored import Fetch, Forget, Found, Keep, conversation
from gateway.tasks import forget_stored_responses

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
OK = Found(ok=True, found=True)
NOWHERE = Found(ok=True)


@pytest.fixture
def unit() -> BusinessUnit:
    return BusinessUnit.objects.create(name="Unit")


@pytest.fixture
def project(unit: BusinessUnit) -> Project:
    return Project.objects.create(name="One", business_unit=unit)


@pytest.fixture
def other(unit: BusinessUnit) -> Project:
    return Project.objects.create(name="Two", business_unit=unit)


def said(response_id: str, text: str) -> bytes:
    item = {"id": f"msg_{response_id}", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    return orjson.dumps({"id": response_id, "output": [item]})


def keep(project: Project, response_id: str, asked: str, previous: str = "", **more: Any) -> Found:
    items = orjson.dumps([{"role": "user", "content": asked}])
    given = {"items": (f"msg_{response_id}",), "input": items, "response": said(response_id, f"To {asked}"), **more}
    return storing.answer(Keep(str(project.pk), response_id, previous=previous, **given))


def fetch(project: Project, response_id: str) -> Found:
    return storing.answer(Fetch(str(project.pk), response_id))


def test_what_a_vendor_still_makes_grows_until_it_is_done_and_is_owed_for_until_it_is_settled(project: Project) -> None:
    begun = b'{"id":"resp_1","status":"queued","output":[],"usage":null}'
    batch = Batch.objects.create(
        id="call_1", project=project, account="acme", resource="responses", object_id="resp_1", state="open", created_at=NOW, next_look_at=NOW
    )
    assert (batches.note(batch, "", "response", "resp_1", begun), fetch(project, "resp_1")) == (True, Found(True, True, "acme", owes=True))
    done = b'{"id":"resp_1","status":"completed","output":[{"id":"msg_1"},{"id":"msg_2"}],"usage":{"total_tokens":9}}'
    assert [batches.note(batch, "", "response", "resp_1", told) for told in (done, done, begun, b"[", b'{"usage":{"total_tokens":-1}}')] == [True] * 5
    Batch.objects.update(state="settled", settled_at=NOW)
    assert fetch(project, "resp_1") == Found(True, True, "acme", tokens=9)
    for items in (("msg_1",), ("msg_2", "msg_1")):
        assert storing.answer(Fetch(str(project.pk), item_ids=items)).account == "acme"
    ResponseRetention.objects.create(project=project, days=0)
    assert (batches.note(batch, "", "response", "resp_2", done), fetch(project, "resp_2")) == (True, NOWHERE)


def test_a_conversation_is_put_together_from_all_its_responses(project: Project) -> None:
    assert [keep(project, "resp_1", "a"), keep(project, "resp_2", "b", "resp_1"), keep(project, "resp_3", "c", "resp_2")] == [OK, OK, OK]
    found = fetch(project, "resp_3")
    texts = [item["content"] if isinstance(item["content"], str) else item["content"][0]["text"] for item in orjson.loads(conversation(found))]
    assert texts == ["a", "To a", "b", "To b", "c", "To c"]
    assert found.response == said("resp_3", "To c")


def test_another_projects_response_is_not_there(project: Project, other: Project) -> None:
    keep(project, "resp_1", "a")
    assert fetch(other, "resp_1") == NOWHERE
    assert storing.answer(Fetch(str(other.pk), item_ids=("msg_resp_1",))) == NOWHERE
    assert storing.answer(Forget(str(other.pk), "resp_1")) == NOWHERE
    assert keep(other, "resp_2", "b", "resp_1") == Found()
    assert fetch(project, "resp_1").found


def test_nothing_readable_lies_in_the_database_and_no_row_opens_in_anothers_place(project: Project, other: Project) -> None:
    keep(project, "resp_1", "a secret of the house")
    row = StoredResponse.objects.get()
    assert b"secret" not in bytes(row.sealed)
    StoredResponse.objects.filter(pk=row.pk).update(project=other)
    with pytest.raises(SealBroken):
        fetch(other, "resp_1")


def test_items_are_found_by_their_ids(project: Project) -> None:
    keep(project, "resp_1", "a")
    keep(project, "resp_2", "b")
    found = storing.answer(Fetch(str(project.pk), item_ids=("msg_resp_2", "msg_resp_1")))
    assert [item["id"] for item in orjson.loads(found.input)] == ["msg_resp_2", "msg_resp_1"]
    assert storing.answer(Fetch(str(project.pk), item_ids=("msg_resp_1", "msg_9"))) == NOWHERE


def test_of_what_a_vendor_stores_only_the_place_is_kept(project: Project) -> None:
    assert keep(project, "resp_1", "a", account="openai", input=b"", response=b"", tokens=70) == OK
    row = StoredResponse.objects.get()
    assert (row.account, bytes(row.sealed), row.tokens) == ("openai", b"", 70)
    assert fetch(project, "resp_1") == Found(ok=True, found=True, account="openai", tokens=70)
    assert storing.answer(Fetch(str(project.pk), item_ids=("msg_resp_1",))) == Found(ok=True, found=True, account="openai", tokens=70)
    with pytest.raises(IntegrityError), transaction.atomic():
        StoredResponse.objects.update(sealed=b"x")


def test_an_answer_is_kept_once(project: Project) -> None:
    assert [keep(project, "resp_1", "a"), keep(project, "resp_1", "b")] == [OK, OK]
    assert orjson.loads(fetch(project, "resp_1").input) == [{"role": "user", "content": "a"}]
    assert StoredItem.objects.count() == 1


def test_a_conversation_without_its_beginning_is_not_gone_on_from(project: Project) -> None:
    keep(project, "resp_1", "a")
    keep(project, "resp_2", "b", "resp_1")
    assert storing.answer(Forget(str(project.pk), "resp_1")) == OK
    assert (fetch(project, "resp_1"), fetch(project, "resp_2")) == (NOWHERE, NOWHERE)


def test_what_is_over_is_gone_at_once_and_deleted_soon(project: Project, other: Project) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        keep(project, "resp_1", "a")
        keep(other, "resp_2", "b")
        retention.set_days(ResponseRetention(project=project, days=7))
        clock.move_to(NOW + timedelta(days=6, hours=23))
        assert fetch(project, "resp_1").found
        assert forget_stored_responses() == 0
        clock.move_to(NOW + timedelta(days=7))
        assert fetch(project, "resp_1") == NOWHERE
        assert forget_stored_responses() == 1
        assert list(StoredResponse.objects.values_list("response_id", flat=True)) == ["resp_2"]


def test_a_project_that_stores_nothing_keeps_nothing(project: Project) -> None:
    retention.set_days(ResponseRetention(project=project, days=0))
    assert keep(project, "resp_1", "a") == Found()
    assert not StoredResponse.objects.exists()


def test_the_plane_is_told_how_long_each_project_stores(project: Project, other: Project) -> None:
    retention.set_days(ResponseRetention(project=project, days=5))
    assert {row.name: row.stored_response_days for row in publish.compile_structure(NOW).projects} == {"One": 5, "Two": 30}


def test_a_change_of_retention_leaves_an_event_and_nonsense_is_refused(project: Project) -> None:
    retention.set_days(ResponseRetention(project=project, days=5))
    retention.set_days(ResponseRetention(project=project, days=9))
    events = AuditEvent.objects.filter(action__startswith="response-retention")
    assert sorted(events.values_list("action", flat=True)) == ["response-retention.create", "response-retention.update"]
    for days in (-1, 4_000):
        with pytest.raises(ValidationError):
            retention.set_days(ResponseRetention(project=project, days=days))


def test_in_the_admin_a_change_waits_for_a_second_person(project: Project, client: Client) -> None:
    client.force_login(User.objects.create_user("it@example.com", role="it_admin"))
    User.objects.create_user("security@example.com", role="security_officer")
    told = client.post(reverse("admin:gateway_responseretention_add"), {"project": str(project.pk), "days": "3"}, follow=True, headers={"host": "localhost"})
    request = GrantRequest.objects.get(kind=retention.ACT)
    assert (request.parameters, request.state) == ({"project": project.pk.hex, "days": 3}, "submitted")
    assert "waits for a second person" in told.content.decode()
    assert not ResponseRetention.objects.exists()


def test_what_two_people_agreed_on_is_done(project: Project) -> None:
    request = GrantRequest(kind=retention.ACT, parameters={"project": project.pk.hex, "days": 3})
    assert [(line.before, line.after) for line in retention.preview(request)] == [("30 days", "3 days")]
    grant = next(grant for grant in acts.ACTS if grant.kind == retention.ACT)
    grant.apply(request)
    assert ResponseRetention.objects.get().days == 3
