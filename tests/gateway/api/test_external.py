"""A step that another system decides: asked by a signed webhook, answered by one, once, for one version, and never in place of a person."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone
from standardwebhooks import Webhook

from accounts import audit, webhooks
from accounts.actions import save_user
from accounts.models import ApprovalStep, AuditEvent, Decision, GrantRequest, NotificationChannel, RuleStep, User
from accounts.outbox import deliver_due
from accounts.requests import asking, deciding, rules, schedule
from accounts.requests.approvers import deciders, open_step
from billing.models import CreditGrant
from tests.accounts.requests.people import USD, company, credit, rule, user
from tests.fakes.receiver import Receiver, receiving
from tests.gateway.api.callers import Caller

pytestmark = pytest.mark.django_db
OTHER_SECRET = "whsec_" + base64.b64encode(b"o" * 32).decode()


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.PUBLIC_URL = "https://ai.example.com"
    cache.clear()  # what was throttled
    with receiving() as running:
        yield running


@pytest.fixture
def people(receiver: Receiver) -> SimpleNamespace:
    """A company whose credit is decided by another system, then by the manager where a test says so."""
    found = company()
    found.channel, found.secret = hook(receiver.url)
    return found


def hook(url: str, name: str = "ServiceDesk", **scope: Any) -> tuple[NotificationChannel, str]:
    return webhooks.make_webhook(NotificationChannel(name=name, options={"url": url}, event_types=["approval.requested"], **scope))


def external(people: SimpleNamespace, *more: dict[str, Any], **fields: Any) -> GrantRequest:
    """Ask for credit under a rule whose first step is the other system's."""
    rule({"approver": "external", "channel": people.channel}, *more, **fields)
    return credit(people.dev, people.project)


def answered(request: GrantRequest, secret: str, *, id: str = "msg_1", at: datetime | None = None, to: str = "", **said: Any) -> Any:  # noqa: A002
    """Post a signed answer and return what came back."""
    data = {"request": request.shown_id, "version": 1, "step": 1, "verdict": "approved", **said}
    return sent(to or request.shown_id, json.dumps({"type": "approval.answered", "timestamp": "now", "data": data}), secret, id, at)


def sent(to: str, body: str, secret: str, id: str = "msg_1", at: datetime | None = None) -> Any:  # noqa: A002
    at = at or datetime.now(UTC)
    headers = {"webhook-id": id, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": Webhook(secret).sign(id, at, body)}
    return Client(headers={"host": "localhost", **headers}).post(f"/api/v1/approvals/external/{to}", body, content_type="application/json")


def state() -> tuple[str, int, int]:
    """State of the request, and how many decisions and credits there are."""
    return GrantRequest.objects.get().state, Decision.objects.count(), CreditGrant.objects.count()


def refusals() -> list[str]:
    events = AuditEvent.objects.filter(action="request.answer", outcome="refused").order_by("seq")
    return [event.texts["reason"]["value"] for event in events]


def test_the_other_system_is_asked_and_its_answer_carries_the_request_out(people: SimpleNamespace, receiver: Receiver) -> None:
    request = external(people)
    deliver_due()
    [(headers, body)] = receiver.got
    asked = Webhook(people.secret).verify(body, headers)
    told = asked["data"]
    assert (asked["type"], told["request"], told["version"], told["step"], told["amount_nanousd"], told["requester"], told["text"]) == (
        "approval.requested", request.shown_id, 1, 1, str(20 * USD), "dev@example.com", "Load test",
    )  # fmt: skip
    assert (told["changes"], told["answer_url"]) == (
        [{"what": "Credit of P", "before": "0.00", "after": "20.00"}],
        f"https://ai.example.com/api/v1/approvals/external/{request.shown_id}",
    )
    answer = answered(request, people.secret, comment="CHG-7", decided_by="boss@example.com")
    assert (answer.status_code, answer.json()) == (200, {"id": request.shown_id, "version": 1, "state": "applied"})
    decision = Decision.objects.get()
    assert (state(), decision.approver, decision.channel, decision.comment) == (
        ("applied", 1, 1), None, people.channel, "CHG-7 (decided by boss@example.com)",
    )  # fmt: skip
    shown = Caller(user=people.dev).get(f"credit-requests/{request.shown_id}").json()
    [one] = shown["steps"][0]["decisions"]
    assert (one["approver"], one["system"], one["on_behalf_of"], one["verdict"]) == (None, "ServiceDesk", None, "approved")
    page = Client()
    page.force_login(people.dev)
    assert "approved by ServiceDesk" in page.get(f"/requests/{request.shown_id}").content.decode()


def test_a_denial_ends_the_request_with_its_reason(people: SimpleNamespace) -> None:
    request = external(people)
    assert answered(request, people.secret, verdict="denied").status_code == 400
    assert answered(request, people.secret, id="msg_2", verdict="denied", comment="no budget").json()["state"] == "denied"
    assert (state(), request.notes.get(what="denied").text) == (("denied", 1, 0), "ServiceDesk: no budget")


def test_the_same_answer_again_changes_nothing_and_another_one_is_refused(people: SimpleNamespace) -> None:
    request, at = external(people, {"approver": "manager"}), datetime.now(UTC)
    first, again = (answered(request, people.secret, at=at) for _ in range(2))
    assert (first.status_code, again.status_code, first.json() == again.json(), state()) == (200, 200, True, ("submitted", 1, 0))
    other = answered(request, people.secret, id="msg_2", verdict="denied", comment="no")
    turned = answered(request, people.secret, verdict="denied", comment="no")
    assert (other.status_code, turned.status_code, state()) == (409, 409, ("submitted", 1, 0))
    deciding.approve(request, people.manager)
    assert (answered(request, people.secret, at=at).json()["state"], state()) == ("applied", ("applied", 2, 1))
    assert len(refusals()) == 2


@pytest.mark.parametrize("wrong", ["secret", "late", "early", "none", "body", "id", "no request", "long id"])
def test_what_does_not_show_the_secret_now_is_refused_the_same_way(wrong: str, people: SimpleNamespace) -> None:
    request, at = external(people), datetime.now(UTC)
    if wrong == "secret":
        answer = answered(request, OTHER_SECRET)
    elif wrong in ("late", "early"):
        answer = answered(request, people.secret, at=at + timedelta(minutes=6) * (-1 if wrong == "late" else 1))
    elif wrong == "no request":
        answer = answered(request, people.secret, to="crq_" + "0" * 32)
    elif wrong == "long id":
        answer = answered(request, people.secret, id="m" * 101)
    else:
        body = json.dumps({"type": "approval.answered", "data": {"request": request.shown_id, "version": 1, "step": 1, "verdict": "approved"}})
        signed = {"webhook-id": "msg_1", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": Webhook(people.secret).sign("msg_1", at, body)}
        headers = {"none": {}, "body": signed, "id": {**signed, "webhook-id": "msg_2"}}[wrong]
        posted = body.replace("approved", "denied") if wrong == "body" else body
        client = Client(headers={"host": "localhost", **headers})
        answer = client.post(f"/api/v1/approvals/external/{request.shown_id}", posted, content_type="application/json")
    assert (answer.status_code, answer.json()["code"], state()) == (401, "invalid_signature", ("submitted", 0, 0))
    assert len(refusals()) == (wrong != "no request")


def test_an_answer_kept_back_does_not_fit_after_an_edit(people: SimpleNamespace) -> None:
    request, at = external(people), datetime.now(UTC)
    asking.edit(request, people.dev, amount_nanousd=900 * USD)
    assert (answered(request, people.secret, at=at).status_code, state()) == (412, ("submitted", 0, 0))
    assert answered(request, people.secret, version=2).json()["state"] == "applied"
    assert refusals() == ["This request was edited: it is version 2 now, you read version 1. Read it again."]


def test_an_answer_to_one_request_fits_no_other(people: SimpleNamespace) -> None:
    first = external(people)
    second = credit(people.dev, people.project, 900)
    data = {"request": first.shown_id, "version": 1, "step": 1, "verdict": "approved"}
    crossed = sent(second.shown_id, json.dumps({"type": "approval.answered", "data": data}), people.secret)
    assert (crossed.status_code, CreditGrant.objects.count()) == (400, 0)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 400), ("[]", 400), ('{"type":"approval.answered"}', 400), ('{"type":"other","data":{}}', 400), ("x" * 70_000, 413),
        ('{"type":"approval.answered","data":{"request":"{0}","version":1,"step":1,"verdict":"approved","amount":"900"}}', 400),
        ('{"type":"approval.answered","data":{"request":"{0}","version":1,"step":9,"verdict":"approved"}}', 400),
        ('{"type":"approval.answered","data":{"request":"{0}","version":1,"step":1,"verdict":"perhaps"}}', 400),
        ('{"type":"approval.answered","data":{"request":"{0}","version":99999999999999999999,"step":1,"verdict":"approved"}}', 400),
        ('{"type":"approval.answered","data":{"request":"{0}","version":1,"step":1,"verdict":"denied","comment":"\\u0000 "}}', 400),
        ('{"type":"approval.answered","data":{"request":"{0}","version":1,"step":1,"verdict":"denied","comment":"\\ud800"}}', 400),
        ('{"type":"approval.requested","data":{"request":"{0}","version":1,"step":1,"verdict":"approved"}}', 400),
    ],
)  # fmt: skip
def test_a_signed_body_that_makes_no_sense_is_refused_in_words(body: str, status: int, people: SimpleNamespace) -> None:
    request = external(people)
    answer = sent(request.shown_id, body.replace("{0}", request.shown_id), people.secret)
    assert (answer.status_code, bool(answer.json()["detail"]), state()) == (status, True, ("submitted", 0, 0))


def test_whoever_asked_cannot_decide_over_there(people: SimpleNamespace) -> None:
    request = external(people)
    answer = answered(request, people.secret, decided_by=" DEV@example.com")
    assert (answer.status_code, state(), refusals()) == (403, ("submitted", 0, 0), ["Whoever asked cannot decide, there as little as here."])


def test_it_fills_no_quorum_of_people(people: SimpleNamespace) -> None:
    request = external(people, {"approver": "people", "people": [people.manager, people.boss], "quorum": 2})
    answered(request, people.secret)
    assert answered(request, people.secret, id="msg_2", step=2).status_code == 400
    request = deciding.approve(request, people.manager)
    assert state() == ("submitted", 2, 0)
    assert (deciding.approve(request, people.boss).state, CreditGrant.objects.get().granted_by) == ("applied", people.boss)


def test_it_is_nobodys_second_pair_of_eyes(people: SimpleNamespace) -> None:
    step = rules.Step("external", channel=people.channel)
    with pytest.raises(ValidationError, match="takes a second person"):
        rules.save_rule(rule(name="grave", kinds=["act.role"], position=2), [step])
    rule({"approver": "external", "channel": people.channel}, kinds=["act.role"])  # stored by whatever road
    second = user("second", "security_officer")
    with audit.from_here("admin", actor=people.it):
        people.dev.role = "it_admin"
        save_user(people.dev)
    request = GrantRequest.objects.get()
    answered(request, people.secret)
    assert (state(), User.objects.get(pk=people.dev.pk).role) == (("submitted", 1, 0), "")
    assert (deciding.approve(request, second).state, User.objects.get(pk=people.dev.pk).role) == ("applied", "it_admin")


def test_without_an_answer_the_rule_reminds_escalates_and_ends_it(people: SimpleNamespace, receiver: Receiver) -> None:
    with time_machine.travel(datetime(2026, 11, 23, 9, tzinfo=UTC), tick=False) as clock:  # a Monday
        request = external(people, remind_days=1, escalate_days=2, expire_days=4)
        seen = []
        for day in range(23, 28):
            clock.move_to(datetime(2026, 11, day, 9, tzinfo=UTC))
            schedule.pass_time()
            deliver_due()
            step = open_step(GrantRequest.objects.get())
            asked = {User.objects.get(pk=person).email for person in deciders(step)} if step else set()
            seen.append((len(receiver.got), sorted(asked)))
        manager, boss = "manager@example.com", "boss@example.com"
        assert seen == [(1, []), (2, []), (3, [manager]), (4, [manager]), (4, [])]
        assert (boss not in str(seen), state()[0]) == (True, "expired")
    assert len(set(receiver.ids())) == 4
    assert answered(request, people.secret).status_code == 409


def test_once_escalated_a_person_or_the_system_decides_whoever_is_first(people: SimpleNamespace) -> None:
    first = external(people, remind_days=0, escalate_days=1)
    second = credit(people.dev, people.project, 1)
    with pytest.raises(Exception, match="not yours"):
        deciding.approve(first, people.manager)
    with time_machine.travel(timezone.now() + timedelta(days=4)):
        schedule.pass_time()
        assert deciding.approve(first, people.manager).state == "applied"
        assert answered(first, people.secret).status_code == 409
        assert answered(second, people.secret, id="msg_2").json()["state"] == "applied"


def test_a_refused_delivery_is_tried_again_under_the_same_id(people: SimpleNamespace, receiver: Receiver) -> None:
    receiver.answers = [503, 200]
    external(people)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        deliver_due()
        clock.shift(11)
        deliver_due()
    assert (len(receiver.got), len(set(receiver.ids()))) == (2, 1)


def test_a_webhook_that_others_hold_decides_nothing(people: SimpleNamespace, receiver: Receiver) -> None:
    theirs, secret = hook(receiver.url, "theirs", business_unit=people.unit)
    with pytest.raises(ValidationError, match="one of the whole platform"):
        rules.save_rule(rule(name="bad", position=3), [rules.Step("external", channel=theirs)])
    request = external(people)
    assert answered(request, secret).status_code == 401
    NotificationChannel.objects.filter(pk=people.channel.pk).update(business_unit=people.unit)
    assert (answered(request, people.secret).status_code, state()) == (401, ("submitted", 0, 0))


def test_a_secret_being_replaced_counts_until_its_overlap_is_over(people: SimpleNamespace) -> None:
    first = external(people)
    second = credit(people.dev, people.project)
    new = webhooks.rotate_secret(people.channel, timedelta(hours=1))
    assert answered(first, people.secret).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        assert [answered(second, secret, id="msg_2").status_code for secret in (people.secret, new)] == [401, 200]


def test_rules_with_such_a_step_are_made_over_the_api_and_keep_their_webhook(people: SimpleNamespace) -> None:
    it = Caller(user=people.it)
    body = {"name": "desk", "position": 1, "kinds": ["credit"], "steps": [{"approver": "external", "channel": "ServiceDesk"}, {"approver": "manager"}]}
    made = it.made("approval-rules", body)
    assert [(step["approver"], step["channel"]) for step in made["steps"]] == [("external", "ServiceDesk"), ("manager", None)]
    request = credit(people.dev, people.project)
    assert [step.approver for step in ApprovalStep.objects.order_by("position")] == ["external", "manager"]
    gone = it.ask("DELETE", f"webhooks/whk_{people.channel.pk.hex}")
    assert (gone.status_code, "approval rules" in gone.json()["detail"], RuleStep.objects.filter(channel=people.channel).count()) == (400, True, 1)
    assert answered(request, people.secret).json()["state"] == "submitted"


def test_strangers_cannot_fill_the_trail_by_guessing(people: SimpleNamespace) -> None:
    request = external(people)
    statuses = [answered(request, OTHER_SECRET).status_code for _ in range(102)]
    assert (statuses.count(401), statuses[-1]) == (100, 429)
