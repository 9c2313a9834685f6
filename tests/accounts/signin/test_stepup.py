"""Dangerous acts need a proof that is minutes old, by page, by the admin and by the API."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from accounts.api import problems
from accounts.models import AuditEvent, Authenticator
from accounts.signin import stepup
from tests.accounts.signin.people import PASSWORD, START, code, first_step, person, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as moved:
        yield moved


def test_a_dangerous_page_asks_again_after_ten_minutes_and_leads_back(clock: Any) -> None:
    client = signed_in(person(app=True))
    assert client.get("/account/authenticator").status_code == 200
    clock.shift(timedelta(minutes=11))
    assert client.get("/account/authenticator?next=/").headers["Location"] == "/login/confirm?next=/account/authenticator%3Fnext%3D/"
    before = client.cookies["symbiosis"].value
    answer = client.post("/login/confirm", {"code": code(), "next": "/account/authenticator"})
    assert (answer.headers["Location"], client.cookies["symbiosis"].value == before) == ("/account/authenticator", False)
    assert (client.get("/account/authenticator").status_code, AuditEvent.objects.filter(action="session.confirm").count()) == (200, 1)


def test_a_dangerous_form_is_not_taken_and_leads_back_to_its_page(clock: Any) -> None:
    client = signed_in(person(app=True))
    clock.shift(timedelta(minutes=11))
    answer = client.post("/account/authenticator/remove", headers={"referer": "http://testserver/account?a=b"})
    assert (answer.headers["Location"], Authenticator.objects.count()) == ("/login/confirm?next=/account%3Fa%3Db", 1)
    foreign = client.post("/account/authenticator/remove", headers={"referer": "http://evil.example/account"})
    assert foreign.headers["Location"] == "/login/confirm?next=/"


def test_htmx_is_told_to_change_the_whole_page(clock: Any) -> None:
    client = signed_in(person(app=True))
    clock.shift(timedelta(minutes=11))
    answer = client.get("/account/authenticator", headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (200, "/login/confirm?next=/account/authenticator")


def test_a_code_that_signed_in_does_not_confirm(clock: Any) -> None:
    user = person(app=True)
    used = code()
    client = signed_in(user)
    assert client.post("/login/confirm", {"code": used}).status_code == 200


def test_who_has_no_second_factor_confirms_by_password(clock: Any) -> None:
    client, _ = first_step(person())
    clock.shift(timedelta(minutes=11))
    assert client.get("/account/passkeys/new").headers["Location"].startswith("/login/confirm")
    wrong = client.post("/login/confirm", {"password": "wrong"})
    right = client.post("/login/confirm", {"password": PASSWORD, "next": "/account/passkeys/new"})
    assert (wrong.status_code, right.headers["Location"], client.get("/account/passkeys/new").status_code) == (200, "/account/passkeys/new", 200)


def test_the_api_answers_with_a_problem_that_says_where_to_confirm() -> None:
    answer = problems.answer(stepup.StepUpNeeded(), {})
    assert (answer.status_code, answer.data["code"], "/login/confirm" in answer.data["detail"]) == (403, "step_up_required", True)
