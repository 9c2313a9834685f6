"""While somebody is away: another decides in their place for days that are said, and either of the two ends it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.grants import Asking
from accounts.models import AuditEvent, Decision, Delegation
from accounts.requests import asking
from tests.gateway.portal.company import USD, Company, again, company, visitor

pytestmark = pytest.mark.django_db


@pytest.fixture
def here(db: None) -> Company:
    return company()


def days(first: int = 0, last: int = 7, **more: str) -> dict[str, str]:
    today = timezone.now().date()
    return {"from_day": f"{today + timedelta(days=first)}", "to_day": f"{today + timedelta(days=last)}", **more}


def test_another_decides_while_one_is_away_and_not_after(here: Company) -> None:
    deputy = visitor("deputy")
    row = asking.submit(Asking("credit", f"prj_{here.project.pk.hex}", here.dev.user, {}, 5 * USD), "load test")
    assert deputy.browser.get(f"/approvals/{row.shown_id}").status_code == 404
    assert "While you are away" in here.boss.page("/approvals")
    answer = here.boss.browser.post("/approvals/away", days(delegate="Deputy@example.com", reason="leave <b>"))
    assert (answer.status_code, answer.headers["Location"]) == (302, "/approvals/away")
    for who in (here.boss, deputy):
        page = who.page("/approvals/away")
        assert ("deputy@example.com for boss@example.com" in page, "leave &lt;b&gt;" in page) == (True, True)
    assert "deputy@example.com" in here.boss.browser.get("/approvals/away?format=csv").getvalue().decode()
    assert row.title in deputy.page("/approvals")
    assert deputy.browser.post(f"/requests/{row.shown_id}/approve", {"version": "1", "amount_usd": "5"}).status_code == 302
    decision = Decision.objects.get()
    assert (decision.approver, decision.seat, again(row).state) == (deputy.user, here.boss.user, "applied")
    assert "approved by deputy@example.com for boss@example.com" in here.dev.page(f"/requests/{row.shown_id}")
    made = Delegation.objects.get()
    assert deputy.browser.post(f"/approvals/away/{made.shown_id}/end").status_code == 302
    later = asking.submit(Asking("credit", f"prj_{here.project.pk.hex}", here.dev.user, {}, 5 * USD), "again")
    assert deputy.browser.get(f"/approvals/{later.shown_id}").status_code == 404
    events = AuditEvent.objects.filter(action__startswith="delegation.").order_by("seq").values_list("action", "face", "actor_id")
    assert list(events) == [
        ("delegation.create", "portal", f"usr_{here.boss.user.pk.hex}"),
        ("delegation.end", "portal", f"usr_{deputy.user.pk.hex}"),
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (days(delegate="nobody@example.com"), "Nobody who can sign in here has this address."),
        (days(delegate="boss@example.com"), "Name somebody else."),
        (days(-9, -1, delegate="owner@example.com"), "The end comes after the start."),
        (days(0, 800, delegate="owner@example.com"), "at most a year after the start"),
        (days(5, 1, delegate="owner@example.com"), "The end comes after the start."),
        (days(delegate="<b>"), "Enter a valid email address."),
        ({"delegate": "owner@example.com", "from_day": "x", "to_day": ""}, "Enter a valid date."),
    ],
)
def test_what_makes_no_sense_is_told_in_the_form(here: Company, given: dict[str, str], said: str) -> None:
    answer = here.boss.browser.post("/approvals/away", given)
    assert (answer.status_code, said in answer.content.decode(), Delegation.objects.count()) == (200, True, 0)


def test_two_at_once_are_refused_and_a_foreign_one_is_not_found(here: Company) -> None:
    here.boss.browser.post("/approvals/away", days(delegate="owner@example.com"))
    answer = here.boss.browser.post("/approvals/away", days(3, 9, delegate="developer@example.com"))
    assert ("You delegate to somebody already" in answer.content.decode(), Delegation.objects.count()) == (True, 1)
    made = Delegation.objects.get()
    eve = visitor("eve")
    assert (eve.browser.post(f"/approvals/away/{made.shown_id}/end").status_code, "Nobody decides in your place" in eve.page("/approvals/away")) == (404, True)
    auditor = visitor("aud", role="auditor")
    assert "owner@example.com for boss@example.com" in auditor.page("/approvals/away")
    auditor.browser.post(f"/approvals/away/{made.shown_id}/end")
    assert Delegation.objects.get().ended_at is None
