"""Links to a new password: once, for a time, from an administrator or by mail, and nobody learns who has an account."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.test import Client

from accounts.models import AuditEvent, PasswordLink, Session
from accounts.signin import passwords
from tests.accounts.signin.people import START, first_step, person, signed_in
from tests.fakes.mail import mail_server

pytestmark = pytest.mark.django_db
NEW = "another-long-enough-one"


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as moved:
        yield moved


def set_by(path: str, new: str = NEW, again: str = "") -> Any:
    return Client().post(path, {"new": new, "again": again or new})


def test_a_link_sets_a_password_once_and_ends_every_session() -> None:
    user = person()
    first_step(user)
    path = passwords.make_link(user, person("it_admin"))
    assert (Client().get(path).status_code, Session.objects.filter(user=user).count()) == (200, 1)
    assert (set_by(path).headers["Location"], Session.objects.filter(user=user).count()) == ("/login", 0)
    user.refresh_from_db()
    again = set_by(path, "a-third-long-enough-one")
    assert (user.check_password(NEW), again.status_code, "This link is over" in again.content.decode()) == (True, 410, True)
    assert AuditEvent.objects.filter(action="password.reset").count() > 0


def test_a_link_signs_nobody_in_and_leaves_the_second_factor() -> None:
    user = person("auditor", app=True)
    browser = Client()
    browser.post(passwords.make_link(user, None), {"new": NEW, "again": NEW})
    assert browser.get("/account").headers["Location"] == "/login?next=/account"
    assert first_step(user, browser, NEW)[1].headers["Location"] == "/login/code?next=/"


@pytest.mark.parametrize("why", ["late", "newer", "closed", "changed", "invented"])
def test_a_link_that_is_over_sets_nothing(why: str, clock: Any) -> None:
    user = person()
    path = passwords.make_link(user, None)
    if why == "late":
        clock.shift(timedelta(hours=25))
    elif why == "newer":
        passwords.make_link(user, None)
    elif why == "closed":
        user.is_active = False
        user.save()
    elif why == "changed":
        passwords.change_password(user, "a-third-long-enough-one")
    else:
        path = path[:-4] + "aaaa"
    assert (Client().get(path).status_code, set_by(path).status_code) == (410, 410)
    user.refresh_from_db()
    assert not user.check_password(NEW)


@pytest.mark.parametrize(("new", "again", "words"), [("short", "", "at least 12 characters"), (NEW, NEW + "!", "The two passwords differ")])
def test_a_weak_or_mistyped_password_leaves_the_link_good(new: str, again: str, words: str) -> None:
    path = passwords.make_link(person(), None)
    answer = set_by(path, new, again)
    assert (answer.status_code, words in answer.content.decode(), set_by(path).status_code) == (200, True, 302)


def test_nobody_makes_a_link_for_themselves_or_for_a_closed_account() -> None:
    admin = person("it_admin")
    with pytest.raises(ValidationError, match="own password"):
        passwords.make_link(admin, admin)
    with pytest.raises(ValidationError, match="Activate"):
        passwords.make_link(person(email="closed@example.com", is_active=False), admin)


def test_the_secret_of_a_link_is_in_no_row_and_no_event() -> None:
    token = passwords.make_link(person(), None).rsplit("/", 1)[1]
    assert token not in str([*PasswordLink.objects.values(), *AuditEvent.objects.values()])


def test_a_link_comes_by_mail_and_an_unknown_address_is_told_the_same(settings: Any) -> None:
    user = person()
    with mail_server() as server:
        settings.MAIL_URL, settings.MAIL_FROM, settings.PUBLIC_URL = server.url, "gateway@example.com", "http://testserver"
        browser, told = Client(), []
        for email in (user.email.upper(), "nobody@example.com"):
            browser.post("/login/forgotten", {"email": email})
            told.append("a link is on its way" in browser.get("/login").content.decode())
        assert (told, passwords.mail_links(), passwords.mail_links()) == ([True, True], 1, 0)
        [(to, message)] = server.mails
        text = "".join(part.get_payload(decode=True).decode() for part in message.walk() if not part.is_multipart())  # type: ignore[union-attr]
    path = text.split("http://testserver")[1].split('"')[0].split()[0]
    assert (to, set_by(path).status_code, PasswordLink.objects.filter(user=None).count()) == ([user.email], 302, 1)
    assert path.rsplit("/", 1)[1] not in str(list(PasswordLink.objects.values()))


def test_mails_about_one_account_are_few(settings: Any) -> None:
    user = person()
    with mail_server() as server:
        settings.MAIL_URL, settings.MAIL_FROM, settings.PUBLIC_URL = server.url, "gateway@example.com", "http://testserver"
        for _ in range(6):
            passwords.wish_for_link(user.email, "192.0.2.1")
        assert (passwords.mail_links(), len(server.mails)) == (3, 3)


@pytest.mark.parametrize(("spread", "heard"), [("192.0.2.1", 10), ("192.0.2.{0}", 30), ("2001:db8:0:7{0:02x}::1", 30), ("10.{0}.0.1", 40)])
def test_wishes_of_one_visitor_are_few_whoever_they_are_about(spread: str, heard: int, clock: Any) -> None:
    for number in range(40):
        passwords.wish_for_link(f"user{number}@example.com", spread.format(number))
    assert PasswordLink.objects.count() == heard
    passwords.mail_links()
    passwords.wish_for_link("another@example.com", spread.format(0))
    assert PasswordLink.objects.count() == heard + (heard == 40)  # mailing does not make room
    clock.shift(timedelta(minutes=61))
    passwords.mail_links()
    passwords.wish_for_link("another@example.com", spread.format(0))
    assert PasswordLink.objects.count() == 1


def test_a_visitor_who_wished_too_often_is_told_the_same(settings: Any) -> None:
    settings.MAIL_URL, settings.MAIL_FROM, settings.PUBLIC_URL = "smtp://localhost", "gateway@example.com", "http://testserver"
    browser, told = Client(REMOTE_ADDR="192.0.2.1"), []
    for _ in range(12):
        answer = browser.post("/login/forgotten", {"email": person().email if not told else "nobody@example.com"})
        told.append((answer.status_code, "a link is on its way" in browser.get("/login").content.decode()))
    assert (set(told), PasswordLink.objects.count()) == ({(302, True)}, 10)


def test_a_mail_the_server_refuses_is_tried_again(settings: Any) -> None:
    user = person()
    with mail_server() as server:
        settings.MAIL_URL, settings.MAIL_FROM, settings.PUBLIC_URL = server.url, "gateway@example.com", "http://testserver"
        server.refuses = {user.email}
        passwords.wish_for_link(user.email, "192.0.2.1")
        refused = passwords.mail_links()
        server.refuses = set()
        assert (refused, passwords.mail_links(), len(server.mails)) == (0, 1, 1)


def test_without_a_mail_server_there_is_no_such_page() -> None:
    assert (Client().get("/login/forgotten").status_code, "forgotten" in Client().get("/login").content.decode()) == (404, False)


def test_an_administrator_makes_a_link_in_the_admin_resets_factors_and_ends_sessions(clock: Any) -> None:
    user = person("auditor", app=True)
    theirs = signed_in(user)
    clock.shift(60)
    admin = signed_in(person("it_admin", app=True))

    def act(action: str) -> str:
        page = admin.post("/admin/accounts/user/", {"action": action, "_selected_action": str(user.pk)}, follow=True)
        return page.content.decode()

    shown = act("password_link")
    path = shown.split("/login/new-password/")[1].split("<")[0].split('"')[0].strip()
    assert (set_by(f"/login/new-password/{path}").status_code, theirs.get("/account").status_code) == (302, 302)
    fresh, _ = first_step(user, password=NEW)
    assert fresh.get("/login/code").status_code == 200
    act("reset_factors")
    fresh, _ = first_step(user, password=NEW)
    assert fresh.get("/").headers["Location"].startswith("/account/authenticator")
    act("end_sessions")
    assert Session.objects.filter(user=user).count() == 0
    clock.shift(timedelta(minutes=11))
    answer = admin.post("/admin/accounts/user/", {"action": "reset_factors", "_selected_action": str(user.pk)})
    assert answer.headers["Location"].startswith("/login/confirm")
