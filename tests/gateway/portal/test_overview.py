"""The first page shows what is one's own, and its frame fits its visitor."""

import pytest
from django.test import Client

from accounts import actions
from accounts.models import BusinessUnit, Membership, Project, User

pytestmark = pytest.mark.django_db


def visitor(role: str = "") -> tuple[User, Client]:
    user, client = actions.save_user(User(email=f"{role or 'dev'}@example.com", role=role)), Client()
    client.force_login(user)
    return user, client


def two_projects(member: User) -> tuple[Project, Project]:
    unit = actions.save_business_unit(BusinessUnit(name="Unit"))
    mine, foreign = (actions.save_project(Project(name=name, business_unit=unit)) for name in ("Mine <b>", "Foreign"))
    actions.save_membership(Membership(user=member, project=mine, role="developer"))
    return mine, foreign


def test_strangers_are_led_to_sign_in() -> None:
    answer = Client().get("/")
    assert (answer.status_code, answer.headers["Location"].endswith("?next=/")) == (302, True)


def test_a_developer_sees_own_projects_and_no_way_to_the_admin() -> None:
    user, client = visitor()
    two_projects(user)
    page = client.get("/").content.decode()
    assert ("Mine &lt;b&gt;" in page, "Foreign" in page, "Administration" in page) == (True, False, False)


def test_an_administrator_sees_every_project_and_the_admin() -> None:
    _, client = visitor("it_admin")
    two_projects(visitor()[0])
    page = client.get("/").content.decode()
    assert ("Mine &lt;b&gt;" in page, "Foreign" in page, "Administration" in page) == (True, True, True)


def test_who_is_in_no_project_is_told_what_to_do() -> None:
    page = visitor()[1].get("/").content.decode()
    assert "You are in no project yet" in page


def test_a_page_holds_no_script_of_its_own() -> None:
    answer = visitor()[1].get("/")
    assert ("<script>" in answer.content.decode(), "style=" in answer.content.decode(), "unsafe" in answer.headers["Content-Security-Policy"]) == (False,) * 3
