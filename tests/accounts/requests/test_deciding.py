"""Who may decide, what counts, and what a decision does."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import audit
from accounts.actions import save_user
from accounts.grants import Asking
from accounts.models import AuditEvent, Decision, GrantRequest, Membership, ServiceAccount, User
from accounts.requests import access, asking, deciding
from accounts.requests.approvers import deciders, open_step
from billing.models import CreditGrant
from tests.accounts.requests.people import USD, company, credit, delegate, rule, user

pytestmark = pytest.mark.django_db


def who_decides(request: GrantRequest) -> set[str]:
    step = open_step(request)
    assert step is not None
    return {User.objects.get(pk=pk).email.partition("@")[0] for pk in deciders(step)}


def program(**fields: Any) -> ServiceAccount:
    return ServiceAccount.objects.create(
        **{"public_id": "abcdefghij", "name": "bot", "digest": b"x", "scopes": [], "expires_at": timezone.now() + timedelta(days=1), **fields}
    )


def credited() -> list[int]:
    return list(CreditGrant.objects.values_list("amount_nanousd", flat=True))


def test_a_manager_approves_and_the_credit_is_there() -> None:
    people = company()
    request = credit(people.dev, people.project)
    assert (request.state, who_decides(request), credited()) == ("submitted", {"manager"}, [])
    done = deciding.approve(request, people.manager, comment="fine")
    assert (done.state, credited(), CreditGrant.objects.get().granted_by) == ("applied", [20 * USD], people.manager)
    assert [(note.what, note.author) for note in done.notes.all()] == [("submitted", people.dev), ("approved", people.manager), ("applied", None)]
    assert AuditEvent.objects.filter(action="request.approve", object_id=done.shown_id).exists()


def test_nobody_decides_about_their_own_request() -> None:
    people = company()
    request = credit(people.manager, people.project)
    assert who_decides(request) == {"boss"}
    with pytest.raises(PermissionDenied, match="what they asked for"):
        deciding.approve(request, people.manager)
    assert (GrantRequest.objects.get().state, credited()) == ("submitted", [])


@pytest.mark.parametrize("place", ["project", "business_unit"])
def test_a_program_counts_as_its_owners(place: str) -> None:
    people = company()
    rule({"approver": "people", "people": [people.owner, people.manager, people.it, people.boss]})
    bot = program(created_by=people.it, **{place: people.project if place == "project" else people.unit})
    request = credit(bot, people.project)
    assert who_decides(request) == ({"manager", "boss"} if place == "project" else {"owner", "boss"})
    with pytest.raises(PermissionDenied):
        deciding.approve(request, people.it)


def test_a_program_never_approves() -> None:
    people = company()
    with pytest.raises(PermissionDenied, match="never approve"):
        deciding.approve(credit(people.dev, people.project), program())


def test_those_who_see_a_request_may_not_decide_it_for_that() -> None:
    people = company()
    request = credit(people.dev, people.project)
    for person in (people.owner, people.boss, people.finance, people.it):
        with pytest.raises(PermissionDenied, match="not yours"):
            deciding.approve(request, person)


def test_where_nobody_may_decide_the_unit_above_does_then_finance_then_it() -> None:
    people = company()
    Membership.objects.filter(user=people.manager).delete()
    assert who_decides(credit(people.dev, people.project)) == {"boss"}
    User.objects.filter(pk=people.boss.pk).update(is_active=False)
    assert who_decides(credit(people.dev, people.project)) == {"finance"}
    User.objects.filter(pk=people.finance.pk).update(is_active=False)
    assert who_decides(credit(people.dev, people.project)) == {"it"}


def test_credit_of_a_unit_is_decided_above_it() -> None:
    people = company()
    found = [
        asking.submit(Asking("credit", f"bu_{unit.pk.hex}", asker, amount_nanousd=USD), "more")
        for unit, asker in ((people.unit, people.manager), (people.top, people.boss))
    ]
    assert [who_decides(request) for request in found] == [{"boss"}, {"finance"}]


def test_an_edit_voids_approvals_and_stale_ones_are_refused() -> None:
    people = company()
    second = user("second")
    Membership.objects.create(user=second, role="manager", business_unit=people.unit)
    rule({"approver": "manager", "quorum": 2})
    request = deciding.approve(credit(people.dev, people.project), people.manager, version=1)
    request = asking.edit(request, people.dev, amount_nanousd=900 * USD)
    assert (request.version, request.state, request.granted_nanousd) == (2, "submitted", 900 * USD)
    with pytest.raises(deciding.Stale, match="version 2 now, you read version 1"):
        deciding.approve(request, second, version=1)
    request = deciding.approve(request, second, version=2)
    assert (request.state, credited()) == ("submitted", [])
    assert (deciding.approve(request, people.manager, version=2).state, credited()) == ("applied", [900 * USD])


def test_only_the_asker_edits_and_withdraws() -> None:
    people = company()
    request = credit(people.dev, people.project)
    for act in (lambda: asking.edit(request, people.manager, amount_nanousd=1), lambda: asking.withdraw(request, people.owner)):
        with pytest.raises(PermissionDenied, match="Only whoever asked"):
            act()
    asking.withdraw(request, people.dev)
    with pytest.raises(asking.OutOfTurn, match="withdrawn"):
        deciding.approve(request, people.manager)


def test_one_person_counts_once_however_often_they_approve() -> None:
    people = company()
    rule({"approver": "people", "people": [people.manager, people.boss], "quorum": 2})
    request = deciding.approve(credit(people.dev, people.project), people.manager)
    with pytest.raises(asking.OutOfTurn, match="counts once"):
        deciding.approve(request, people.manager)
    step = open_step(request)
    for twice in ({"approver": people.manager, "seat": people.boss}, {"approver": people.boss, "seat": people.manager}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Decision.objects.create(step=step, verdict="approved", **twice)
    assert deciding.approve(request, people.boss).state == "applied"


def test_a_seat_counts_once_for_its_owner_and_a_delegate() -> None:
    people = company()
    rule({"approver": "people", "people": [people.manager, people.boss], "quorum": 2})
    deputy = user("deputy")
    delegate(people.manager, deputy)
    request = deciding.approve(credit(people.dev, people.project), deputy)
    assert Decision.objects.get().seat == people.manager
    with pytest.raises(asking.OutOfTurn, match="counts once"):
        deciding.approve(request, people.manager)


def test_delegation_gives_no_more_than_the_delegator_has() -> None:
    people = company()
    delegate(people.owner, people.dev)
    delegate(people.manager, people.dev)
    delegate(people.manager, people.boss, ends_at=timezone.now() + timedelta(hours=1), starts_at=timezone.now() - timedelta(days=9))
    # the asker gains nothing by being a delegate, nor through somebody who delegates to them in turn
    assert who_decides(credit(people.dev, people.project)) == {"manager", "boss"}
    assert who_decides(credit(people.owner, people.project)) == {"manager", "dev", "boss"}


def test_rings_and_chains_of_delegations_lead_nowhere() -> None:
    people = company()
    first, second = user("first"), user("second")
    delegate(people.manager, first)
    delegate(first, second)
    delegate(first, people.manager)
    delegate(second, people.manager)
    assert who_decides(credit(people.dev, people.project)) == {"manager", "first"}


def test_a_delegation_of_the_asker_is_worth_nothing() -> None:
    people = company()
    delegate(people.manager, people.owner)
    assert who_decides(credit(people.manager, people.project)) == {"boss"}


def test_steps_come_one_after_another() -> None:
    people = company()
    rule({"approver": "manager"}, {"approver": "role", "roles": ["finance"]})
    request = credit(people.dev, people.project)
    with pytest.raises(PermissionDenied):
        deciding.approve(request, people.finance)
    request = deciding.approve(request, people.manager)
    assert (request.state, who_decides(request), credited()) == ("submitted", {"finance"}, [])
    assert deciding.approve(request, people.finance).state == "applied"


def test_a_smaller_amount_can_be_approved_and_never_a_larger_one() -> None:
    people = company()
    request = credit(people.dev, people.project, 20)
    for wrong in (0, 21 * USD):
        with pytest.raises(ValidationError, match="less than was asked"):
            deciding.approve(request, people.manager, amount_nanousd=wrong)
    done = deciding.approve(request, people.manager, amount_nanousd=5 * USD)
    assert (done.amount_nanousd, done.granted_nanousd, credited()) == (20 * USD, 5 * USD, [5 * USD])


def test_a_denial_changes_nothing_and_ends_the_request() -> None:
    people = company()
    rule({"approver": "people", "people": [people.manager, people.boss], "quorum": 2})
    request = deciding.approve(credit(people.dev, people.project), people.manager)
    with pytest.raises(ValidationError, match="why not"):
        deciding.deny(request, people.boss, " ")
    request = deciding.deny(request, people.boss, "not this month")
    assert (request.state, credited(), open_step(request)) == ("denied", [], None)
    with pytest.raises(asking.OutOfTurn):
        deciding.approve(request, people.boss)


def test_a_question_goes_back_and_an_answer_puts_it_in_line_again() -> None:
    people = company()
    request = deciding.ask(credit(people.dev, people.project), people.manager, "What for?")
    with pytest.raises(asking.OutOfTurn, match="needs information"):
        deciding.approve(request, people.manager)
    assert asking.comment(request, people.owner, "me too").state == "needs_info"
    request = asking.comment(request, people.dev, "A load test")
    assert (request.state, deciding.approve(request, people.manager).state) == ("submitted", "applied")


def test_a_grant_that_cannot_be_made_leaves_everything_as_it_was() -> None:
    people = company()
    stranger = user("stranger")
    request = asking.submit(Asking("create_project", f"bu_{people.unit.pk.hex}", stranger, {"name": "New"}), "mine")
    people.project.name = "new"
    people.project.save()
    with pytest.raises(ValidationError, match="Choose another name"):
        deciding.approve(request, people.manager)
    assert (GrantRequest.objects.get().state, Decision.objects.count(), Membership.objects.filter(user=stranger).count()) == ("submitted", 0, 0)


def test_the_inbox_shows_what_waits_for_one_and_others_see_what_concerns_them() -> None:
    people = company()
    request = credit(people.dev, people.project)
    stranger = user("stranger")
    names = ("manager", "boss", "owner", "dev", "finance")
    assert [access.inbox(getattr(people, name)).count() for name in names] == [1, 0, 0, 0, 0]
    assert [access.visible_requests(getattr(people, name)).count() for name in names] == [1, 1, 1, 1, 1]
    assert access.visible_requests(stranger).count() == 0
    deciding.deny(request, people.manager, "no")
    assert access.inbox(people.manager).count() == 0


def test_what_cannot_be_ones_own_to_decide_is_not_asked_about_one_by_one() -> None:
    people = company()
    asked = []
    for count in (1, 5):
        for _ in range(count):
            credit(people.dev, people.project)
        with CaptureQueriesContext(connection) as queries:
            assert access.inbox(people.owner).count() == 0
        asked.append(len(queries))
    assert asked[0] == asked[1]


@pytest.mark.parametrize(
    ("step", "whose"),
    [
        ({"approver": "manager"}, {"manager"}),
        ({"approver": "owner"}, {"owner"}),
        ({"approver": "role", "roles": ["finance"]}, {"finance"}),
        ({"approver": "people", "people": ["boss", "deputy"]}, {"boss", "deputy"}),
    ],
)
def test_the_inbox_is_that_of_all_who_may_decide(step: dict[str, Any], whose: set[str]) -> None:
    people = company()
    people.deputy, people.stand_in = user("deputy"), user("stand_in")
    for who in sorted(whose):
        delegate(getattr(people, who), people.stand_in)
    rule({**step, **({"people": [getattr(people, name) for name in step["people"]]} if "people" in step else {})})
    request = credit(people.dev, people.project)
    everybody = ("boss", "manager", "owner", "dev", "finance", "it", "deputy", "stand_in")
    assert {name for name in everybody if access.may_decide(getattr(people, name), request)} == whose | {"stand_in"} == who_decides(request)


def test_where_fewer_may_decide_than_must_the_unit_above_is_asked_as_well() -> None:
    people = company()
    rule({"approver": "manager", "quorum": 2})
    request = credit(people.dev, people.project)
    assert who_decides(request) == {"manager", "boss"}
    assert deciding.approve(deciding.approve(request, people.manager), people.boss).state == "applied"
    rule({"approver": "people", "people": [people.manager, people.boss], "quorum": 2}, name="named", position=0)
    User.objects.filter(pk=people.boss.pk).update(is_active=False)
    assert who_decides(credit(people.dev, people.project)) == {"manager", "finance"}


def test_a_delegate_decides_nothing_their_own_right_would_never_let_them() -> None:
    people = company()
    deputy, officer = user("deputy"), user("officer", "security_officer")
    delegate(people.it, deputy)
    delegate(people.it, people.manager, ends_at=timezone.now() + timedelta(days=1))
    request = asking.submit(Asking("platform_role", "auditor", people.dev), "year's end")
    assert who_decides(request) == {"it", "officer"}
    for person in (deputy, people.manager):
        with pytest.raises(PermissionDenied, match="not yours"):
            deciding.approve(request, person)
    assert deciding.approve(request, officer).state == "applied"


def test_what_an_act_filed_cannot_be_edited_into_another() -> None:
    people = company()
    user("officer", "security_officer")
    with audit.from_here("admin", actor=people.it):
        people.dev.role = "it_admin"
        save_user(people.dev)
    request = GrantRequest.objects.get()
    for change in ({"reason": "other"}, {"parameters": {"user": people.it.pk.hex, "role": "it_admin"}}, {"target": "x"}):
        with pytest.raises(asking.OutOfTurn, match="Withdraw it"):
            asking.edit(request, people.it, **change)
    assert (GrantRequest.objects.get().version, GrantRequest.objects.get().parameters) == (1, request.parameters)
