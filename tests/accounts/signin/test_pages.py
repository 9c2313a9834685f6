"""The two steps of signing in, setting up what the second needs, and what a session may do in between."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from accounts.models import AuditEvent, Authenticator, BackupCode, BackupCodes, Membership, Session, User
from accounts.signin import factors
from tests.accounts.signin.people import PASSWORD, SECRET, START, code, first_step, person, shown_secret, signed_in
from tests.gateway.api.callers import company

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as moved:
        yield moved


def where(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.headers.get("Location", "")


def test_who_needs_no_second_factor_is_in_after_the_first_step() -> None:
    client, answer = first_step(person(), next="/account")
    assert (where(answer), client.get("/account").status_code) == ((302, "/account"), 200)


def test_who_has_a_second_factor_is_nobody_before_the_second_step() -> None:
    client, answer = first_step(person(app=True))
    assert (where(answer), where(client.get("/account"))) == ((302, "/login/code?next=/"), (302, "/login?next=/account"))
    assert where(client.post("/login/code", {"code": code(), "next": "/account"})) == (302, "/account")
    assert client.get("/account").status_code == 200


def test_both_steps_change_the_key_of_the_session_and_the_old_ones_are_worth_nothing() -> None:
    client = Client()
    client.get("/login")
    first_step(person(app=True), client)
    before = client.cookies["symbiosis"].value
    client.post("/login/code", {"code": code()})
    stale = Client()
    stale.cookies["symbiosis"] = before
    assert (client.cookies["symbiosis"].value == before, where(stale.get("/account"))[0], Session.objects.count()) == (False, 302, 1)


def test_a_code_counts_once() -> None:
    user = person(app=True)
    used = code()
    signed_in(user)
    client, _ = first_step(user)
    again = client.post("/login/code", {"code": used})
    assert (again.status_code, "This code is not right" in again.content.decode()) == (200, True)


@pytest.mark.parametrize(("steps", "status"), [(-2, 200), (-1, 302), (0, 302), (1, 302), (2, 200)])
def test_a_code_of_a_neighbouring_step_is_taken_for_clocks_that_are_off(steps: int, status: int) -> None:
    client, _ = first_step(person(app=True))
    assert client.post("/login/code", {"code": code(steps=steps)}).status_code == status


@pytest.mark.parametrize("nonsense", ["", "000000", "12345", "１２３４５６", "1234567", "\x00", "a" * 21, "aaaaa-bbbbb"])
def test_nonsense_is_no_code(nonsense: str) -> None:
    client, _ = first_step(person(app=True))
    assert (client.post("/login/code", {"code": nonsense}).status_code, where(client.get("/account"))[0]) == (200, 302)


def test_wrong_codes_make_the_right_one_wait(clock: Any) -> None:
    client, _ = first_step(person(app=True))
    for _ in range(2):
        client.post("/login/code", {"code": "000000"})
        clock.shift(1)
    waiting = client.post("/login/code", {"code": code()})
    clock.shift(2)
    assert ("Too many wrong codes" in waiting.content.decode(), where(client.post("/login/code", {"code": code()}))) == (True, (302, "/"))


def test_the_second_step_is_due_within_ten_minutes(clock: Any) -> None:
    client, _ = first_step(person(app=True))
    clock.shift(timedelta(minutes=11))
    assert where(client.post("/login/code", {"code": code()})) == (302, "/login?next=/")


def test_a_backup_code_signs_in_once_and_is_kept_in_no_clear_form() -> None:
    user = person(app=True)
    codes = factors.new_backup_codes(user)
    first, _ = first_step(user)
    second, _ = first_step(user)
    assert where(first.post("/login/code", {"code": f" {codes[0].upper()} "})) == (302, "/")
    assert second.post("/login/code", {"code": codes[0]}).status_code == 200
    assert (len(codes), BackupCode.objects.count(), first.get("/account").status_code) == (10, 9, 200)
    kept = str(list(BackupCode.objects.values())) + str(list(AuditEvent.objects.values()))
    assert [text in kept for code in codes for text in (code, code.replace("-", ""))] == [False] * 20


def test_new_backup_codes_end_the_old_ones() -> None:
    user = person(app=True)
    old = factors.new_backup_codes(user)[0]
    factors.new_backup_codes(user)
    client, _ = first_step(user)
    assert (client.post("/login/code", {"code": old}).status_code, BackupCodes.objects.count(), BackupCode.objects.count()) == (200, 1, 10)


def test_the_first_factor_is_set_up_before_anything_else_and_brings_backup_codes() -> None:
    client, answer = first_step(person("auditor"), next="/admin/")
    assert where(answer) == (302, "/admin/")
    assert where(client.get("/admin/")) == (302, "/account/authenticator?next=/admin/")
    assert where(client.get("/"))[1].startswith("/account/authenticator")
    page = client.get("/account/authenticator?next=/admin/").content.decode()
    secret = shown_secret(page)
    assert ("<svg" in page, "style=" in page) == (True, False)
    assert shown_secret(client.get("/account/authenticator").content.decode()) == secret
    wrong = client.post("/account/authenticator", {"code": "000000"})
    assert (wrong.status_code, where(client.get("/admin/"))[0]) == (200, 302)
    done = client.post("/account/authenticator", {"code": code(secret), "next": "/admin/"}).content.decode()
    assert ("shown this one time only" in done, 'href="/admin/"' in done, client.get("/admin/").status_code) == (True, True, 200)
    assert (Authenticator.objects.get().confirmed, BackupCode.objects.count()) == (True, 10)


def test_the_secret_of_an_app_is_in_no_row_and_no_event() -> None:
    client, _ = first_step(person("auditor"))
    secret = shown_secret(client.get("/account/authenticator").content.decode())
    client.post("/account/authenticator", {"code": code(secret)})
    kept = str([*Authenticator.objects.values(), *AuditEvent.objects.values(), *Session.objects.values()])
    assert [text in kept for text in (secret.hex(), repr(secret)[2:-1])] == [False, False]


@pytest.mark.parametrize("role", ["manager", "viewer"])
def test_managers_of_a_unit_need_a_second_factor_and_viewers_do_not(role: str) -> None:
    unit, *_ = company()
    user = person()
    Membership.objects.create(user=user, business_unit=unit, role=role)
    client, _ = first_step(user)
    assert where(client.get("/")) == ((302, "/account/authenticator?next=/") if role == "manager" else (200, ""))


def test_an_installation_says_which_roles_need_one(settings: Any) -> None:
    settings.SECOND_FACTOR_ROLES = ("none",)
    client, _ = first_step(person("auditor"))
    assert client.get("/admin/").status_code == 200
    settings.SECOND_FACTOR_ROLES = ("everyone",)
    assert where(first_step(person())[0].get("/"))[0] == 302


def test_a_session_from_before_the_second_factor_owes_it_and_cannot_set_up_another() -> None:
    user = person()
    weak, _ = first_step(user)
    factors.store_authenticator(user, SECRET, confirmed=True)
    for page in ("/account", "/account/authenticator", "/account/passkeys/new", "/login/confirm"):
        assert where(weak.get(page))[1].startswith("/login/code"), page
    assert where(weak.post("/account/authenticator", {"code": code()})) == (302, "/login/code")
    assert (where(weak.post("/login/code", {"code": code(), "next": "/account"})), weak.get("/account").status_code) == ((302, "/account"), 200)


def test_a_session_whose_factor_was_removed_is_not_strong_any_more() -> None:
    user = person("auditor", app=True)
    client = signed_in(user)
    assert client.get("/admin/").status_code == 200
    factors.remove_factors(user)
    assert where(client.get("/admin/"))[1].startswith("/account/authenticator")


def test_the_last_factor_of_who_needs_one_cannot_be_removed() -> None:
    client = signed_in(person("auditor", app=True))
    client.post("/account/authenticator/remove")
    assert Authenticator.objects.count() == 1


def test_a_factor_nobody_asked_for_can_be_removed() -> None:
    client = signed_in(person(app=True))
    client.post("/account/authenticator/remove")
    assert (Authenticator.objects.count(), client.get("/account").status_code) == (0, 200)


def test_replacing_the_app_makes_sessions_of_the_old_one_prove_again(clock: Any) -> None:
    user = person("auditor", app=True)
    other = signed_in(user)
    clock.shift(60)
    mine = signed_in(user)
    secret = shown_secret(mine.get("/account/authenticator").content.decode())
    mine.post("/account/authenticator", {"code": code(secret)})
    assert (mine.get("/account").status_code, where(other.get("/account"))) == (200, (302, "/login/code?next=/account"))


ELSEWHERE = ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "\\\\evil.example", "/\t/evil.example", "%2F%2F")


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_signing_in_leads_nowhere_else(elsewhere: str) -> None:
    user = person()
    assert where(first_step(user, next=elsewhere)[1]) == (302, "/")
    client, _ = first_step(user)
    assert where(client.get("/login", {"next": elsewhere})) == (302, "/")


def test_what_is_wrong_is_not_told_apart_and_is_recorded() -> None:
    user, closed = person(), person(email="closed@example.com", is_active=False)
    told = {first_step(who, password=password)[1].content.decode().split("alert-danger")[1][:120] for who, password in (
        (user, "wrong"), (closed, PASSWORD), (User(email="nobody@example.com"), PASSWORD))}  # fmt: skip
    assert len(told) == 1
    assert "do not fit together" in told.pop()
    assert AuditEvent.objects.filter(action="session.sign-in", outcome="refused").count() == 3


def test_signing_out_ends_the_session_and_only_a_form_does_it() -> None:
    client, _ = first_step(person())
    assert (client.get("/logout").status_code, Session.objects.count()) == (405, 1)
    assert (where(client.post("/logout")), Session.objects.count(), where(client.get("/account"))[0]) == ((302, "/login"), 0, 302)


def test_forms_need_a_token() -> None:
    strict = Client(enforce_csrf_checks=True)
    assert [strict.post(page).status_code for page in ("/login", "/login/code", "/logout", "/login/passkey", "/login/passkey/done")] == [403] * 5


def test_how_somebody_signed_in_is_on_record() -> None:
    signed_in(person(app=True))
    assert "password and Authenticator app" in str(AuditEvent.objects.get(action="session.sign-in").texts["how"])


@pytest.mark.parametrize(
    ("new", "words"),
    [("short", "at least 12 characters"), ("password1234", "too common"), ("dev@example.com", "too similar"), (PASSWORD + "!", "")],
)
def test_a_password_is_changed_to_a_strong_one_and_other_sessions_end(new: str, words: str) -> None:
    user = person()
    mine, other = first_step(user)[0], first_step(user)[0]
    answer = mine.post("/account/password", {"current": PASSWORD, "new": new, "again": new})
    user.refresh_from_db()
    assert (user.check_password(new), words in answer.content.decode(), other.get("/account").status_code) == (not words, True, 200 if words else 302)
    assert mine.get("/account").status_code == 200


def test_a_password_is_not_changed_by_who_does_not_know_it() -> None:
    client, _ = first_step(person())
    answer = client.post("/account/password", {"current": "wrong", "new": PASSWORD + "!", "again": PASSWORD + "!"})
    assert (answer.status_code, "not your present password" in answer.content.decode()) == (200, True)
