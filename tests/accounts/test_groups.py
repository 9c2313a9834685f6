"""What groups give is given with the group and taken away with it; what was given by hand stays."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from accounts import actions, groups
from accounts.models import AuditEvent, BusinessUnit, DirectoryGroup, GroupMapping, Membership, OidcIdentity, Project, User
from accounts.oidc import people

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    user = actions.save_user(User(email="ada@example.com"))
    people.link(user, "https://id.example", "ada")
    return user


@pytest.fixture
def project() -> Project:
    unit = actions.save_business_unit(BusinessUnit(name="Research"))
    return actions.save_project(Project(name="Search", business_unit=unit))


def told(user: User, *names: str) -> None:
    """Have the provider name these groups at a sign-in."""
    OidcIdentity.objects.filter(user=user).update(groups=list(names))
    groups.apply_groups(user)


def gives(group: str, **what: Any) -> GroupMapping:
    return groups.save_mapping(GroupMapping(group=group, **what))


def standing(user: User) -> tuple[str, bool, set[str]]:
    user = User.objects.get(pk=user.pk)
    return user.role, user.is_staff, {membership.role for membership in Membership.objects.filter(user=user)}


def test_a_group_gives_a_role_and_takes_it_away(ada: User) -> None:
    gives("auditors", role="auditor")
    told(ada, "auditors", "others")
    assert standing(ada) == ("auditor", True, set())
    told(ada, "others")
    assert standing(ada) == ("", False, set())
    assert AuditEvent.objects.filter(action="user.update").count() == 0  # named after the act that changed them
    assert AuditEvent.objects.filter(action="groups.apply", object_kind="user").count() == 2


def test_of_several_roles_the_strongest_is_given(ada: User) -> None:
    for role in ("auditor", "it_admin", "finance"):
        gives(role, role=role)
    told(ada, "auditor", "it_admin", "finance")
    assert standing(ada)[0] == "it_admin"
    told(ada, "auditor", "finance")
    assert standing(ada)[0] == "finance"


def test_a_role_given_by_hand_stays(ada: User) -> None:
    gives("auditors", role="auditor")
    ada.role = "finance"
    actions.save_user(ada)
    told(ada, "auditors")
    assert standing(ada)[0] == "finance"
    told(ada)
    assert standing(ada)[0] == "finance"


def test_a_role_changed_by_hand_since_is_no_longer_the_groups(ada: User) -> None:
    gives("auditors", role="auditor")
    told(ada, "auditors")
    changed = User.objects.get(pk=ada.pk)
    changed.role = "finance"
    actions.save_user(changed)
    told(ada)
    assert standing(ada)[0] == "finance"


def test_a_group_gives_memberships_and_takes_them_away(ada: User, project: Project) -> None:
    gives("devs", project=project, place_role="developer")
    gives("leads", project=project, place_role="owner")
    gives("heads", business_unit=project.business_unit, place_role="manager")
    told(ada, "devs", "heads")
    assert standing(ada)[2] == {"developer", "manager"}
    told(ada, "devs", "leads")
    assert standing(ada)[2] == {"owner"}
    told(ada, "devs")
    assert standing(ada)[2] == {"developer"}
    told(ada)
    assert standing(ada)[2] == set()


def test_a_membership_given_or_changed_by_hand_stays(ada: User, project: Project) -> None:
    gives("devs", project=project, place_role="developer")
    gives("heads", business_unit=project.business_unit, place_role="manager")
    actions.save_membership(Membership(user=ada, project=project, role="viewer"))
    told(ada, "devs", "heads")
    changed = Membership.objects.get(user=ada, business_unit=project.business_unit)
    changed.role = "viewer"
    actions.save_membership(changed)
    told(ada)
    assert [(m.role, m.project_id is not None) for m in Membership.objects.filter(user=ada).order_by("created_at")] == [("viewer", True), ("viewer", False)]


def test_a_new_mapping_and_its_end_hold_at_once(ada: User, project: Project) -> None:
    group = DirectoryGroup.objects.create(name="Search people", external_id="g-1")
    group.members.add(ada)
    by_name, by_id = gives("Search people", project=project, place_role="viewer"), gives("g-1", role="finance")
    assert standing(ada) == ("finance", True, {"viewer"})
    groups.remove_mapping(by_name)
    groups.remove_mapping(by_id)
    assert standing(ada) == ("", False, set())


def test_a_mapping_moved_to_another_group_takes_from_the_first(ada: User) -> None:
    mapping = gives("auditors", role="auditor")
    told(ada, "auditors")
    mapping.group = "others"
    groups.save_mapping(mapping)
    assert standing(ada)[0] == ""


def test_who_is_deactivated_holds_nothing_by_groups(ada: User) -> None:
    gives("auditors", role="auditor")
    told(ada, "auditors")
    actions.set_users_active([ada], False)
    groups.apply_groups(ada)
    assert standing(ada)[0] == ""


def test_an_identity_unlinked_takes_its_groups_along(ada: User) -> None:
    gives("auditors", role="auditor")
    told(ada, "auditors")
    people.unlink(OidcIdentity.objects.get(user=ada))
    assert standing(ada)[0] == ""


@pytest.mark.parametrize(
    "what", [{}, {"role": "owner"}, {"role": "auditor", "place_role": "owner"}, {"place_role": "owner"}, {"role": "superuser"}]
)
def test_a_mapping_gives_exactly_one_thing(what: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        gives("g", **what)


def test_a_mapping_gives_a_place_only_a_role_of_that_place(project: Project) -> None:
    for what in ({"project": project, "place_role": "manager"}, {"business_unit": project.business_unit, "place_role": "owner"}, {"project": project}):
        with pytest.raises(ValidationError):
            gives("g", **what)
