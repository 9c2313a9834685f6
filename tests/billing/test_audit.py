"""Acts on money that change rows in bulk or by condition leave events all the same."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AuditEvent, BusinessUnit, User
from billing import credits as credit_actions
from billing.alerts.events import acknowledge, record
from billing.models import AlertEvent, CreditGrant
from billing.prices.importing import seed_prices

pytestmark = pytest.mark.django_db


def since(count: int) -> list[tuple[str, dict[str, Any]]]:
    """Return action and texts of the events after the first `count`."""
    events = AuditEvent.objects.order_by("seq")[count:]
    return [(event.action, {name: held["value"] for name, held in event.texts.items() if held}) for event in events]


def test_freezing_and_taking_back_say_what_and_why() -> None:
    account = credit_actions.open_account(BusinessUnit.objects.create(name="Unit"), "c")
    given = credit_actions.grant(account, 5, None, None, "start")
    count = AuditEvent.objects.count()
    credit_actions.set_frozen(account, True, None, "stop")
    credit_actions.set_frozen(account, True, None, "stop")
    credit_actions.take_back(given, None, "wrong unit")
    assert [(action, told["reason"], told["changes"]) for action, told in since(count)] == [
        ("credit-account.freeze", "stop", {"is_frozen": [False, True]}),
        ("credit-grant.take-back", "wrong unit", {"remaining_nanousd": [5, 0]}),
    ]


def test_credit_that_expires_says_how_much() -> None:
    account = credit_actions.open_account(BusinessUnit.objects.create(name="Unit"), "c")
    given = credit_actions.grant(account, 7, timezone.now() + timedelta(hours=1), None, "start")
    CreditGrant.objects.filter(pk=given.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    count = AuditEvent.objects.count()
    credit_actions.expire_due()
    assert [(action, told["changes"]) for action, told in since(count)] == [("credit-grant.expire", {"remaining_nanousd": [7, 0]})]


def test_an_import_of_prices_is_one_event() -> None:
    count = AuditEvent.objects.count()
    added = seed_prices()
    found = since(count)
    assert [(action, told["prices"]) for action, told in found] == ([("price.import", added)] if added else [])
    assert seed_prices() == 0
    assert len(since(count)) == len(found)


def test_an_alert_is_acknowledged_once() -> None:
    record(kind="budget", subject="s", window="w", threshold=80, severity="warning", title="Title", text="Text", scope=None)
    user = User.objects.create_user("ada@example.com")
    count = AuditEvent.objects.count()
    assert [acknowledge(list(AlertEvent.objects.all()), user), acknowledge(list(AlertEvent.objects.all()), user)] == [1, 0]
    assert [(action, told["object"]) for action, told in since(count)] == [("alert.acknowledge", "Title")]
