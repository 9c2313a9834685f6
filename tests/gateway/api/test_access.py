"""What programs may do in their own place and below it."""

from typing import Any

import pytest

from accounts.models import BusinessUnit, Project
from billing.budgets import save_budget, save_limit
from billing.credits import open_account
from billing.models import Budget, Limit
from tests.gateway.api.callers import company, person, program

pytestmark = pytest.mark.django_db


def test_a_program_of_a_unit_makes_things_only_below_it() -> None:
    _, unit, mine, foreign = company()
    caller = program(business_unit=unit)
    bu, theirs = f"bu_{unit.id.hex}", f"bu_{foreign.business_unit_id.hex}"
    statuses = [
        caller.post("business-units", body).status_code
        for body in ({"name": "New"}, {"name": "New", "parent": None}, {"name": "New", "parent": theirs}, {"name": "New", "parent": bu})
    ]
    assert statuses == [400, 400, 400, 201]
    assert caller.patch(f"projects/prj_{mine.id.hex}", {"business_unit": theirs}).status_code == 400
    assert caller.post("keys", {"project": f"prj_{foreign.id.hex}", "name": "k", "models": ["*"]}).status_code == 400
    assert (Project.objects.get(pk=mine.pk).business_unit_id, BusinessUnit.objects.filter(name="New").count()) == (unit.id, 1)


@pytest.mark.parametrize("place", ["project", "business_unit"])
def test_a_program_cannot_change_what_binds_itself(place: str) -> None:
    _, unit, mine, _ = company()
    scope: Any = {"project": mine, "business_unit": unit}[place]
    caller = program(**{place: scope})
    ids = {
        "budgets": f"bud_{save_budget(Budget(name='b', amount=10, **{place: scope})).id}",
        "limits": f"lim_{save_limit(Limit(kind='rpm', amount=10, **{place: scope})).id}",
        "credit-accounts": f"crd_{open_account(scope, 'c').id}",
    }
    own = {place: f"prj_{mine.id.hex}" if place == "project" else f"bu_{unit.id.hex}"}
    reason = {"reason": "more"}
    answers = [
        caller.patch(f"budgets/{ids['budgets']}", {"amount": "1000", **reason}),
        caller.post(f"budgets/{ids['budgets']}/archive", reason),
        caller.post(f"budgets/{ids['budgets']}/raise", {"amount": "5", "until": "2030-01-01T00:00:00Z", **reason}),
        caller.post("budgets", {"scope": own, "amount": "1000"}),
        caller.patch(f"limits/{ids['limits']}", {"amount": 1000}),
        caller.ask("DELETE", f"limits/{ids['limits']}", None),
        caller.post(f"credit-accounts/{ids['credit-accounts']}/grant", {"amount": "5", **reason}),
    ]
    assert [answer.status_code for answer in answers] == [403] * 7
    assert (Budget.objects.get().amount, Budget.objects.get().is_archived, Limit.objects.get().amount) == (10, False, 10)


def test_a_program_changes_what_binds_those_below_it() -> None:
    _, unit, mine, _ = company()
    budget = save_budget(Budget(name="b", amount=10, project=mine))
    assert program(business_unit=unit).patch(f"budgets/bud_{budget.id}", {"amount": "1000", "reason": "more"}).status_code == 200


def test_what_the_platform_suspended_no_manager_or_program_of_the_unit_resumes() -> None:
    _, unit, mine, _ = company()
    path = f"projects/prj_{mine.id.hex}"
    manager, security = person("", "manager", business_unit=unit, role="manager"), person("security_officer", "security")
    assert [caller.post(f"{path}/suspend").status_code for caller in (manager, security)] == [200, 200]
    assert [caller.post(f"{path}/resume").status_code for caller in (manager, program(business_unit=unit))] == [403, 403]
    assert (Project.objects.get(pk=mine.pk).state, security.post(f"{path}/resume").status_code) == ("suspended", 200)
    assert [caller.post(f"{path}/{verb}").status_code for caller, verb in ((manager, "suspend"), (manager, "resume"))] == [200, 200]
