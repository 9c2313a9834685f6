"""Channels: what may be saved, and what arrives at a real mail server and a real HTTP receiver."""

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from standardwebhooks import Webhook

from accounts import channels, sinks
from accounts.egress import NotDelivered
from accounts.models import NotificationChannel, OutboxMessage
from accounts.sinks import Notice, shelf
from tests.accounts.notices import SECRET, tell, webhook
from tests.fakes.mail import mail_server
from tests.fakes.receiver import receiving

pytestmark = pytest.mark.django_db
WORKFLOW = "/workflows/0123456789abcdef0123456789abcdef/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers&sv=1.0&sig="
SIGNATURE = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
NOTICE = Notice(
    id="msg_1", kind="budget", severity="warning", title="<b>80 %</b> & more", text="<script>x</script>\n<!channel> <at>all</at>", html="",
    at="2026-11-24T10:00:00+00:00", url="https://gw.example.com/x", facts={"percent": 80},
)  # fmt: skip


def saved(kind: str, secret: str = "", **fields: Any) -> NotificationChannel:
    return channels.save_channel(NotificationChannel(name=kind, kind=kind, **fields), secret)


def test_every_file_of_the_shelf_is_found_under_its_own_name() -> None:
    files = {path.stem for path in Path(sinks.__path__[0]).glob("[!_]*.py")}
    assert shelf().keys() == files == {"email", "slack", "teams", "webhook"}


@pytest.mark.parametrize(
    ("fields", "secret", "words"),
    [
        ({"kind": "pager", "options": {}}, "", "There is no kind 'pager'"),
        ({"kind": "webhook", "options": {}}, SECRET, "Webhook needs exactly: url"),
        ({"kind": "webhook", "options": {"url": "http://169.254.169.254/"}}, SECRET, "SYMBIOSIS_PRIVATE_CHANNELS"),
        ({"kind": "webhook", "options": {"url": "http://10.0.0.1/"}}, SECRET, "private or forbidden address"),
        ({"kind": "webhook", "options": {"url": "redis://127.0.0.1/"}}, SECRET, "begins with https://"),
        ({"kind": "webhook", "options": {"url": "http://127.0.0.1:9999/"}}, "", "needs a secret"),
        ({"kind": "webhook", "options": {"url": "http://127.0.0.1:9999/"}}, "whsec_c2hvcnQ=", "24 to 64 random bytes"),
        ({"kind": "webhook", "options": {"url": "http://127.0.0.1:9999/"}}, "whsec_?", "24 to 64 random bytes"),
        ({"kind": "slack"}, "http://localhost.:22/", "Of the ports below 1024"),
        ({"kind": "slack"}, "http://10.1.1.1/", "private or forbidden address"),
        ({"kind": "teams"}, "https://8.8.8.8/somewhere/else", "Teams workflow"),
        ({"kind": "email", "options": {"to": "a@example.com"}}, "", "no mail server"),
        ({"kind": "slack", "time_zone": "../etc/passwd"}, "http://127.0.0.1:9999/", "time zone database"),
        ({"kind": "slack", "quiet_from": "22:00", "quiet_until": "22:00"}, "http://127.0.0.1:9999/", "all day"),
    ],
)
def test_a_channel_that_cannot_work_is_refused_in_words(fields: dict[str, Any], secret: str, words: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        channels.save_channel(NotificationChannel(name="c", **fields), secret)
    assert words in " ".join(refusal.value.messages)
    assert NotificationChannel.objects.count() == 0


def test_wrong_mail_addresses_are_refused(settings: Any) -> None:
    settings.MAIL_URL, settings.MAIL_FROM = "smtp://127.0.0.1:9?tls=none", "gateway@example.com"
    for to, words in (
        ("a b", "Not an e-mail address: a"),
        ("a@x\r\nBcc: b@x", "Not an e-mail address"),
        (",", "1 to 20"),
        (",".join(f"u{n}@example.com" for n in range(21)), "1 to 20"),
    ):
        with pytest.raises(ValidationError, match=words):
            saved("email", options={"to": to})


def test_the_secret_is_sealed_bound_to_its_row_and_kept_when_left_empty() -> None:
    first, second = webhook("http://127.0.0.1:9999/a", "one"), webhook("http://127.0.0.1:9999/a", "two")
    edited = NotificationChannel.objects.get(pk=first.pk)
    edited.options, edited.sealed_secret = {"url": "http://127.0.0.1:9999/b"}, b""
    channels.save_channel(edited)
    first.refresh_from_db()
    assert (channels.opened_secret(first), first.secret_hint, SECRET.encode() in bytes(first.sealed_secret)) == (SECRET, f"…{SECRET[-4:]}", False)
    second.sealed_secret = first.sealed_secret
    second.save()
    with pytest.raises(NotDelivered, match="sealed credential does not open"):
        channels.carry(second, NOTICE)


def test_a_new_host_needs_the_secret_again() -> None:
    channel = webhook("http://127.0.0.1:9999/a")
    channel.options = {"url": "http://127.0.0.1:9998/a"}
    with pytest.raises(ValidationError, match="enter the secret again"):
        channels.save_channel(channel)
    assert NotificationChannel.objects.get().options == {"url": "http://127.0.0.1:9999/a"}


def test_a_webhook_is_signed_as_the_standard_says() -> None:
    with receiving() as receiver:
        assert channels.carry(webhook(receiver.url), NOTICE) == "127.0.0.1 answered HTTP 200"
    headers, body = receiver.got[0]
    assert headers["webhook-id"] == "msg_1"
    assert Webhook(SECRET).verify(body, headers) == {
        "type": "budget",
        "timestamp": "2026-11-24T10:00:00+00:00",
        "data": {
            "id": "msg_1", "severity": "warning", "title": NOTICE.title, "text": NOTICE.text, "url": "https://gw.example.com/x", "percent": 80,
        },
    }  # fmt: skip


def test_slack_gets_text_in_which_nothing_is_markup() -> None:
    with receiving() as receiver:
        channels.carry(saved("slack", receiver.url), NOTICE)
    body = receiver.bodies()[0]
    assert (body["text"], body["blocks"][1]["text"]["text"]) == (
        "&lt;b&gt;80 %&lt;/b&gt; &amp; more",
        "&lt;script&gt;x&lt;/script&gt;\n&lt;!channel&gt; &lt;at&gt;all&lt;/at&gt;\nhttps://gw.example.com/x",
    )


def test_teams_gets_a_card_without_mentions() -> None:
    with receiving() as receiver:
        channels.carry(saved("teams", receiver.url + WORKFLOW + SIGNATURE), NOTICE)
    content = receiver.bodies()[0]["attachments"][0]["content"]
    assert (content["type"], content["msteams"]) == ("AdaptiveCard", {"width": "full"})
    assert ["<at>" in block["text"] or "<b>" in block["text"] for block in content["body"]] == [False, False]


def test_mail_arrives_as_text_and_escaped_html_with_a_stable_id(settings: Any) -> None:
    with mail_server(signed_in=True) as server:
        settings.MAIL_URL, settings.MAIL_FROM = server.url, "gateway@example.com"
        channel = saved("email", options={"to": "ada@example.com, bob@example.com"})
        assert [channels.carry(channel, NOTICE) for _ in range(2)] == ["the mail server took 2 of 2"] * 2
    assert [(to, mail["Message-ID"], mail["X-Symbiosis-Message"]) for to, mail in server.mails] == [
        ([to], "<msg_1@example.com>", "msg_1") for to in ("ada@example.com", "bob@example.com") * 2
    ]
    parts = {part.get_content_type(): part.get_payload(decode=True).decode() for part in server.mails[0][1].walk() if not part.is_multipart()}  # type: ignore[union-attr]
    assert ("&lt;script&gt;x&lt;/script&gt;" in parts["text/html"], "<script" in parts["text/html"], "<b>" in parts["text/html"]) == (True, False, False)
    assert '<a href="https://gw.example.com/x">' in parts["text/html"]
    assert "<script>x</script>" in parts["text/plain"]


def test_a_mail_server_that_refuses_is_told_in_words(settings: Any) -> None:
    with mail_server() as server:
        settings.MAIL_URL, settings.MAIL_FROM = server.url, "gateway@example.com"
        channel = saved("email", options={"to": "ada@example.com"})
        server.refuses.add("ada@example.com")
        with pytest.raises(NotDelivered, match=r"refuses the recipient ada@example\.com"):
            channels.carry(channel, NOTICE)
    with pytest.raises(NotDelivered, match="does not take the message"):
        channels.carry(channel, NOTICE)


def test_a_test_message_is_marked_and_its_result_shown_and_kept() -> None:
    with receiving() as receiver:
        channel = webhook(receiver.url, quiet_from="00:00", quiet_until="23:59")
        receiver.answers = [200, 500]
        assert channels.test_channel(channel) == "ok: 127.0.0.1 answered HTTP 200"
        with pytest.raises(NotDelivered, match="answers HTTP 500"):
            channels.test_channel(channel)
    channel.refresh_from_db()
    data = receiver.bodies()[0]["data"]
    assert (data["test"], data["title"], channel.check_result, OutboxMessage.objects.count()) == (
        True, "Test: hook", "127.0.0.1 answers HTTP 500.", 0,
    )  # fmt: skip


def test_a_channel_is_deleted_with_what_waits_for_it() -> None:
    channel = webhook("http://127.0.0.1:9999/")
    tell()
    assert (channels.delete_channel(channel), OutboxMessage.objects.count()) == (1, 0)


@pytest.mark.django_db(transaction=True)
def test_the_secret_is_not_in_the_database_file() -> None:
    webhook("http://127.0.0.1:9999/marker")
    if connection.vendor == "sqlite":
        name = Path(str(connection.settings_dict["NAME"]))
        stored = b"".join(path.read_bytes() for path in name.parent.glob(name.name + "*"))
        assert (b"9/marker" in stored, SECRET.encode() in stored) == (True, False)
