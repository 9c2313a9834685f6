"""A company that asks and decides: two levels of units, a project, and people in every seat."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from django.utils import timezone

from accounts.grants import Asking
from accounts.models import ApprovalRule, BusinessUnit, Delegation, GrantRequest, Membership, Project, RuleStep, User
from accounts.requests import asking

USD = 1_000_000_000


def user(name: str, role: str = "") -> User:
    return User.objects.create_user(f"{name}@example.com", "x" * 14, role=role)


def company() -> SimpleNamespace:
    """Make Top > Unit > Project with managers of both, an owner, a developer, and somebody of finance."""
    top = BusinessUnit.objects.create(name="Top")
    unit = BusinessUnit.objects.create(name="Unit", parent=top)
    project = Project.objects.create(name="P", business_unit=unit, environment="test")
    found = SimpleNamespace(top=top, unit=unit, project=project, finance=user("finance", "finance"), it=user("it", "it_admin"))
    for name, role, place in (
        ("boss", "manager", {"business_unit": top}),
        ("manager", "manager", {"business_unit": unit}),
        ("owner", "owner", {"project": project}),
        ("dev", "developer", {"project": project}),
    ):
        person = user(name)
        Membership.objects.create(user=person, role=role, **place)
        setattr(found, name, person)
    return found


def rule(*steps: dict[str, Any], **fields: Any) -> ApprovalRule:
    """Make a rule that comes before every other."""
    made = ApprovalRule.objects.create(**{"name": "r", "position": 1, "kinds": ["credit"], **fields})
    for number, step in enumerate(steps, 1):
        people = step.pop("people", [])
        RuleStep.objects.create(rule=made, position=number, **step).people.set(people)
    return made


def credit(who: Any, project: Project, usd: float = 20, **more: Any) -> GrantRequest:
    """Ask for credit."""
    return asking.submit(Asking("credit", f"prj_{project.pk.hex}", who, amount_nanousd=int(usd * USD), **more), "Load test")


def delegate(delegator: User, to: User, **more: Any) -> Delegation:
    """Have somebody decide in another's place for a week."""
    now = timezone.now()
    return Delegation.objects.create(**{"delegator": delegator, "delegate": to, "starts_at": now, "ends_at": now + timedelta(days=7), **more})
