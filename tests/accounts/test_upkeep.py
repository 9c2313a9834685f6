"""Unused credentials rest, those that end soon are announced, and what is found in public is revoked."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts import actions, credentials, leaks, upkeep
from accounts.models import AuditEvent, BusinessUnit, CredentialPolicy, NotificationChannel, OutboxMessage, Project, User, VirtualKey
from accounts.personal_tokens import make_personal_token

pytestmark = pytest.mark.django_db
PEPPER = {"pepper": settings.KEY_PEPPERS[1], "pepper_version": 1}
START = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def project() -> Project:
    project = Project.objects.create(name="P", business_unit=BusinessUnit.objects.create(name="U"))
    NotificationChannel.objects.create(name="ops", kind="email", project=project, options={"to": "ops@example.com"})
    return project


def make(project: Project, name: str = "k", **fields: Any) -> tuple[VirtualKey, str]:
    return actions.make_key(**{"project": project, "name": name, "models": ["*"], "expires_at": timezone.now() + timedelta(days=300), **PEPPER, **fields})


def notices() -> list[tuple[str, str, str]]:
    return list(OutboxMessage.objects.order_by("created_at", "title").values_list("kind", "severity", "title"))


def test_an_unused_key_rests_and_a_used_one_does_not(project: Project) -> None:
    with time_machine.travel(START, tick=False) as clock:
        for name in ("unused", "used", "rotated", "resumed"):
            make(project, name)
        clock.shift(timedelta(days=80))
        VirtualKey.objects.filter(name="used").update(last_used_at=timezone.now())
        credentials.rotate(VirtualKey.objects.get(name="rotated"), overlap=timedelta(0), **PEPPER)
        resumed = VirtualKey.objects.get(name="resumed")
        for state in ("suspended", "active"):
            credentials.set_state(resumed, state)
        clock.shift(timedelta(days=11))
        assert (upkeep.suspend_idle(), upkeep.suspend_idle()) == (1, 0)
    row = VirtualKey.objects.get(state="suspended")
    assert (row.name, row.state_reason) == ("unused", "Unused for 90 days")
    assert notices() == [("key.idle", "warning", "The key unused of project P was suspended")]
    assert AuditEvent.objects.filter(action="credential.rest", object_id=f"key_{row.public_id}").count() == 1


def test_a_policy_can_let_credentials_rest_never(project: Project) -> None:
    CredentialPolicy.objects.update_or_create(kind="key-dev", defaults={"idle_days": 0})
    with time_machine.travel(START, tick=False) as clock:
        make(project)
        clock.shift(timedelta(days=200))
        assert upkeep.suspend_idle() == 0


def test_an_end_is_announced_thirty_seven_and_one_day_before_once_each(project: Project) -> None:
    with time_machine.travel(START, tick=False) as clock:
        make(project, expires_at=START + timedelta(days=40))
        told = []
        for _ in range(41):
            told.append(upkeep.announce_ends())
            clock.shift(timedelta(days=1))
    assert [day for day, count in enumerate(told) if count] == [*range(10, 40)]
    assert notices() == [
        ("key.expiring", "info", "The key k of project P ends within 30 days"),
        ("key.expiring", "info", "The key k of project P ends within 7 days"),
        ("key.expiring", "warning", "The key k of project P ends within 1 days"),
    ]


def ask(body: Any, **headers: str) -> Any:
    cache.clear()
    return Client(headers={"host": "localhost"}).post("/api/v1/leaked-keys", body, content_type="application/json", **headers)


def test_a_whole_key_found_in_public_is_revoked_as_compromised(project: Project) -> None:
    row, text = make(project)
    answer = ask([{"token": text, "type": "symbiosis", "url": "https://example.com/paste\u202e", "source": "content"}])
    row.refresh_from_db()
    assert (answer.status_code, answer.json()) == (202, {"received": 1})
    assert (row.state, row.is_compromised, row.state_reason) == ("revoked", True, "Found in public: https://example.com/paste")
    assert notices() == [("key.leaked", "critical", "The key k has leaked")]
    event = AuditEvent.objects.get(action="credential.leak")
    assert (event.object_id, event.actor_kind, text in str(event.texts)) == (f"key_{row.public_id}", "anonymous", False)


def test_a_guess_changes_nothing_and_is_answered_alike(project: Project) -> None:
    row, text = make(project)
    other = make(project, "other")[1]
    guesses = [text[:-1] + ("x" if text[-1] != "x" else "y"), f"sgw_vk_{row.public_id}_{other[18:]}", "sgw_vk_", "x" * 200, text.lower()]
    assert [(answer.status_code, answer.json()) for answer in (ask([{"token": guess}]) for guess in guesses)] == [(202, {"received": 1})] * len(guesses)
    assert ({key.state for key in VirtualKey.objects.all()}, notices()) == ({"active"}, [])


def test_an_old_secret_found_in_public_ends_alone(project: Project) -> None:
    row, old = make(project)
    _, new = credentials.rotate(row, overlap=timedelta(days=1), **PEPPER)
    assert leaks.report([(old, "")], settings.KEY_PEPPERS) == 1
    row.refresh_from_db()
    assert [credentials.is_good(row, text.encode(), settings.KEY_PEPPERS) for text in (old, new)] == [False, True]
    assert leaks.report([(new, "")], settings.KEY_PEPPERS) == 1
    assert VirtualKey.objects.get().is_compromised


def test_a_personal_token_found_in_public_is_revoked() -> None:
    user = User.objects.create_user("dev@example.com")
    _, text = make_personal_token(user=user, name="t", scopes=["keys:read"], expires_at=timezone.now() + timedelta(days=1), **PEPPER)
    assert (leaks.report([(text, "")], settings.KEY_PEPPERS), leaks.report([(text, "")], settings.KEY_PEPPERS)) == (1, 0)
    assert Client(headers={"host": "localhost", "authorization": f"Bearer {text}"}).get("/api/v1/me").status_code == 401


@pytest.mark.parametrize("body", [{}, "x", [1], [{}], [{"token": 7.5, "url": []}], [{"token": "x"}] * 101])
def test_what_is_no_report_is_refused(body: Any) -> None:
    assert ask(body).status_code == 400


def test_one_address_reports_thirty_times_a_minute_whatever_its_headers_say() -> None:
    cache.clear()
    client = Client(headers={"host": "localhost"})
    statuses = [
        client.post("/api/v1/leaked-keys", [], content_type="application/json", headers={"x-forwarded-for": f"10.0.0.{number}"}).status_code
        for number in range(31)
    ]
    assert statuses == [202] * 30 + [429]
