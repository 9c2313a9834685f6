"""Grants for a while that overlap: nobody keeps what only ended grants gave, and nobody loses what another still gives."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.grants import Asking
from accounts.models import GrantRequest, Membership, User, VirtualKey
from accounts.requests import asking, deciding, schedule
from billing.budgets import save_limit
from billing.models import Limit
from gateway.actions import create_virtual_key, save_row
from gateway.models import Model
from tests.accounts.requests.people import company

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> SimpleNamespace:
    found = company()
    for name in ("small", "large"):
        save_row(Model(name=name))
    found.keys = [
        create_virtual_key(project=found.project, name=name, models=["small"], expires_at=timezone.now() + timedelta(days=30))[0] for name in ("a", "b")
    ]
    return found


def given(who: User, by: User, kind: str, target: str, days: float | None, parameters: dict[str, Any] | None = None) -> GrantRequest:
    """Ask for something for so many days from now and have it approved."""
    until = None if days is None else timezone.now() + timedelta(days=days)
    return deciding.approve(asking.submit(Asking(kind, target, who, parameters or {}, until=until), "work"), by)


def role(person: User) -> str:
    return User.objects.get(pk=person.pk).role


def place(people: SimpleNamespace, person: User) -> str | None:
    return Membership.objects.filter(user=person, project=people.project).values_list("role", flat=True).first()


def after(days: float, what: Any) -> Any:
    """Let that many days pass, with the worker running once; return what is then."""
    with time_machine.travel(timezone.now() + timedelta(days=days)):
        schedule.pass_time()
        return what()


def test_a_higher_role_on_top_of_one_that_ended_goes_back_to_none(people: SimpleNamespace) -> None:
    given(people.dev, people.it, "platform_role", "auditor", 1)
    given(people.dev, people.it, "platform_role", "finance", 3)
    assert [after(days, lambda: role(people.dev)) for days in (2, 4)] == ["finance", ""]


def test_a_role_under_one_that_ended_first_is_there_until_its_own_end(people: SimpleNamespace) -> None:
    given(people.dev, people.it, "platform_role", "auditor", 5)
    given(people.dev, people.it, "platform_role", "finance", 1)
    assert [after(days, lambda: role(people.dev)) for days in (2, 6)] == ["auditor", ""]


def test_three_on_top_of_each_other_end_in_any_order(people: SimpleNamespace) -> None:
    for name, days in (("auditor", 1), ("finance", 5), ("security_officer", 3)):
        given(people.dev, people.it, "platform_role", name, days)
    assert [after(days, lambda: role(people.dev)) for days in (2, 4, 6)] == ["security_officer", "finance", ""]


@pytest.mark.parametrize(("days", "later"), [(9, None), (None, "developer")])
def test_a_place_for_a_while_is_made_longer_by_asking_again(days: float | None, later: str | None, people: SimpleNamespace) -> None:
    person, target = User.objects.create_user("new@example.com"), f"prj_{people.project.pk.hex}"
    first = given(person, people.manager, "join_project", target, 2)
    given(person, people.manager, "join_project", target, days)
    assert [after(passed, lambda: place(people, person)) for passed in (3, 10)] == ["developer", later]
    assert GrantRequest.objects.get(pk=first.pk).state == "revoked"


def test_what_one_has_for_good_is_not_asked_for_again(people: SimpleNamespace) -> None:
    with pytest.raises(ValidationError, match="already"):
        given(people.dev, people.manager, "join_project", f"prj_{people.project.pk.hex}", 2)


def test_a_limit_raised_twice_goes_back_to_what_it_was(people: SimpleNamespace) -> None:
    limit = save_limit(Limit(kind="rpm", project=people.project, amount=10))
    given(people.dev, people.manager, "limit", f"lim_{limit.pk}", 1, {"to": 50})
    given(people.dev, people.manager, "limit", f"lim_{limit.pk}", 3, {"to": 90})
    given(people.dev, people.manager, "limit", f"lim_{limit.pk}", 5, {"to": 90})
    assert [after(days, lambda: Limit.objects.get().amount) for days in (2, 4, 6)] == [90, 90, 10]


def models() -> list[list[str]]:
    return list(VirtualKey.objects.order_by("name").values_list("models", flat=True))


def test_a_model_for_one_key_stays_while_its_whole_project_has_it(people: SimpleNamespace) -> None:
    key = {"key": f"key_{people.keys[0].public_id}"}
    given(people.dev, people.manager, "model", "large", 1, key)
    given(people.dev, people.manager, "model", "large", 3)
    both, none = [["small", "large"]] * 2, [["small"]] * 2
    assert [after(days, models) for days in (2, 4)] == [both, none]


def test_a_model_for_a_while_is_made_longer_by_asking_again(people: SimpleNamespace) -> None:
    key = {"key": f"key_{people.keys[0].public_id}"}
    given(people.dev, people.manager, "model", "large", 1, key)
    given(people.dev, people.manager, "model", "large", None, key)
    assert [after(days, models) for days in (2, 9)] == [[["small", "large"], ["small"]]] * 2
    with pytest.raises(ValidationError, match="already"):
        given(people.dev, people.manager, "model", "large", 5, key)


def test_a_key_stays_in_production_while_another_request_keeps_it_there(people: SimpleNamespace) -> None:
    target = f"key_{people.keys[0].public_id}"
    given(people.dev, people.manager, "production_key", target, 1)
    given(people.dev, people.manager, "production_key", target, 3)
    assert [after(days, lambda: VirtualKey.objects.get(name="a").environment) for days in (2, 4)] == ["prod", "dev"]


def test_everything_that_ended_while_no_worker_ran_is_taken_back_at_once(people: SimpleNamespace) -> None:
    limit = save_limit(Limit(kind="rpm", project=people.project, amount=10))
    given(people.dev, people.it, "platform_role", "auditor", 1)
    given(people.dev, people.it, "platform_role", "finance", 2)
    given(people.dev, people.manager, "limit", f"lim_{limit.pk}", 3, {"to": 50})
    given(people.dev, people.manager, "model", "large", 4)
    assert after(30, lambda: (role(people.dev), Limit.objects.get().amount, models())) == ("", 10, [["small"]] * 2)
    assert set(GrantRequest.objects.values_list("state", flat=True)) == {"revoked"}
