"""What is known about a provider account's vendor: recorded, renewed, shown, and told about in time."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.urls import reverse

from accounts.models import AuditEvent, NotificationChannel, OutboxMessage, User
from gateway import verifications
from gateway.attention import matters
from gateway.models import ProviderAccount, State, Verification
from gateway.tasks import remind_of_verifications
from tests.gateway.api.callers import person

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 25)
CHECKED = {"agreement": "DPA 17", "region": "EU", "training_use": "never"}


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(datetime(2026, 11, 25, 12, tzinfo=UTC), tick=False) as moved:
        yield moved


def account(slug: str = "acme", **more: Any) -> ProviderAccount:
    return ProviderAccount.objects.create(slug=slug, name="Acme", provider="openai", base_url="https://x.example", **more)


def recorded(row: ProviderAccount, days: int = 365) -> Verification:
    return verifications.record(row, None, **CHECKED, review_on=TODAY + timedelta(days=days))


def told() -> list[str]:
    return list(OutboxMessage.objects.order_by("created_at").values_list("title", flat=True))


def test_a_record_says_what_was_checked_by_whom_and_until_when() -> None:
    row, admin = account(), User.objects.create_user("it@example.com", role="it_admin")
    made = verifications.record(row, admin, agreement=" DPA\0  17 ", region="EU", training_use="never", review_on=date(2027, 11, 25))
    stored = Verification.objects.get()
    assert (stored.agreement, stored.region, stored.verified_on, stored.verified_by, stored.review_on) == (
        "DPA 17",
        "EU",
        TODAY,
        admin,
        date(2027, 11, 25),
    )
    assert AuditEvent.objects.get(action="provider-account.verify").object_id == f"ver_{made.pk.hex}"


def test_recording_again_takes_the_place_of_what_was_recorded() -> None:
    row = account()
    recorded(row)
    verifications.record(row, None, agreement="DPA 18", region="US", training_use="opted_out", review_on=date(2027, 1, 1))
    assert list(Verification.objects.values_list("agreement", "region", "training_use", "review_on")) == [("DPA 18", "US", "opted_out", date(2027, 1, 1))]


def test_renewing_moves_the_days_and_nothing_else(clock: Any) -> None:
    row = account()
    recorded(row)
    clock.shift(timedelta(days=300))
    later = TODAY + timedelta(days=300)
    renewed = verifications.renew(row, None, review_on=later + timedelta(days=365))
    assert (renewed.agreement, renewed.verified_on, renewed.review_on) == ("DPA 17", later, later + timedelta(days=365))
    assert AuditEvent.objects.filter(action="provider-account.renew-verification").count() == 1


def test_what_was_never_recorded_cannot_be_renewed() -> None:
    with pytest.raises(ValidationError, match="Record a verification first"):
        verifications.renew(account(), None, review_on=date(2027, 1, 1))


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"review_on": TODAY}, "review_on"),
        ({"review_on": TODAY + timedelta(days=1_099)}, "review_on"),
        ({"agreement": " "}, "agreement"),
        ({"region": ""}, "region"),
        ({"region": "x" * 65}, "region"),
        ({"training_use": "perhaps"}, "training_use"),
    ],
)
def test_a_record_that_says_nothing_or_never_ends_is_refused(wrong: dict[str, Any], field: str) -> None:
    row = account()
    with pytest.raises(ValidationError) as refusal:
        verifications.record(row, None, **{**CHECKED, "review_on": TODAY + timedelta(days=9), **wrong})
    assert (list(refusal.value.message_dict), Verification.objects.count()) == ([field], 0)


@pytest.mark.parametrize("wrong", [{"agreement": ""}, {"training_use": "perhaps"}, {"review_on": TODAY}])
def test_the_database_keeps_the_rules_itself(wrong: dict[str, Any]) -> None:
    row = recorded(account())
    with pytest.raises(IntegrityError), transaction.atomic():
        Verification.objects.filter(pk=row.pk).update(**wrong)


def test_reminders_come_a_month_and_a_week_before_and_on_the_day_once_each(clock: Any) -> None:
    NotificationChannel.objects.create(name="IT", kind="webhook", options={"url": "https://hooks.example/x"})
    recorded(account(), days=40)
    recorded(account("off", state=State.DISABLED), days=2)
    counts = []
    for days in (0, 9, 1, 0, 22, 1, 0, 7, 5):
        clock.shift(timedelta(days=days))
        remind_of_verifications()
        counts.append(len(told()))
    assert counts == [0, 0, 1, 1, 1, 2, 2, 3, 3]
    assert [title.partition(" to be reviewed ")[2] for title in told()] == ["within 30 days", "within 7 days", "now"]
    assert list(OutboxMessage.objects.order_by("created_at").values_list("severity", flat=True)) == ["info", "warning", "warning"]


def test_a_renewed_record_is_told_about_anew(clock: Any) -> None:
    NotificationChannel.objects.create(name="IT", kind="webhook", options={"url": "https://hooks.example/x"})
    row = account()
    recorded(row, days=3)
    remind_of_verifications()
    verifications.renew(row, None, review_on=TODAY + timedelta(days=60))
    remind_of_verifications()
    assert len(told()) == 1
    clock.shift(timedelta(days=55))
    remind_of_verifications()
    assert len(told()) == 2


def test_the_first_page_and_the_list_show_what_is_missing_or_due() -> None:
    for slug, days in (("good", 365), ("soon", 20), ("due", 1)):
        recorded(account(slug), days)
    account("none")
    account("sim", is_demo=True)
    account("off", state=State.DISABLED)
    assert [(matter.number, matter.words) for matter in matters(User.objects.create_user("first@example.com", role="it_admin"))] == [
        (1, "provider accounts have no verification record"),
        (2, "verifications of provider accounts are to be reviewed"),
    ]
    with time_machine.travel(datetime(2026, 11, 26, 12, tzinfo=UTC), tick=False):
        client = person("it_admin", "it").client
        page: Any = client.get(reverse("admin:gateway_provideraccount_changelist"))
        text = page.content.decode()
        assert [text.count(words) >= 1 for words in ("verified", "review soon", "review due", "missing", "simulated")] == [True] * 5
        chosen: Any = client.get(reverse("admin:gateway_provideraccount_changelist") + "?verification=due")
    assert sorted(row.slug for row in chosen.context["cl"].result_list) == ["due", "soon"]


def test_the_admin_records_and_renews_by_the_same_actions() -> None:
    row, client = account(), person("it_admin", "it").client
    page = reverse("admin:gateway_provideraccount_act", args=[row.pk, "verify"])
    assert client.get(page).status_code == 200
    refused: Any = client.post(page, {**CHECKED, "review_on": "2026-11-25"})
    assert ("Choose a day after today" in refused.content.decode(), Verification.objects.count()) == (True, 0)
    assert client.post(page, {**CHECKED, "review_on": "2027-11-25"}).status_code == 302
    assert client.post(reverse("admin:gateway_provideraccount_act", args=[row.pk, "renew"]), {"review_on": "2028-01-01"}).status_code == 302
    stored = Verification.objects.get()
    assert (stored.agreement, stored.review_on, str(stored.verified_by)) == ("DPA 17", date(2028, 1, 1), "it@example.com")
    assert "DPA 17" in client.get(reverse("admin:gateway_provideraccount_change", args=[row.pk])).content.decode()


@pytest.mark.parametrize("role", ["auditor", "finance", "security_officer"])
def test_only_it_records(role: str) -> None:
    row = account()
    answer = person(role, role).client.post(reverse("admin:gateway_provideraccount_act", args=[row.pk, "verify"]), {**CHECKED, "review_on": "2027-11-25"})
    assert (answer.status_code, Verification.objects.count()) == (403, 0)
