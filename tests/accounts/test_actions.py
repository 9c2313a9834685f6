"""Writes to people and projects, what they refuse, and what the database itself refuses."""

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import access, actions, keys
from accounts.models import BusinessUnit, Membership, Project, User, VirtualKey

pytestmark = pytest.mark.django_db


def unit(name: str, parent: BusinessUnit | None = None) -> BusinessUnit:
    return actions.save_business_unit(BusinessUnit(name=name, parent=parent))


def key_of(project: Project, name: str = "app") -> VirtualKey:
    return actions.make_key(project=project, name=name, models=["*"], expires_at=timezone.now() + timedelta(days=1), pepper=b"p", pepper_version=1)[0]


def test_a_ring_of_business_units_is_refused() -> None:
    top = unit("top")
    middle = unit("middle", top)
    top.parent = unit("low", middle)
    with pytest.raises(ValidationError) as refusal:
        actions.save_business_unit(top)
    assert refusal.value.message_dict == {"parent": ["A business unit cannot lie below itself. Choose a unit outside this one's own branch."]}


def test_a_role_opens_the_admin_and_never_makes_a_superuser() -> None:
    user = actions.save_user(User(email="Ada@Example.com", role="it_admin", is_superuser=True), "correct horse")
    assert (user.email, user.is_staff, user.is_superuser, user.check_password("correct horse")) == ("ada@example.com", True, False, True)


def test_a_key_is_stored_as_its_digest_only() -> None:
    project = actions.save_project(Project(name="p", business_unit=unit("u")))
    row, text = actions.make_key(project=project, name="app", models=["*"], expires_at=timezone.now() + timedelta(days=1), pepper=b"pepper", pepper_version=1)
    stored = VirtualKey.objects.get()
    assert (bytes(stored.digest), stored.public_id, stored.models) == (keys.digest(text.encode(), b"pepper"), row.public_id, ["*"])


def test_a_key_needs_an_expiry_in_the_future() -> None:
    project = actions.save_project(Project(name="p", business_unit=unit("u")))
    with pytest.raises(ValidationError, match="future"):
        actions.make_key(project=project, name="app", models=["*"], expires_at=timezone.now() - timedelta(seconds=1), pepper=b"p", pepper_version=1)


def test_a_revoked_key_stays_revoked() -> None:
    key = key_of(actions.save_project(Project(name="p", business_unit=unit("u"))))
    assert [actions.set_key_state(key, state) for state in ("suspended", "active", "active", "revoked")] == [True, True, False, True]
    with pytest.raises(ValidationError, match="stays so"):
        actions.set_key_state(key, "active")


def test_only_those_as_high_as_the_suspender_resume_a_project() -> None:
    project = actions.save_project(Project(name="p", business_unit=unit("u")))
    assert [actions.set_project_state(project, "suspended", level=level) for level in (2, 3, 2)] == [True, True, False]
    with pytest.raises(PermissionDenied, match=r"p was suspended by somebody above you\. Ask the it admin or the security officer to resume it"):
        actions.set_project_state(project, "active", level=2)
    stored = Project.objects.get()
    assert (stored.state, stored.suspended_level) == ("suspended", 3)
    assert actions.set_project_state(project, "active", level=3)
    stored = Project.objects.get()
    assert (stored.state, stored.suspended_level) == ("active", 0)


def test_saving_a_project_read_before_it_was_suspended_leaves_it_suspended() -> None:
    read = actions.save_project(Project(name="p", business_unit=unit("u")))
    actions.set_project_state(read, "suspended", level=3)
    read.name = "renamed"
    actions.save_project(read)
    assert Project.objects.values_list("name", "state", "suspended_level").get() == ("renamed", "suspended", 3)


def test_a_name_is_free_again_after_revocation() -> None:
    project = actions.save_project(Project(name="p", business_unit=unit("u")))
    first = key_of(project)
    with pytest.raises(ValidationError):
        key_of(project)
    actions.set_key_state(first, "revoked")
    assert key_of(project).pk != first.pk


def test_the_database_refuses_nonsense() -> None:
    top = unit("top")
    project = actions.save_project(Project(name="p", business_unit=top))
    user = actions.save_user(User(email="a@example.com"))
    nonsense = [
        lambda: User.objects.create(email="b@example.com", is_superuser=True),
        lambda: User.objects.create(email="A@example.com"),
        lambda: BusinessUnit.objects.create(name="TOP"),
        lambda: Project.objects.filter(pk=project.pk).update(suspended_level=3),
        lambda: BusinessUnit.objects.create(name=""),
        lambda: BusinessUnit.objects.filter(pk=top.pk).update(parent=top),
        lambda: Project.objects.create(name="P", business_unit=top),
        lambda: Project.objects.filter(pk=project.pk).update(state="odd"),
        lambda: Membership.objects.create(user=user, role="owner"),
        lambda: Membership.objects.create(user=user, role="manager", project=project),
        lambda: Membership.objects.create(user=user, role="viewer", project=project, business_unit=top),
    ]
    refused = 0
    for attempt in nonsense:
        try:
            with transaction.atomic():
                attempt()
        except IntegrityError:
            refused += 1
    assert refused == len(nonsense)


def test_people_see_what_is_theirs_and_below() -> None:
    top = unit("top")
    low = unit("low", top)
    _, other = (actions.save_project(Project(name=name, business_unit=place)) for name, place in (("mine", low), ("other", unit("elsewhere"))))
    manager, developer, admin, gone = (
        actions.save_user(User(email=f"{name}@example.com", role=role, is_active=active))
        for name, role, active in (("m", "", True), ("d", "", True), ("a", "it_admin", True), ("g", "it_admin", False))
    )
    actions.save_membership(Membership(user=manager, business_unit=top, role="manager"))
    actions.save_membership(Membership(user=developer, project=other, role="developer"))
    seen = {user.email: {p.name for p in access.visible_projects(user)} for user in (manager, developer, admin, gone)}
    assert seen == {"m@example.com": {"mine"}, "d@example.com": {"other"}, "a@example.com": {"mine", "other"}, "g@example.com": set()}
    assert {u.name for u in access.visible_business_units(manager)} == {"top", "low"}


def test_roles_decide_what_the_admin_allows() -> None:
    wanted = {
        "it_admin": (True, True, True),
        "auditor": (True, False, False),
        "finance": (True, False, True),
        "security_officer": (True, False, False),
        "": (False, False, False),
    }
    users = {role: actions.save_user(User(email=f"x{role}@example.com", role=role)) for role in wanted}
    assert {
        role: tuple(user.has_perm(name) for name in ("accounts.view_project", "accounts.change_project", "billing.change_budget"))
        for role, user in users.items()
    } == wanted
