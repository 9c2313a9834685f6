"""Nobody lets those below spend more than the unit above may itself, save those who answer for all money."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.access import Actor
from accounts.models import BusinessUnit, Membership, Project, ServiceAccount, User, VirtualKey
from billing import ceilings
from billing.credits import account_of, grant
from billing.models import Budget, Limit

pytestmark = pytest.mark.django_db
USD = 10**9


@pytest.fixture
def places() -> dict[str, Any]:
    """An organisation, a unit in it, a project with a key, and another organisation."""
    top = BusinessUnit.objects.create(name="Top")
    unit = BusinessUnit.objects.create(name="Unit", parent=top)
    project = Project.objects.create(name="P", business_unit=unit)
    key = VirtualKey.objects.create(public_id="abcdefghij", name="k", project=project, digest=b"d" * 32, expires_at=timezone.now() + timedelta(days=1))
    return {"top": top, "unit": unit, "project": project, "key": key, "other": BusinessUnit.objects.create(name="Other")}


def manager(unit: BusinessUnit, role: str = "") -> User:
    user = User.objects.create_user(f"{role or 'manager'}@example.com", "x" * 14, role=role)
    Membership.objects.create(user=user, business_unit=unit, role=Membership.Role.MANAGER)
    return user


def refused(check: Any, *given: Any) -> bool:
    try:
        check(*given)
    except ValidationError:
        return True
    return False


@pytest.mark.parametrize("scope", ["key", "project"])
@pytest.mark.parametrize("bound", ["unit", "top"])
def test_a_budget_is_never_above_that_of_a_unit_above(places: dict[str, Any], scope: str, bound: str) -> None:
    who = manager(places["top"])
    Budget.objects.create(name="b", business_unit=places[bound], amount=100, period="monthly")
    Budget.objects.create(name="theirs", business_unit=places["other"], amount=1)
    asked = ((100, "monthly"), (101, "monthly"), (101, "daily"))
    made = [Budget(name="new", amount=amount, period=period, **{scope: places[scope]}) for amount, period in asked]
    assert [refused(ceilings.check_budget, who, one) for one in made] == [False, True, True]


def test_only_what_binds_in_the_same_unit_and_as_long_a_window_is_a_ceiling(places: dict[str, Any]) -> None:
    who, unit = manager(places["top"]), places["unit"]
    for fields in ({"mode": "soft"}, {"unit": "tokens"}, {"per": "end_user"}, {"is_archived": True}, {"period": "daily"}):
        Budget.objects.create(**{"name": "b", "business_unit": unit, "amount": 1, **fields})
    assert not refused(ceilings.check_budget, who, Budget(name="new", amount=100, project=places["project"]))
    assert not refused(ceilings.check_budget, who, Budget(name="new", amount=100, business_unit=unit))
    assert refused(ceilings.check_budget, who, Budget(name="new", amount=100, unit="tokens", project=places["project"]))


def test_a_limit_is_never_above_one_of_its_kind_of_a_unit_above(places: dict[str, Any]) -> None:
    who = manager(places["top"])
    Limit.objects.create(kind="rpm", amount=60, business_unit=places["top"])
    made = [Limit(kind=kind, amount=amount, project=places["project"]) for kind, amount in (("rpm", 60), ("rpm", 61), ("tpm", 61))]
    assert [refused(ceilings.check_limit, who, one) for one in made] == [False, True, False]


def test_credit_needs_a_hard_budget_above_and_stays_within_it_in_all(places: dict[str, Any]) -> None:
    who, project = manager(places["top"]), places["project"]
    assert refused(ceilings.check_credit, who, project, 1)
    Budget.objects.create(name="b", business_unit=places["unit"], amount=10 * USD)
    grant(account_of(project), 6 * USD, None, None, "launch")
    assert [refused(ceilings.check_credit, who, project, amount) for amount in (4 * USD, 4 * USD + 1)] == [False, True]


@pytest.mark.parametrize("role", ["finance", "it_admin"])
def test_who_answers_for_all_money_is_not_bound(places: dict[str, Any], role: str) -> None:
    who = manager(places["top"], role)
    Budget.objects.create(name="b", business_unit=places["unit"], amount=1)
    assert not refused(ceilings.check_budget, who, Budget(name="new", amount=100, project=places["project"]))
    assert not refused(ceilings.check_credit, who, places["project"], 100)


def test_a_program_of_a_unit_is_bound_and_one_of_the_platform_is_not(places: dict[str, Any]) -> None:
    Budget.objects.create(name="b", business_unit=places["top"], amount=1)
    programs: list[Actor] = [ServiceAccount(name="s", business_unit=places["top"]), ServiceAccount(name="s")]
    made = Budget(name="new", amount=100, business_unit=places["unit"])
    assert [refused(ceilings.check_budget, one, made) for one in programs] == [True, False]
