"""The inbox: what stands out is told, and several requests are decided at once as each would be on its own page."""

from typing import Any

import pytest

from accounts.grants import Asking
from accounts.models import AuditEvent, BusinessUnit, Decision, GrantRequest, Membership, Project
from accounts.requests import asking
from billing.models import CreditGrant
from tests.gateway.portal.company import USD, Company, Visitor, again, company, visitor

pytestmark = pytest.mark.django_db


@pytest.fixture
def here(db: None) -> Company:
    return company()


def credit(who: Visitor, here: Company, usd: int) -> GrantRequest:
    return asking.submit(Asking("credit", f"prj_{here.project.pk.hex}", who.user, {}, usd * USD), f"reason {usd}")


def decide(who: Visitor, verdict: str, *rows: GrantRequest, **more: Any) -> Any:
    return who.browser.post("/approvals", {"verdict": verdict, "chosen": [f"{row.shown_id}:{row.version}" for row in rows], **more})


def test_several_are_approved_and_others_denied_each_on_the_record(here: Company) -> None:
    one, two, three, four = credit(here.dev, here, 1), credit(here.dev, here, 2), credit(here.owner, here, 3), credit(here.owner, here, 4)
    page = here.boss.page("/approvals")
    assert ("It has no end." in page, f"{one.shown_id}:1" in page, "1.00" in page) == (True, True, True)
    answer = decide(here.boss, "approve", one, three)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/approvals")
    assert "Approved. 1.00 USD credit for P, 3.00 USD credit for P" in here.boss.page("/approvals")
    assert decide(here.boss, "deny", two, comment="next month").status_code == 302
    assert [again(row).state for row in (one, two, three, four)] == ["applied", "denied", "applied", "submitted"]
    assert sorted(CreditGrant.objects.values_list("amount_nanousd", flat=True)) == [USD, 3 * USD]
    assert [decision.comment for decision in Decision.objects.filter(verdict="denied")] == ["next month"]
    events = AuditEvent.objects.filter(action__in=("request.approve", "request.deny"), object_kind="request").order_by("seq")
    assert sorted({(event.action, event.object_id, event.face) for event in events}) == sorted(
        {("request.approve", one.shown_id, "portal"), ("request.approve", three.shown_id, "portal"), ("request.deny", two.shown_id, "portal")}
    )


def test_a_denial_says_why_and_nothing_chosen_is_told(here: Company) -> None:
    row = credit(here.dev, here, 1)
    for answer, words in ((decide(here.boss, "deny", row), "Say why not"), (decide(here.boss, "approve"), "Choose some requests first.")):
        assert (answer.status_code, words in answer.content.decode()) == (400, True)
    assert decide(here.boss, "burn", row).status_code == 400
    assert again(row).state == "submitted"


def test_what_was_edited_or_is_not_ones_own_to_decide_is_not_decided(here: Company) -> None:
    read, own, foreign = credit(here.dev, here, 1), credit(here.boss, here, 2), credit(here.owner, elsewhere(here), 3)
    asking.edit(again(read), here.dev.user, amount_nanousd=900 * USD)
    for row in (read, own, foreign):
        answer = decide(here.boss, "approve", row)
        assert (answer.status_code, "was edited or decided meanwhile" in answer.content.decode()) == (400, True)
    assert decide(visitor("eve"), "approve", again(read)).status_code == 400
    assert (CreditGrant.objects.count(), [again(row).state for row in (read, own, foreign)]) == (0, ["submitted"] * 3)


def elsewhere(here: Company) -> Company:
    project = Project.objects.create(name="Q", business_unit=BusinessUnit.objects.create(name="V"))
    Membership.objects.create(user=here.owner.user, project=project, role="owner")
    return here._replace(project=project)


def test_one_that_needs_a_fresh_proof_holds_all_back(here: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.signin.stepup.is_fresh", lambda request: False)
    admin = visitor("it", role="it_admin")
    role = asking.submit(Asking("platform_role", "finance", here.dev.user), "work")
    other = asking.submit(Asking("platform_role", "auditor", here.owner.user), "work")
    answer = decide(admin, "approve", role, other)
    assert (answer.status_code, answer.headers["Location"].startswith("/login/confirm")) == (302, True)
    assert [again(row).state for row in (role, other)] == ["submitted"] * 2
