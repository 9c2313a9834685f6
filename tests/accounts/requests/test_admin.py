"""The admin's inbox of requests: the same decisions as everywhere, one by one and together, nobody their own, nothing unread."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions, audit
from accounts.grants import Asking
from accounts.models import ApprovalRule, AuditEvent, GrantRequest, User
from accounts.requests import asking
from billing.models import CreditGrant
from gateway.attention import matters
from tests.accounts.requests.people import USD, company, credit, rule, user

pytestmark = pytest.mark.django_db
LIST = reverse("admin:accounts_grantrequest_changelist")


@pytest.fixture
def people() -> SimpleNamespace:
    ApprovalRule.objects.all().delete()
    found = company()
    rule({"approver": "role", "roles": ["finance"]}, kinds=["credit"])
    found.security = user("security", "security_officer")
    return found


def browser(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def page(row: GrantRequest, act: str) -> str:
    return reverse("admin:accounts_grantrequest_act", args=[row.pk, act])


def again(row: GrantRequest) -> GrantRequest:
    return GrantRequest.objects.get(pk=row.pk)


def shown(client: Client, query: str = "") -> list[str]:
    answer: Any = client.get(LIST + query)
    return [row.title for row in answer.context["cl"].result_list]


def together(client: Client, action: str, *rows: GrantRequest, versions: Any = None, **given: str) -> Any:
    read = {f"version:{row.pk}": str(versions or row.version) for row in rows}
    form = {"action": f"{action}_chosen", "_selected_action": [str(row.pk) for row in rows], "confirmed": "yes", **read, **given}
    return client.post(LIST, form, follow=True)


def test_the_inbox_holds_what_waits_for_the_signed_in_person(people: SimpleNamespace) -> None:
    row = credit(people.dev, people.project)
    assert (shown(browser(people.finance), "?waits=me"), shown(browser(people.it), "?waits=me"), len(shown(browser(people.it)))) == ([row.title], [], 1)
    assert [(one.number, one.words) for one in matters(people.finance)] == [(1, "requests wait for your decision")]
    assert matters(people.it) == []


def test_a_request_is_approved_with_less_and_carried_out_at_once(people: SimpleNamespace) -> None:
    row, client = credit(people.dev, people.project, 20), browser(people.finance)
    text = client.get(page(row, "approve")).content.decode()
    assert f'value="{row.version}"' in text
    assert client.post(page(row, "approve"), {"version": "1", "amount_usd": "5", "comment": "half"}).status_code == 302
    assert (again(row).state, CreditGrant.objects.get().amount_nanousd) == ("applied", 5 * USD)
    told = client.get(reverse("admin:accounts_grantrequest_change", args=[row.pk])).content.decode()
    assert ("approved by finance@example.com: half" in told, "5.00 of 20.00" in told) == (True, True)
    assert AuditEvent.objects.filter(action="request.approve", face="admin", actor_id=f"usr_{people.finance.pk.hex}").exists()


@pytest.mark.parametrize(
    ("act", "given", "state"),
    [("deny", {"version": "1", "reason": "no budget"}, "denied"), ("ask", {"text": "what for?"}, "needs_info"), ("comment", {"text": "hm"}, "submitted")],
)
def test_a_request_is_denied_asked_back_and_commented(act: str, given: dict[str, str], state: str, people: SimpleNamespace) -> None:
    row = credit(people.dev, people.project)
    assert browser(people.finance).post(page(row, act), given).status_code == 302
    assert (again(row).state, CreditGrant.objects.count()) == (state, 0)


def test_nobody_decides_their_own_or_what_is_not_theirs(people: SimpleNamespace) -> None:
    own = credit(people.finance, people.project)
    foreign = credit(people.dev, people.project)
    for person, row in ((people.finance, own), (people.it, foreign), (people.security, foreign)):
        for act, given in (("approve", {"version": "1"}), ("deny", {"version": "1", "reason": "no"}), ("ask", {"text": "why"})):
            assert browser(person).post(page(row, act), given).status_code == 403
    assert ([again(row).state for row in (own, foreign)], CreditGrant.objects.count()) == (["submitted"] * 2, 0)
    assert AuditEvent.objects.filter(action="access.refuse", outcome="refused", face="admin").count() == 9
    buttons = browser(people.it).get(reverse("admin:accounts_grantrequest_change", args=[foreign.pk])).content.decode()
    assert ("/approve" in buttons, "/comment" in buttons) == (False, True)


def test_what_was_edited_after_it_was_read_is_not_decided(people: SimpleNamespace) -> None:
    row, client = credit(people.dev, people.project), browser(people.finance)
    asking.edit(row, people.dev, amount_nanousd=9_000 * USD)
    answer: Any = client.post(page(row, "approve"), {"version": "1"})
    assert ("This request was edited" in answer.content.decode(), again(row).state, CreditGrant.objects.count()) == (True, "submitted", 0)
    told = together(client, "approve_as_asked", row, versions=1).content.decode()
    assert ("This request was edited" in told, again(row).state) == (True, "submitted")


def test_several_are_decided_after_a_page_that_asks(people: SimpleNamespace) -> None:
    rows, client = [credit(people.dev, people.project, amount) for amount in (1, 2)], browser(people.finance)
    asked: Any = client.post(LIST, {"action": "approve_as_asked_chosen", "_selected_action": [str(row.pk) for row in rows]})
    assert (asked.content.decode().count('name="version:'), {again(row).state for row in rows}) == (2, {"submitted"})
    together(client, "approve_as_asked", *rows)
    assert ({again(row).state for row in rows}, CreditGrant.objects.count()) == ({"applied"}, 2)


def test_together_each_is_judged_alone_and_a_refusal_is_on_record(people: SimpleNamespace) -> None:
    own, other = credit(people.finance, people.project), credit(people.dev, people.project)
    told = together(browser(people.finance), "approve_as_asked", own, other).content.decode()
    assert ("Nobody decides about what they asked for" in told, "1 of 2 done" in told) == (True, True)
    assert ([again(row).state for row in (own, other)], CreditGrant.objects.count()) == (["submitted", "applied"], 1)
    assert AuditEvent.objects.filter(action="access.refuse").count() == 1


def test_together_a_denial_needs_its_reason(people: SimpleNamespace) -> None:
    rows, client = [credit(people.dev, people.project) for _ in range(2)], browser(people.finance)
    together(client, "deny", *rows, reason="")
    assert {again(row).state for row in rows} == {"submitted"}
    together(client, "deny", *rows, reason="not now")
    assert {again(row).state for row in rows} == {"denied"}


def privileged(people: SimpleNamespace) -> GrantRequest:
    with audit.from_here("admin", actor=people.it):
        people.dev.role = "it_admin"
        actions.save_user(people.dev)
    return GrantRequest.objects.get(kind="act.role")


def test_the_second_of_two_proves_to_be_there(people: SimpleNamespace) -> None:
    row, client = privileged(people), browser(people.security)
    session = client.session
    session["proved_at"] = 0
    session.save()
    for answer in (
        client.post(page(row, "approve"), {"version": "1"}),
        client.post(LIST, {"action": "approve_as_asked_chosen", "_selected_action": str(row.pk), "confirmed": "yes", f"version:{row.pk}": "1"}),
    ):
        assert (answer.status_code, answer.headers["Location"].split("?")[0]) == (302, "/login/confirm")
    api = client.post(f"/api/v1/approvals/{row.shown_id}/approve", "{}", content_type="application/json", headers={"host": "localhost"})
    assert (api.status_code, api.json()["code"], again(row).state) == (403, "step_up_required", "submitted")
    browser(people.security).post(page(row, "approve"), {"version": "1"})
    assert (again(row).state, User.objects.get(pk=people.dev.pk).role) == ("applied", "it_admin")


def test_what_was_given_is_taken_back_and_ones_own_withdrawn(people: SimpleNamespace) -> None:
    row, client = credit(people.dev, people.project, until=timezone.now() + timedelta(days=9)), browser(people.finance)
    client.post(page(row, "approve"), {"version": "1"})
    client.post(page(row, "take_back"), {"reason": "project ended"})
    own = credit(people.finance, people.project)
    client.post(page(own, "withdraw"))
    assert (again(row).state, again(own).state) == ("revoked", "withdrawn")


def test_what_nobody_may_decide_and_what_went_up_needs_a_hand(people: SimpleNamespace) -> None:
    row = credit(people.dev, people.project)
    row.steps.update(escalations=1)
    User.objects.filter(pk=people.finance.pk).update(is_active=False)
    assert [one.words for one in matters(people.security)] == ["requests were escalated and still wait"]
    User.objects.filter(pk=people.it.pk).update(is_active=False)
    assert [one.words for one in matters(people.security)] == ["requests were escalated and still wait", "requests are stuck: nobody may decide them"]
    assert shown(browser(people.security), "?waits=stuck") == [row.title]


def test_texts_of_askers_are_escaped_and_found_by_id(people: SimpleNamespace) -> None:
    asked = Asking("credit", f"prj_{people.project.pk.hex}", people.dev, amount_nanousd=USD)
    row, client = asking.submit(asked, "<script>alert(1)</script>"), browser(people.it)
    text = client.get(reverse("admin:accounts_grantrequest_change", args=[row.pk])).content.decode()
    assert ("<script>alert" in text, "&lt;script&gt;alert" in text) == (False, True)
    credit(people.dev, people.project, 1)
    assert shown(client, f"?q={row.shown_id}") == [row.title]


def test_nobody_adds_edits_or_deletes_a_request_here(people: SimpleNamespace) -> None:
    row, client = credit(people.dev, people.project), browser(people.it)
    change = reverse("admin:accounts_grantrequest_change", args=[row.pk])
    assert client.get(reverse("admin:accounts_grantrequest_add")).status_code == 403
    assert client.post(change, {"title": "x", "state": "applied", "granted_nanousd": "1"}).status_code == 403
    assert client.post(reverse("admin:accounts_grantrequest_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert (again(row).state, again(row).title, again(row).granted_nanousd) == ("submitted", row.title, 20 * USD)
