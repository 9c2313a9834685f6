"""Whoever closes an account closes it whole: sessions and what was the person's alone end, what they made for others passes to those who stay."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings as given
from django.test import Client
from django.utils import timezone

from accounts import actions, credentials, groups, upkeep
from accounts.models import (
    AuditEvent,
    BusinessUnit,
    GrantRequest,
    GroupMapping,
    Membership,
    NotificationChannel,
    OidcIdentity,
    OutboxMessage,
    PersonalToken,
    Project,
    ScimToken,
    ServiceAccount,
    Session,
    User,
    VirtualKey,
)
from accounts.oidc.configuration import Configuration
from accounts.oidc.people import SignInRefused, sign_in_by
from accounts.personal_tokens import find_person, make_personal_token
from accounts.scim.handing_over import hand_over
from accounts.scim.tokens import make_token
from accounts.service_accounts import make_service_account
from tests.accounts.scim.conftest import Directory

pytestmark = pytest.mark.django_db
START = datetime(2026, 5, 1, 12, tzinfo=UTC)
PEPPER = {"pepper": given.KEY_PEPPERS[1], "pepper_version": 1}
TOLD = Configuration(issuer="https://idp.example", client_id="gateway", active_claim="active")


class Company:
    """A project with an owner, a unit with a manager, and somebody about to leave with one of everything."""

    def __init__(self) -> None:
        expires_at = timezone.now() + timedelta(days=60)
        self.leaver, self.owner, self.manager = (User.objects.create_user(f"{name}@example.com", "x" * 14) for name in ("leaver", "owner", "manager"))
        self.unit = BusinessUnit.objects.create(name="Unit")
        self.project = Project.objects.create(name="Project", business_unit=self.unit)
        for user, place, role in ((self.owner, {"project": self.project}, "owner"), (self.manager, {"business_unit": self.unit}, "manager")):
            Membership.objects.create(user=user, role=role, **place)
        Membership.objects.create(user=self.leaver, role="owner", project=self.project)
        made: dict[str, Any] = {"project": self.project, "models": ["*"], "expires_at": expires_at, "created_by": self.leaver, **PEPPER}
        self.own, _ = actions.make_key(name="own", owner=self.leaver, **made)
        self.shared, _ = actions.make_key(name="shared", **made)
        self.token, self.token_text = make_personal_token(user=self.leaver, name="t", scopes=["keys:read"], expires_at=expires_at, **PEPPER)
        self.account, _ = make_service_account(
            name="robot", scopes=["keys:read"], business_unit=self.unit, owner=self.leaver, expires_at=expires_at, created_by=self.leaver, **PEPPER
        )
        self.scim, _ = make_token(name="scim", expires_at=expires_at, created_by=self.leaver, **PEPPER)
        self.request = GrantRequest.objects.create(kind="act.role", target="x", title="x", reason="x", requester=self.leaver, expires_at=expires_at)
        OidcIdentity.objects.create(user=self.leaver, issuer=TOLD.issuer, subject="42", groups=["Auditors"])
        groups.save_mapping(GroupMapping(group="Auditors", role="auditor"))
        Client().force_login(self.leaver)

    def rows(self) -> dict[str, Any]:
        shared, account, scim = VirtualKey.objects.get(name="shared"), ServiceAccount.objects.get(), ScimToken.objects.get(name="scim")
        return {
            "active": User.objects.get(pk=self.leaver.pk).is_active,
            "role": User.objects.get(pk=self.leaver.pk).role,
            "sessions": Session.objects.count(),
            "own key": VirtualKey.objects.get(name="own").state,
            "token": (PersonalToken.objects.get().state, find_person(self.token_text.encode(), given.KEY_PEPPERS) is not None),
            "request": GrantRequest.objects.get().state,
            "shared key": (shared.state, shared.created_by, shared.rotate_by),
            "account": (account.state, account.owner, account.created_by, account.rotate_by),
            "SCIM token": (scim.state, scim.created_by, scim.rotate_by),
        }


def by_an_administrator(company: Company) -> None:
    actions.set_users_active([company.leaver], False)


def by_the_form_of_the_admin(company: Company) -> None:
    user = User.objects.get(pk=company.leaver.pk)
    user.is_active = False
    actions.save_user(user)


def by_the_directory(company: Company) -> None:
    hand_over(company.leaver)
    answer = Directory().patch(f"Users/{company.leaver.pk}", {"op": "replace", "path": "active", "value": False})
    assert answer.status_code == 200, answer.content


def by_deletion_in_the_directory(company: Company) -> None:
    hand_over(company.leaver)
    assert Directory().ask("delete", f"Users/{company.leaver.pk}").status_code == 204


def by_the_identity_provider(company: Company) -> None:
    with pytest.raises(SignInRefused, match="not active"):
        sign_in_by({"sub": "42", "active": False}, TOLD)


WAYS = [by_an_administrator, by_the_form_of_the_admin, by_the_directory, by_deletion_in_the_directory, by_the_identity_provider]


@pytest.mark.parametrize("close", WAYS)
def test_an_account_is_closed_whole_whoever_closes_it(close: Callable[[Company], None]) -> None:
    with time_machine.travel(START, tick=False):
        company = Company()
        before = company.rows()
        assert (before["active"], before["role"], before["sessions"], before["token"]) == (True, "auditor", 1, ("active", True))
        close(company)
        due = START + timedelta(days=14)
        assert company.rows() == {
            "active": False,
            "role": "",
            "sessions": 0,
            "own key": "revoked",
            "token": ("revoked", False),
            "request": "withdrawn",
            "shared key": ("active", company.owner, due),
            "account": ("active", company.manager, company.manager, due),
            "SCIM token": ("active", None, due),
        }
    done = {event.object_kind for event in AuditEvent.objects.filter(action="user.leave")}
    assert done == {"key", "personal-token", "request", "service-account", "scim-token"}


@pytest.mark.parametrize("close", [by_an_administrator, by_the_form_of_the_admin])
def test_who_is_let_in_again_has_what_their_groups_give_and_no_old_secret(close: Callable[[Company], None]) -> None:
    company = Company()
    close(company)
    actions.set_users_active([company.leaver], True)
    found = company.rows()
    assert (found["active"], found["role"], found["sessions"], found["own key"], found["token"][0]) == (True, "auditor", 0, "revoked", "revoked")


def test_secrets_of_projects_are_revoked_where_that_is_set(settings: Any) -> None:
    settings.LEAVER_REVOKE_PROJECT_KEYS = True
    company = Company()
    by_an_administrator(company)
    found = company.rows()
    assert (found["shared key"], found["account"][0], found["SCIM token"][0]) == (("revoked", company.leaver, None), "revoked", "active")


def test_without_an_owner_the_nearest_manager_answers_and_without_one_nobody() -> None:
    company = Company()
    Membership.objects.filter(user=company.owner).delete()
    by_an_administrator(company)
    assert company.rows()["shared key"][1] == company.manager
    Membership.objects.filter(user=company.manager).delete()
    actions.set_users_active([company.manager], False)
    assert (company.rows()["shared key"][1], company.rows()["account"][1]) == (None, None)


def test_those_who_stay_are_told_until_it_is_rotated() -> None:
    with time_machine.travel(START, tick=False) as clock:
        company = Company()
        NotificationChannel.objects.create(name="ops", kind="email", project=company.project, options={"to": "ops@example.com"})
        by_an_administrator(company)
        for days in (8, 0, 5.5, 1):
            clock.shift(timedelta(days=days))
            upkeep.announce_rotations()
        credentials.rotate(VirtualKey.objects.get(name="shared"), overlap=timedelta(0), **PEPPER)
        clock.shift(timedelta(days=30))
        assert upkeep.announce_rotations() == 0
    titles = OutboxMessage.objects.order_by("created_at", "title").values_list("title", flat=True)
    assert list(titles) == [
        "Project: rotate 1 secret within 14 days",
        "The key shared of project Project must be rotated within 7 days",
        "The key shared of project Project must be rotated within 1 day",
        "The key shared of project Project must be rotated now",
    ]


def test_a_claim_left_out_or_true_says_nothing() -> None:
    company = Company()
    for claims in ({}, {"active": True}, {"active": "true"}, {"active": None}, {"active": 0}):
        assert sign_in_by({"sub": "42", **claims}, TOLD) == company.leaver
    assert sign_in_by({"sub": "42", "active": False}, replace(TOLD, active_claim="")) == company.leaver
