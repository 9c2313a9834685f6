"""A unit with a project, a developer and a manager who come to the portal."""

from typing import Any, NamedTuple

from django.test import Client

from accounts.models import ApprovalRule, BusinessUnit, GrantRequest, Membership, Project, User

USD = 10**9


class Visitor(NamedTuple):
    """A person and their browser."""

    user: User
    browser: Client

    def page(self, path: str) -> str:
        """Return a page that answers well."""
        answer = self.browser.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        return str(answer.content.decode())


def visitor(name: str, **place: Any) -> Visitor:
    """Make a person, in a place if one is given (`project` or `business_unit`, and `role`), or with a platform role alone."""
    platform = {"role": place.pop("role")} if set(place) == {"role"} else {}
    user, browser = User.objects.create_user(f"{name}@example.com", **platform), Client()
    if place:
        Membership.objects.create(user=user, **place)
    browser.force_login(user)
    return Visitor(user, browser)


class Company(NamedTuple):
    """Who and what there is."""

    project: Project
    dev: Visitor
    owner: Visitor
    boss: Visitor


def company() -> Company:
    """Build it, without any rule."""
    ApprovalRule.objects.all().delete()
    project = Project.objects.create(name="P", business_unit=BusinessUnit.objects.create(name="U"))
    dev, owner = (visitor(role, project=project, role=role) for role in ("developer", "owner"))
    return Company(project, dev, owner, visitor("boss", business_unit=project.business_unit, role="manager"))


def again(row: GrantRequest) -> GrantRequest:
    """Return a request as it is now."""
    return GrantRequest.objects.get(pk=row.pk)
