"""Guessing is stopped for a name at an address and for an address, told on a clean page, recorded, and over by itself."""

from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
import time_machine
from axes.models import AccessAttempt
from django.test import Client

from accounts.addresses import visitor
from accounts.models import AuditEvent
from tests.accounts.signin.people import PASSWORD, START, code, first_step, person, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as moved:
        yield moved


def guess(email: str, times: int, ip: str = "192.0.2.1", password: str = "wrong-password") -> list[int]:
    return [Client(REMOTE_ADDR=ip).post("/login", {"username": email, "password": password}).status_code for _ in range(times)]


def test_five_wrong_passwords_close_a_name_at_an_address_for_a_quarter_of_an_hour(clock: Any) -> None:
    user = person()
    assert guess(user.email, 5) == [200, 200, 200, 200, 429]
    locked = Client(REMOTE_ADDR="192.0.2.1").post("/login", {"username": user.email.upper(), "password": PASSWORD})
    assert (locked.status_code, locked.headers["Retry-After"], "closed for 15 minutes" in locked.content.decode()) == (429, "900", True)
    assert [guess(user.email, 1, ip, PASSWORD) for ip in ("192.0.2.2", "192.0.2.1")] == [[302], [429]]
    clock.shift(timedelta(minutes=16))
    assert guess(user.email, 1, password=PASSWORD) == [302]
    assert AuditEvent.objects.filter(action="session.lock-out", outcome="refused").count() == 3


def test_a_name_that_nobody_has_is_closed_the_same_way() -> None:
    assert guess("nobody@example.com", 6) == [200, 200, 200, 200, 429, 429]


def test_another_program_at_the_same_address_does_not_help() -> None:
    user = person()
    answers = [Client(REMOTE_ADDR="192.0.2.1", headers={"user-agent": f"tool/{n}"}).post("/login", {"username": user.email, "password": "x"}) for n in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]


def test_fifty_wrong_passwords_from_one_address_close_it_for_every_name() -> None:
    statuses = [guess(f"user{n}@example.com", 1)[0] for n in range(50)]
    user = person()
    assert (statuses.count(200), statuses[-1], guess(user.email, 1, password=PASSWORD), guess(user.email, 1, "192.0.2.9", PASSWORD)) == (49, 429, [429], [302])


def test_a_good_sign_in_clears_ones_own_failures_and_nobody_elses() -> None:
    user = person()
    guess("other@example.com", 3)
    guess(user.email, 4)
    guess(user.email, 1, password=PASSWORD)
    assert list(AccessAttempt.objects.values_list("username", flat=True)) == ["other@example.com"]
    assert guess(user.email, 4) == [200] * 4


def test_the_right_password_alone_clears_nothing_where_a_second_step_follows(clock: Any) -> None:
    user = person(app=True)
    client, _ = first_step(user)
    statuses = []
    for _ in range(5):
        statuses.append(client.post("/login/code", {"code": "000000"}).status_code)
        clock.shift(20)
        first_step(user)
    assert statuses == [200, 200, 200, 200, 429]
    assert client.post("/login/code", {"code": code()}).status_code == 429


def test_wrong_codes_of_a_confirmation_count_too(clock: Any) -> None:
    client = signed_in(person(app=True))
    statuses = []
    for _ in range(5):
        clock.shift(20)
        statuses.append(client.post("/login/confirm", {"code": "000000"}).status_code)
    assert statuses == [200, 200, 200, 200, 429]


def test_no_password_or_code_is_kept_with_the_attempts() -> None:
    user = person(app=True)
    guess(user.email, 1, password="a-mistyped-secret")
    first_step(user)[0].post("/login/code", {"code": "314159"})
    kept = str(list(AccessAttempt.objects.values())) + str(list(AuditEvent.objects.values()))
    assert [text in kept for text in ("a-mistyped-secret", "314159")] == [False, False]


def test_behind_a_trusted_proxy_the_visitor_counts_and_not_the_proxy(settings: Any) -> None:
    settings.TRUSTED_PROXIES = (ip_network("10.0.0.0/8"),)
    user = person()

    def at(forwarded: str, peer: str = "10.0.0.1") -> int:
        client = Client(REMOTE_ADDR=peer, headers={"x-forwarded-for": forwarded})
        return int(client.post("/login", {"username": user.email, "password": "wrong"}).status_code)

    assert [at("198.51.100.1") for _ in range(5)][-1] == 429
    assert (at("198.51.100.2"), at("198.51.100.1, 203.0.113.5"), at("203.0.113.9, 198.51.100.1")) == (200, 200, 429)
    assert at("198.51.100.1", peer="192.0.2.50") == 200


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("198.51.100.9", "1.2.3.4", "198.51.100.9"),
        ("", "1.2.3.4", ""),
    ],
)
def test_only_hops_named_by_trusted_proxies_are_believed(peer: str, forwarded: str, found: str) -> None:
    assert visitor(peer, forwarded, (ip_network("10.0.0.0/8"),)) == found


@pytest.mark.parametrize("name", ["\x00", "a" * 300, "' OR 1=1 --", "<script>", "ünï@exämple.com", ""])
def test_hostile_names_are_answered_and_do_no_harm(name: str) -> None:
    answer = Client().post("/login", {"username": name, "password": "x"})
    assert (answer.status_code, "<script>alert" in answer.content.decode()) == (200, False)
