"""Notification channels on the management API: a secret goes in and never comes out, and a place is told of itself only."""

import pytest

from accounts.channels import opened_secret
from accounts.models import AuditEvent, NotificationChannel
from tests.fakes.receiver import receiving
from tests.gateway.api.callers import company, person, program
from tests.gateway.api.company import SECRET

pytestmark = pytest.mark.django_db


def test_a_channel_is_made_tested_changed_and_deleted() -> None:
    it = program()
    with receiving() as receiver:
        made = it.made("notification-channels", {"name": "Ops", "kind": "webhook", "options": {"url": receiver.url}, "secret": SECRET})
        path = f"notification-channels/{made['id']}"
        tested = it.post(f"{path}/test").json()
    changed = it.patch(path, {"least_severity": "warning", "quiet_from": "22:00", "quiet_until": "06:00", "time_zone": "Europe/Berlin"}).json()
    assert (made["scope"], made["is_active"], tested["check_result"][:3], len(receiver.got)) == ({}, True, "ok:", 1)
    assert [changed[name] for name in ("least_severity", "quiet_from", "quiet_until", "digest")] == ["warning", "22:00:00", "06:00:00", ""]
    assert opened_secret(NotificationChannel.objects.get()) == SECRET
    told = [it.get(path).content, it.get("notification-channels").content, it.get("audit-events?limit=200").content]
    assert [SECRET.encode() in one for one in told] == [False] * 3
    assert it.ask("DELETE", path).status_code == 204
    actions = AuditEvent.objects.filter(object_id=made["id"]).order_by("seq").values_list("action", flat=True)
    assert list(actions) == [f"notification-channel.{verb}" for verb in ("create", "test", "update", "delete")]


def test_a_test_that_fails_says_why() -> None:
    it = program()
    made = it.made("notification-channels", {"name": "Ops", "kind": "webhook", "options": {"url": "http://127.0.0.1:9009/"}, "secret": SECRET})
    answer = it.post(f"notification-channels/{made['id']}/test")
    assert (answer.status_code, answer.json()["check_result"].startswith("ok")) == (200, False)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "nobody"}, "kind"), ({"options": {}}, "options"), ({"options": {"url": "http://127.0.0.2:9009/"}}, "secret"), ({"scope": {}}, "scope"),
        ({"time_zone": "Mars/Base"}, "time_zone"), ({"quiet_from": "25:00"}, "quiet_from"), ({"event_types": ["*"]}, "event_types"),
        ({"secret_hint": "x"}, "secret_hint"), ({"digest": "weekly"}, "digest"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_by_field(change: dict[str, object], field: str) -> None:
    it = program()
    made = it.made("notification-channels", {"name": "Ops", "kind": "webhook", "options": {"url": "http://127.0.0.1:9009/"}, "secret": SECRET})
    answer = it.patch(f"notification-channels/{made['id']}", change)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (400, [field])


def test_webhooks_and_channels_are_apart_and_each_belongs_to_its_place() -> None:
    _, _, mine, foreign = company()
    it, options = program(), {"url": "http://127.0.0.1:9009/"}
    common = {"name": "a", "kind": "webhook", "options": options, "secret": SECRET}
    channel = it.made("notification-channels", {**common, "scope": {"project": f"prj_{mine.pk.hex}"}})
    hook = it.made("webhooks", {"name": "b", "url": options["url"], "event_types": ["*"], "scope": {"project": f"prj_{foreign.pk.hex}"}})
    assert (it.ids("notification-channels"), it.ids("webhooks")) == ([channel["id"]], [hook["id"]])
    owner = person("", "owner", project=mine, role="owner")
    answers = [owner.post("notification-channels", {**common, "name": "c", "scope": scope}) for scope in ({}, {"project": f"prj_{foreign.pk.hex}"})]
    assert ([answer.status_code for answer in answers], owner.ids("notification-channels")) == ([400, 400], [channel["id"]])
    assert person("", "dev", project=mine, role="developer").get(f"notification-channels/{channel['id']}").status_code == 404
