"""The admin's pages of channels and outbox: who may do what, secrets never shown."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import NotificationChannel, OutboxMessage, User
from accounts.outbox import claim, deliver_due
from tests.accounts.notices import SECRET, tell, webhook
from tests.fakes.receiver import receiving

pytestmark = pytest.mark.django_db
CHANNELS, OUTBOX, ADD = (f"admin:accounts_{page}" for page in ("notificationchannel_changelist", "outboxmessage_changelist", "notificationchannel_add"))
FORM = {"name": "hook", "kind": "webhook", "is_active": "on", "least_severity": "info", "time_zone": "UTC", "digest": ""}


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(User.objects.create(email=f"{role}@example.com", role=role, is_staff=True))
    return client


def test_a_channel_is_made_tested_and_its_secret_is_on_no_page() -> None:
    admin = signed_in("it_admin")
    with receiving() as receiver:
        form = FORM | {"webhook_url": receiver.url, "email_to": "left@example.com", "secret": SECRET}
        admin.post(reverse(ADD), form)
        channel = NotificationChannel.objects.get()
        change = reverse("admin:accounts_notificationchannel_change", args=[channel.pk])
        button = "accounts_notificationchannel_save_and_test"
        assert button in admin.get(change).content.decode()
        answer = admin.post(change, form | {"secret": "", button: ""}, follow=True)
        assert (channel.options, "hook: ok: 127.0.0.1 answered HTTP 200" in answer.content.decode()) == ({"url": receiver.url}, True)
        receiver.answers = [503]
        tested = admin.post(reverse(CHANNELS), {"action": "test", "_selected_action": str(channel.pk)}, follow=True)
        assert ("hook: 127.0.0.1 answers HTTP 503." in tested.content.decode(), len(receiver.got)) == (True, 2)
        assert [SECRET in admin.get(url).content.decode() for url in (change, reverse(CHANNELS))] == [False, False]
        kept = admin.post(change, FORM | {"name": "renamed", "webhook_url": receiver.url, "secret": ""})
        assert (kept.status_code, NotificationChannel.objects.get().name) == (302, "renamed")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"webhook_url": "http://169.254.169.254/", "secret": SECRET}, "private or forbidden address"),
        ({"webhook_url": "http://user@127.0.0.1:9999/", "secret": SECRET}, "without user, password"),
        ({"webhook_url": "", "secret": SECRET}, "Webhook needs exactly"),
        ({"webhook_url": "http://127.0.0.1:9999/", "secret": ""}, "needs a secret"),
        ({"webhook_url": "http://127.0.0.1:9999/", "secret": SECRET, "time_zone": "Mars"}, "time zone database"),
        ({"kind": "json", "secret": ""}, "Select a valid choice"),
    ],
)
def test_a_channel_that_cannot_work_is_refused_in_the_form(changes: dict[str, Any], words: str) -> None:
    answer = signed_in("it_admin").post(reverse(ADD), FORM | changes)
    assert (answer.status_code, words in answer.content.decode(), NotificationChannel.objects.count()) == (200, True, 0)


def test_an_auditor_reads_and_sends_nothing() -> None:
    auditor = signed_in("auditor")
    with receiving() as receiver:
        channel = webhook(receiver.url)
        tell()
        assert [auditor.get(reverse(page)).status_code for page in (CHANNELS, OUTBOX, ADD)] == [200, 200, 403]
        auditor.post(reverse(CHANNELS), {"action": "test", "_selected_action": str(channel.pk)})
        auditor.post(reverse(OUTBOX), {"action": "again", "_selected_action": OutboxMessage.objects.get().pk})
        assert receiver.got == []


def test_a_message_given_up_is_shown_and_sent_again() -> None:
    admin = signed_in("it_admin")
    with receiving() as receiver:
        webhook(receiver.url)
        tell(title="<b>Title</b>")
        OutboxMessage.objects.update(state="dead", attempts=10, last_error="127.0.0.1 answers HTTP 500.")
        message = OutboxMessage.objects.get()
        page = admin.get(reverse(OUTBOX)).content.decode()
        detail = admin.get(reverse("admin:accounts_outboxmessage_change", args=[message.pk])).content.decode()
        assert ["given up" in page, "answers HTTP 500" in page, "<b>Title</b>" in page + detail] == [True, True, False]
        admin.post(reverse(OUTBOX), {"action": "again", "_selected_action": message.pk})
        assert (deliver_due(), receiver.ids(), claim(message.pk)) == (1, [message.pk], None)
        again = admin.post(reverse(OUTBOX), {"action": "again", "_selected_action": message.pk}, follow=True)
        assert "neither waiting nor given up" in again.content.decode()
