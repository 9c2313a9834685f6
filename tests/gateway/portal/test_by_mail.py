"""Links in mails have no authority: they open a page for one person, of one version, once, and only a confirmation there acts."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts import audit
from accounts.actions import save_user
from accounts.mail_links import token_of
from accounts.models import AuditEvent, BusinessUnit, Decision, DecisionLink, GrantRequest, Membership, NotificationChannel, Project, User
from accounts.requests import asking, by_mail, deciding
from billing.models import CreditGrant
from tests.accounts.requests.people import company, credit, rule, user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def mailed(settings: Any) -> None:
    settings.MAIL_URL, settings.MAIL_FROM, settings.PUBLIC_URL = "smtp://localhost", "gateway@example.com", "https://ai.example.com"


@pytest.fixture
def people() -> SimpleNamespace:
    return company()


def path(request: GrantRequest, approver: User, verdict: str = "approve") -> str:
    link = DecisionLink.objects.filter(step__request=request, approver=approver).latest("created_at")
    return f"/approvals/by-mail/{token_of(link.pk)}/{verdict}"


def browser(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def states() -> tuple[list[str], int, int]:
    """States of requests, and how many decisions and credits there are."""
    return list(GrantRequest.objects.values_list("state", flat=True)), Decision.objects.count(), CreditGrant.objects.count()


def confirmed(client: Client, where: str, **given: str) -> Any:
    """Post the form of the page, as it was shown."""
    return client.post(where, {"version": "1", "comment": "fine", **given})


def test_what_opens_a_link_changes_nothing(people: SimpleNamespace) -> None:
    request = credit(people.dev, people.project)
    client = browser(people.manager)
    where, events = path(request, people.manager), AuditEvent.objects.count()
    for scanner in (Client(), Client(headers={"user-agent": "LinkScanner/1.0"})):
        for method in (scanner.get, scanner.head, scanner.options, scanner.post):
            answer = method(where)
            assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (302, "/login")
    shown = [client.get(where) for _ in range(3)][-1].content.decode()
    assert ("Approve this request?" in shown, "<strong>20.00</strong>" in shown, "Load test" in shown) == (True, True, True)
    assert (states(), DecisionLink.objects.filter(used_at=None).count(), AuditEvent.objects.count()) == ((["submitted"], 0, 0), 1, events)


def test_a_confirmation_decides_and_uses_the_link_up(people: SimpleNamespace) -> None:
    request = credit(people.dev, people.project)
    client, where = browser(people.manager), path(request, people.manager)
    answer = confirmed(client, where)
    assert (answer.status_code, answer.headers["Location"], states()) == (302, f"/requests/{request.shown_id}", (["applied"], 1, 1))
    assert [client.get(where).status_code, confirmed(client, where).status_code, confirmed(client, where.replace("approve", "deny")).status_code] == [410] * 3
    assert (states(), AuditEvent.objects.filter(action="decision-link.use", actor_id=f"usr_{people.manager.pk.hex}").count()) == ((["applied"], 1, 1), 1)


def test_a_denial_by_mail_needs_a_reason_and_keeps_the_link_until_it_has_one(people: SimpleNamespace) -> None:
    where = path(credit(people.dev, people.project), people.manager, "deny")
    client = browser(people.manager)
    refused = confirmed(client, where, comment="")
    assert (refused.status_code, "Say why not" in refused.content.decode(), states()) == (400, True, (["submitted"], 0, 0))
    assert (confirmed(client, where, comment="no").status_code, states()) == (302, (["denied"], 1, 0))


def test_a_smaller_amount_can_be_confirmed(people: SimpleNamespace) -> None:
    where = path(credit(people.dev, people.project), people.manager)
    assert confirmed(browser(people.manager), where, amount_usd="5").status_code == 302
    assert CreditGrant.objects.get().amount_nanousd == 5 * 10**9


def test_a_forwarded_link_helps_nobody_and_the_try_is_recorded(people: SimpleNamespace) -> None:
    request = credit(people.dev, people.project)
    where = path(request, people.manager)
    for other in (people.dev, people.boss, people.it, user("stranger")):
        client = browser(other)
        assert (client.get(where).status_code, confirmed(client, where).status_code) == (404, 404)
    assert (states(), confirmed(browser(people.manager), where).status_code) == ((["submitted"], 0, 0), 302)
    assert AuditEvent.objects.filter(action="decision-link.refuse", outcome="refused", object_id=request.shown_id).count() == 8


def test_an_edit_a_decision_a_withdrawal_and_time_void_a_link(people: SimpleNamespace) -> None:
    client, over = browser(people.manager), []
    edited = credit(people.dev, people.project)
    over.append(path(edited, people.manager))
    asking.edit(edited, people.dev, amount_nanousd=900 * 10**9)
    withdrawn = credit(people.dev, people.project)
    over.append(path(withdrawn, people.manager))
    asking.withdraw(withdrawn, people.dev)
    asked = credit(people.dev, people.project)
    over.append(path(asked, people.manager))
    deciding.ask(asked, people.manager, "what for?")
    before = states()
    assert [(client.get(where).status_code, confirmed(client, where).status_code) for where in over] == [(410, 410)] * 3
    late = path(credit(people.dev, people.project), people.manager)
    with time_machine.travel(timezone.now() + timedelta(days=7, minutes=1)):
        assert browser(people.manager).get(late).status_code == 410
    assert (states()[1:], before[1:]) == ((0, 0), (0, 0))


def test_a_link_ends_with_the_right_to_decide(people: SimpleNamespace) -> None:
    where = path(credit(people.dev, people.project), people.manager)
    Membership.objects.filter(user=people.manager).delete()
    client = browser(people.manager)
    assert (client.get(where).status_code, confirmed(client, where).status_code, states()) == (410, 410, (["submitted"], 0, 0))


def test_one_approver_of_a_quorum_uses_no_link_twice_nor_anothers(people: SimpleNamespace) -> None:
    rule({"approver": "people", "people": [people.manager, people.boss], "quorum": 2})
    request = credit(people.dev, people.project)
    manager, boss = path(request, people.manager), path(request, people.boss)
    client = browser(people.manager)
    assert [confirmed(client, where).status_code for where in (manager, manager, boss)] == [302, 410, 404]
    assert (states(), confirmed(browser(people.boss), boss).status_code, states()) == ((["submitted"], 1, 0), 302, (["applied"], 2, 1))


@pytest.mark.parametrize("token", ["x", "0" * 32, "0" * 32 + ".abc", "..", "0" * 32 + "." + "A" * 43])
def test_an_invented_token_finds_nothing(token: str, people: SimpleNamespace) -> None:
    client = browser(people.manager)
    assert [client.get(f"/approvals/by-mail/{token}/{verdict}").status_code for verdict in ("approve", "deny", "ask")] == [404] * 3
    where = path(credit(people.dev, people.project), people.manager)
    assert client.get(where[:-9] + "x/approve").status_code == 404


def test_an_act_of_two_people_asks_for_a_fresh_proof_before_it_is_confirmed(people: SimpleNamespace) -> None:
    second = user("second", "security_officer")
    with audit.from_here("admin", actor=people.it):
        people.dev.role = "it_admin"
        save_user(people.dev)
    request = GrantRequest.objects.get()
    where, client = path(request, second), browser(second)
    assert client.get(where).status_code == 200
    session = client.session
    session["proved_at"] = 0
    session.save()
    sent = client.post(where, {"version": "1"}, headers={"referer": f"http://testserver{where}"})
    assert sent.headers["Location"] == f"/login/confirm?next={where}"
    assert (User.objects.get(pk=people.dev.pk).role, GrantRequest.objects.get().state) == ("", "submitted")
    assert (confirmed(browser(second), where).status_code, User.objects.get(pk=people.dev.pk).role) == (302, "it_admin")


def test_a_link_is_no_way_around_a_right_to_decide_that_ended_in_between(people: SimpleNamespace) -> None:
    link = DecisionLink.objects.filter(step__request=credit(people.dev, people.project)).get()
    with pytest.raises(by_mail.LinkOver):
        for _ in range(2):
            by_mail.decide(link, lambda: deciding.approve(link.step.request, people.manager, version=1))
    assert states() == (["applied"], 1, 1)


def test_old_links_are_forgotten(people: SimpleNamespace) -> None:
    credit(people.dev, people.project)
    assert by_mail.prune() == 0
    with time_machine.travel(timezone.now() + timedelta(days=98)):
        assert (by_mail.prune(), DecisionLink.objects.count()) == (1, 0)


def test_mail_preferences_are_set_on_ones_own_page(people: SimpleNamespace) -> None:
    client = browser(people.dev)
    assert (client.get("/account/mail").status_code, NotificationChannel.objects.count()) == (200, 0)
    saved = client.post("/account/mail", {"digest": "daily", "quiet_from": "22:00", "quiet_until": "07:00", "time_zone": "Europe/Berlin"})
    box = NotificationChannel.objects.get()
    assert (saved.status_code, box.person, box.digest, box.time_zone, str(box.quiet_from)) == (302, people.dev, "daily", "Europe/Berlin", "22:00:00")
    wrong = client.post("/account/mail", {"digest": "", "quiet_from": "22:00", "time_zone": "Mars/Base"})
    assert (wrong.status_code, "time zone database" in wrong.content.decode()) == (200, True)
    assert NotificationChannel.objects.get().time_zone == "Europe/Berlin"


def test_what_a_page_tells_is_escaped(people: SimpleNamespace) -> None:
    project = Project.objects.create(name="<script>x</script>", business_unit=BusinessUnit.objects.get(name="Unit"))
    Membership.objects.create(user=people.dev, project=project, role="developer")
    shown = browser(people.manager).get(path(credit(people.dev, project), people.manager)).content.decode()
    assert ("<script>x" in shown, "&lt;script&gt;x" in shown) == (False, True)
