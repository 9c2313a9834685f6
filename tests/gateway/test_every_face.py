"""What nobody gets, tried through every face: one's own approval, a decision about what was not read, two for one, more than was asked, a role."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connections
from django.urls import reverse

from accounts.models import ApprovalRule, AuditEvent, BusinessUnit, Decision, GrantRequest, GroupMapping, Membership, User
from accounts.requests import asking
from billing.models import CreditGrant
from tests.accounts.requests.people import USD, company, credit, rule, user
from tests.gateway.api.callers import Caller

LIST = reverse("admin:accounts_grantrequest_changelist")
# What a face might be talked into storing beside the decision.
SMUGGLED = {"state": "applied", "granted_nanousd": "9000000000000", "is_automatic": "true", "requester": "", "kind": "model", "target": "x"}


def by_admin_page(who: Caller, row: GrantRequest, version: int, **more: str) -> int:
    form = {"version": str(version), "comment": "", **({"amount_usd": more.pop("amount")} if "amount" in more else {}), **more}
    return int(who.client.post(reverse("admin:accounts_grantrequest_act", args=[row.pk, "approve"]), form).status_code)


def by_bulk_action(who: Caller, row: GrantRequest, version: int, **more: str) -> int:
    chosen = {"action": "approve_as_asked_chosen", "_selected_action": str(row.pk), "confirmed": "yes", f"version:{row.pk}": str(version), "comment": ""}
    return int(who.client.post(LIST, {**more, **chosen}).status_code)


def by_api(who: Caller, row: GrantRequest, version: int, **more: str) -> int:
    return int(who.post(f"credit-requests/{row.shown_id}/approve", {"version": version, **more}).status_code)


def by_inbox_of_the_api(who: Caller, row: GrantRequest, version: int, **more: str) -> int:
    return int(who.post(f"approvals/{row.shown_id}/approve", {"version": version, **more}).status_code)


def by_portal(who: Caller, row: GrantRequest, version: int, **more: str) -> int:
    form = {"version": str(version), "comment": "", **({"amount_usd": more.pop("amount")} if "amount" in more else {}), **more}
    return int(who.client.post(f"/requests/{row.shown_id}/approve", form).status_code)


Face = Callable[..., int]
FACES: dict[str, Face] = {face.__name__: face for face in (by_admin_page, by_bulk_action, by_api, by_inbox_of_the_api, by_portal)}


@pytest.fixture
def people(request: Any) -> SimpleNamespace:
    """A company in which finance decides credit."""
    marker = request.node.get_closest_marker("django_db")
    request.getfixturevalue("transactional_db" if marker and marker.kwargs.get("transaction") else "db")
    ApprovalRule.objects.all().delete()
    found = company()
    found.second = user("second", "finance")
    rule({"approver": "role", "roles": ["finance"]}, kinds=["credit"])
    return found


def again(row: GrantRequest) -> tuple[str, int | None, int, int]:
    """Return how a request stands, what it grants, its version, and how much credit was given."""
    now = GrantRequest.objects.get(pk=row.pk)
    return now.state, now.granted_nanousd, now.version, CreditGrant.objects.count()


def refusals(person: User) -> int:
    return AuditEvent.objects.filter(action="access.refuse", outcome="refused", actor_id=f"usr_{person.pk.hex}").count()


@pytest.mark.django_db
@pytest.mark.parametrize("face", FACES)
def test_nobody_approves_their_own_request(face: str, people: SimpleNamespace) -> None:
    row = credit(people.finance, people.project)
    status = FACES[face](Caller(user=people.finance), row, 1)
    assert (status in (302, 400, 403), again(row), refusals(people.finance)) == (True, ("submitted", 20 * USD, 1, 0), 1)


@pytest.mark.django_db
@pytest.mark.parametrize("face", FACES)
def test_nobody_approves_by_being_who_they_are(face: str, people: SimpleNamespace) -> None:
    row = credit(people.dev, people.project)
    assert FACES[face](Caller(user=people.it), row, 1) in (302, 400, 403)
    assert (again(row), refusals(people.it)) == (("submitted", 20 * USD, 1, 0), 1)


@pytest.mark.django_db
@pytest.mark.parametrize("face", FACES)
def test_what_was_edited_after_it_was_read_is_not_approved(face: str, people: SimpleNamespace) -> None:
    row = credit(people.dev, people.project)
    asking.edit(row, people.dev, amount_nanousd=9_000 * USD)
    assert FACES[face](Caller(user=people.finance), row, 1) in (200, 302, 400, 412)
    assert (again(row), Decision.objects.count()) == (("submitted", 9_000 * USD, 2, 0), 0)


@pytest.mark.django_db
@pytest.mark.parametrize("face", FACES)
def test_a_decision_writes_nothing_but_the_decision(face: str, people: SimpleNamespace) -> None:
    row = credit(people.dev, people.project)
    status = FACES[face](Caller(user=people.finance), row, 1, **SMUGGLED)
    # the API names what it does not take; forms do not see it
    assert (status, again(row)) == ((400, ("submitted", 20 * USD, 1, 0)) if "api" in face else (302, ("applied", 20 * USD, 1, 1)))
    assert (GrantRequest.objects.get().requester, GrantRequest.objects.get().kind) == (people.dev, "credit")


@pytest.mark.django_db
@pytest.mark.parametrize("face", [face for face in FACES if face != "by_bulk_action"])
@pytest.mark.parametrize("amount", ["20.01", "0"])
def test_nobody_approves_more_than_was_asked_or_nothing(face: str, amount: str, people: SimpleNamespace) -> None:
    row = credit(people.dev, people.project)
    assert FACES[face](Caller(user=people.finance), row, 1, amount=amount) in (200, 400)
    assert again(row) == ("submitted", 20 * USD, 1, 0)


# ---- at the same moment -------------------------------------------------------------------------------------------------


def at_once(acts: list[Callable[[], int]]) -> list[int]:
    """Run everything at the same moment, each with a connection of its own."""
    gate, found = threading.Barrier(len(acts)), []

    def run(act: Callable[[], int]) -> None:
        gate.wait()
        try:
            found.append(act())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def through_every_face(person: User, row: GrantRequest) -> list[Callable[[], int]]:
    callers = [Caller(user=person) for _ in FACES]
    return [lambda face=face, who=who: face(who, row, 1) for face, who in zip(FACES.values(), callers, strict=True)]


@pytest.mark.django_db(transaction=True)
def test_approved_through_every_face_at_once_it_is_carried_out_once(people: SimpleNamespace) -> None:
    row = credit(people.dev, people.project)
    statuses = at_once([*through_every_face(people.finance, row), *through_every_face(people.second, row)])
    assert (again(row), Decision.objects.count(), max(statuses) < 500, len(statuses)) == (("applied", 20 * USD, 1, 1), 1, True, 10)


@pytest.mark.django_db(transaction=True)
def test_one_person_at_every_face_at_once_is_one_of_two(people: SimpleNamespace) -> None:
    ApprovalRule.objects.all().delete()
    rule({"approver": "role", "roles": ["finance"], "quorum": 2}, kinds=["credit"])
    row = credit(people.dev, people.project)
    statuses = at_once(through_every_face(people.finance, row))
    assert (again(row), Decision.objects.count(), max(statuses) < 500) == (("submitted", 20 * USD, 1, 0), 1, True)


# ---- a role -------------------------------------------------------------------------------------------------------------


def person_of(user_row: User) -> tuple[Any, ...]:
    now = User.objects.get(pk=user_row.pk)
    return now.role, now.is_superuser, now.is_staff, now.is_active, now.break_glass_until, now.password


def user_form(person: User, **more: str) -> dict[str, str]:
    return {"email": person.email, "full_name": "X", "role": person.role, "is_active": "on", "new_password": "", **more}


GREEDY = {"is_superuser": "on", "is_staff": "on", "break_glass_until": "2099-01-01", "groups": "1", "user_permissions": "1", "password": "x" * 20}


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["security_officer", "finance", "auditor", ""])
def test_nobody_gives_themselves_a_role_in_the_admin(role: str, people: SimpleNamespace) -> None:
    climber = user("climber", role)
    who, before = Caller(user=climber), person_of(climber)
    page = reverse("admin:accounts_user_change", args=[climber.pk])
    assert who.client.post(page, user_form(climber, role="it_admin", **GREEDY)).status_code == 403
    assert who.client.post(reverse("admin:accounts_user_add"), user_form(climber, email="other@example.com", role="it_admin")).status_code == 403
    who.client.post(reverse("admin:accounts_user_changelist"), {"action": "open", "_selected_action": str(climber.pk), "role": "it_admin"})
    assert (person_of(climber), User.objects.filter(email="other@example.com").exists(), refusals(climber) >= 2) == (before, False, True)


@pytest.mark.django_db
def test_an_administrator_writes_the_listed_fields_and_a_privileged_role_only_by_two(people: SimpleNamespace) -> None:
    who, before = Caller(user=people.it), person_of(people.dev)
    who.client.post(reverse("admin:accounts_user_change", args=[people.dev.pk]), user_form(people.dev, role="security_officer", **GREEDY))
    waiting = GrantRequest.objects.get(kind="act.role")
    assert (person_of(people.dev), User.objects.get(pk=people.dev.pk).full_name, waiting.state) == (before, "X", "submitted")
    for face in (by_admin_page, by_bulk_action, by_inbox_of_the_api, by_portal):
        face(who, waiting, 1)
    assert (person_of(people.dev), refusals(people.it)) == (before, 4)


@pytest.mark.django_db
def test_members_raise_nobody_over_the_api(people: SimpleNamespace) -> None:
    project, unit = f"prj_{people.project.pk.hex}", f"bu_{people.unit.pk.hex}"
    before = list(Membership.objects.order_by("pk").values_list("user", "role", "project", "business_unit"))
    for person, place, role in (
        (people.dev, {"project": project}, "owner"),
        (people.dev, {"business_unit": unit}, "manager"),
        (people.owner, {"business_unit": unit}, "manager"),
        (people.manager, {"business_unit": f"bu_{people.top.pk.hex}"}, "manager"),
    ):
        who = Caller(user=person)
        assert who.post("memberships", {"user": "second@example.com", "role": role, **place}).status_code in (400, 403)
        mine = Membership.objects.get(user=person)
        wanted = {"role": "owner" if mine.project_id else "manager", "user": people.it.email}
        assert who.patch(f"memberships/mbr_{mine.pk.hex}", wanted).status_code in (400, 403)
    assert list(Membership.objects.order_by("pk").values_list("user", "role", "project", "business_unit")) == before


DOCUMENT = "version: 1\n{0}\n"
GREEDY_DOCUMENTS = (
    "users:\n- {email: dev@example.com, role: it_admin}",
    "memberships:\n- {person: dev@example.com, role: it_admin, business_unit: [Top]}",
    "memberships:\n- {person: dev@example.com, role: manager, business_unit: [Top], is_superuser: true}",
    "approval_rules:\n- {name: mine, kinds: [act.role], is_automatic: true, up_to: '0'}",
    "requests:\n- {id: crq_1, state: applied}",
    "group_mappings:\n- {group: everybody, role: it_admin}",
)


def governed() -> tuple[Any, ...]:
    return (
        list(Membership.objects.order_by("pk").values_list("user", "role")), list(User.objects.order_by("pk").values_list("role")),
        list(ApprovalRule.objects.values_list("name")), GroupMapping.objects.count(), BusinessUnit.objects.count(),
    )  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("text", GREEDY_DOCUMENTS)
def test_no_document_gives_a_role_or_a_decision(text: str, people: SimpleNamespace) -> None:
    before = governed()
    answer = Caller(user=people.it).post("config/apply", {"document": DOCUMENT.format(text), "reason": "please"})
    assert (answer.status_code, governed()) == (400, before), answer.content


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["dev", "owner", "manager", "finance"])
def test_nobody_but_it_applies_a_document(name: str, people: SimpleNamespace) -> None:
    before, person = governed(), getattr(people, name)
    answer = Caller(user=person).post("config/apply", {"document": DOCUMENT.format("business_units:\n- path: [Mine]"), "reason": "please"})
    assert (answer.status_code, governed(), refusals(person)) == (403, before, 1)


@pytest.mark.django_db
def test_nobody_lends_anothers_seat_through_any_face(people: SimpleNamespace) -> None:
    row = credit(people.finance, people.project)
    days = {"starts_at_0": "2020-01-01", "starts_at_1": "00:00:00", "ends_at_0": "2030-01-01", "ends_at_1": "00:00:00"}
    lent = {"delegate": str(people.dev.pk), "delegator": str(people.second.pk), "person": people.second.email}
    it = Caller(user=people.it)
    it.client.post(reverse("admin:accounts_delegation_add"), {**lent, **days})
    it.client.post("/approvals/away", {**lent, "to": people.dev.email, "from_day": "2026-01-01", "to_day": "2030-01-01"})
    assert people.second.delegations.count() == 0
    for face in FACES.values():
        face(it, row, 1)
    assert again(row) == ("submitted", 20 * USD, 1, 0)
