"""Webhooks are told each event once, by id alone, signed by what the receiver knows, and the log of deliveries can be acted on."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from standardwebhooks import Webhook

from accounts import audit, outbox, webhooks
from accounts.actions import save_project
from accounts.models import AuditEvent, BusinessUnit, NotificationChannel, OutboxMessage, Project
from tests.accounts.notices import tell, tree
from tests.fakes.receiver import Receiver, receiving
from tests.gateway.api.callers import Caller, company, person, program

pytestmark = pytest.mark.django_db


def hook(url: str, types: list[str], name: str = "hook", **scope: Any) -> tuple[NotificationChannel, str]:
    return webhooks.make_webhook(NotificationChannel(name=name, options={"url": url}, event_types=types, **scope))


def verified(receiver: Receiver, secret: str, number: int = -1) -> Any:
    headers, body = receiver.got[number]
    return Webhook(secret).verify(body, headers)


def test_an_act_is_told_once_signed_and_by_id() -> None:
    *_, project = tree()
    with receiving() as receiver:
        _, secret = hook(receiver.url, ["project.*"])
        project.name = "Secret plan"
        save_project(project)
        assert [outbox.deliver_due(), outbox.deliver_due()] == [1, 0]
        told = verified(receiver, secret)
        event = AuditEvent.objects.get(action="project.update")
        assert (told["type"], told["data"]["event"]) == (
            "project.update",
            {
                "id": f"aud_{event.id.hex}", "seq": event.seq, "action": "project.update", "outcome": "done",
                "actor": {"kind": "system", "id": ""}, "object": {"kind": "project", "id": f"prj_{project.pk.hex}"},
                "project": f"prj_{project.pk.hex}", "business_unit": f"bu_{project.business_unit_id.hex}",
                "transaction": str(event.transaction), "request_id": "",
            },
        )  # fmt: skip
        assert b"Secret plan" not in receiver.got[0][1]


def test_what_is_rolled_back_is_never_told() -> None:
    *_, project = tree()
    hook("http://127.0.0.1:9999/", ["*"])
    before = OutboxMessage.objects.count()
    with pytest.raises(ZeroDivisionError), audit.act():
        project.name = "Other"
        save_project(project)
        raise ZeroDivisionError
    assert OutboxMessage.objects.count() == before


def test_a_scope_is_told_of_its_own_and_of_what_lies_below() -> None:
    top, unit, project = tree()
    other = BusinessUnit.objects.create(name="Other")
    hook("http://127.0.0.1:9999/", ["project.update"], "project", project=project)
    for name, place in (("top", top), ("unit", unit), ("other", other)):
        hook("http://127.0.0.1:9999/", ["project.update"], name, business_unit=place)
    project.name = "Renamed"
    save_project(project)
    assert sorted(OutboxMessage.objects.values_list("channel__name", flat=True)) == ["project", "top", "unit"]


def test_webhooks_get_no_notices_and_channels_no_events() -> None:
    hook("http://127.0.0.1:9999/", ["*"])
    OutboxMessage.objects.all().delete()
    assert tell() == 0


@pytest.mark.parametrize(
    ("types", "name", "wanted"),
    [(["*"], "a.b", True), (["key.*"], "key.create", True), (["key.*"], "keys.create", False), (["key"], "key.create", False), (["a.b"], "a.b", True)],
)
def test_types_fit_whole_words(types: list[str], name: str, wanted: bool) -> None:
    assert webhooks.wants(types, name) is wanted


def test_both_secrets_verify_until_the_overlap_is_over() -> None:
    with receiving() as receiver:
        made, old = hook(receiver.url, ["test.done"])
        new = webhooks.rotate_secret(made, timedelta(hours=2))
        audit.record("test.done")
        outbox.deliver_due()
        assert verified(receiver, old) == verified(receiver, new)
        with time_machine.travel(timezone.now() + timedelta(hours=3)):
            audit.record("test.done")
            outbox.deliver_due()
            headers = receiver.got[-1][0]
            assert (headers["webhook-signature"].count("v1,"), verified(receiver, new)["type"]) == (1, "test.done")


# ---- the API ---------------------------------------------------------------------------------------------------------


def made(caller: Caller, url: str, **fields: Any) -> Any:
    return caller.made("webhooks", {"name": "hook", "url": url, "event_types": ["project.*"], **fields})


def test_a_secret_is_shown_once_and_what_is_sent_can_be_listed_and_sent_again() -> None:
    *_, project, _ = company()
    caller = program()
    with receiving() as receiver:
        receiver.answers = [500, 200]
        answer = made(caller, receiver.url)
        path = f"webhooks/{answer['id']}"
        assert (answer["secret"].startswith("whsec_"), caller.get(path).json()["secret"]) == (True, None)
        caller.patch(f"projects/prj_{project.id.hex}", {"name": "Renamed"})
        outbox.deliver_due()
        (delivery,) = caller.get(f"{path}/deliveries").json()["data"]
        assert (delivery["type"], delivery["state"], delivery["attempts"], "500" in delivery["last_error"]) == ("project.update", "waiting", 1, True)
        for _ in range(2):
            assert caller.post(f"{path}/resend", {"delivery": delivery["id"]}).status_code == 200
            outbox.deliver_due()
        (delivery,) = caller.get(f"{path}/deliveries").json()["data"]
        assert (delivery["state"], receiver.ids(), verified(receiver, answer["secret"])["type"]) == ("sent", [delivery["id"]] * 3, "project.update")
        assert caller.post(f"{path}/resend", {"delivery": "msg_none"}).status_code == 404


def test_a_test_message_says_how_it_went() -> None:
    caller = program()
    with receiving() as receiver:
        path = f"webhooks/{made(caller, receiver.url)['id']}"
        assert caller.post(f"{path}/test").json()["check_result"].startswith("ok")
        receiver.answers = [404]
        assert "404" in caller.post(f"{path}/test").json()["check_result"]


def test_a_new_host_needs_a_new_secret() -> None:
    caller = program()
    path = f"webhooks/{made(caller, 'http://127.0.0.1:9999/a')['id']}"
    assert caller.patch(path, {"url": "http://127.0.0.1:9999/b"}).status_code == 200
    refused = caller.patch(path, {"url": "http://127.0.0.2:9999/"})
    assert (refused.status_code, "secret" in refused.content.decode()) == (400, True)


@pytest.mark.parametrize(
    "fields",
    [
        {"event_types": []}, {"event_types": ["Key.create"]}, {"event_types": ["a..b"]}, {"url": "ftp://host/"}, {"url": "http://169.254.169.254/"},
        {"url": "http://user:pass@127.0.0.1:9999/"}, {"secret": "whsec_x"},
    ],
)  # fmt: skip
def test_a_webhook_that_cannot_work_is_refused(fields: dict[str, Any]) -> None:
    answer = program().post("webhooks", {"name": "hook", "url": "http://127.0.0.1:9999/", "event_types": ["*"], **fields})
    assert (answer.status_code, NotificationChannel.objects.count()) == (400, 0), answer.content


def test_a_program_of_a_project_hooks_into_nothing_but_it() -> None:
    *_, mine, foreign = company()
    caller = program(project=mine)
    body = {"name": "hook", "url": "http://127.0.0.1:9999/", "event_types": ["*"]}
    scopes: list[dict[str, Any]] = [{}, {"scope": {"project": f"prj_{foreign.id.hex}"}}, {"scope": {"project": f"prj_{mine.id.hex}"}}]
    assert [caller.post("webhooks", {**body, **scope}).status_code for scope in scopes] == [400, 400, 201]


def test_a_developer_sees_no_webhooks_of_the_project() -> None:
    *_, mine, _ = company()
    hook("http://127.0.0.1:9999/", ["*"], project=mine)
    assert person(name="dev", project=mine, role="developer").ids("webhooks") == []
    assert len(person(name="own", project=mine, role="owner").ids("webhooks")) == 1
    assert Project.objects.filter(pk=mine.pk).exists()


def test_a_deleted_webhook_takes_its_log_with_it() -> None:
    caller = program()
    path = f"webhooks/{made(caller, 'http://127.0.0.1:9999/')['id']}"
    assert [caller.ask("DELETE", path, None).status_code, caller.get(path).status_code] == [204, 404]
