"""Checkpoints reach every kind of anchor, once each, and an anchor finds a tail that was cut together with the recorded end."""

import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from moto.server import ThreadedMotoServer

from accounts import audit
from accounts.addresses import AddressRules
from accounts.anchor_watch import anchor_and_tell
from accounts.anchors import anchor_of, shelf
from accounts.audit import chain
from accounts.audit.verify import verify
from accounts.egress import NotAllowed, NotDelivered
from accounts.models import AuditAnchor, AuditEvent, OutboxMessage
from tests.accounts.notices import webhook
from tests.fakes.receiver import receiving

LOOPBACK = AddressRules("loopback")
LINE = '{"seq": 1}'


@pytest.fixture
def anchored(tmp_path: Path, settings: Any, db: None) -> str:
    """An installation whose checkpoints go to one file beside its own."""
    settings.AUDIT_CHECKPOINTS = tmp_path / "own.jsonl"
    settings.AUDIT_ANCHORS = (f"file://{tmp_path}/elsewhere/checkpoints.jsonl",)
    return str(settings.AUDIT_ANCHORS[0])


def kept(url: str) -> list[int]:
    lines = anchor_of(url).lines
    assert lines is not None
    return [json.loads(line)["seq"] for line in lines(url)]


def test_the_newest_checkpoint_is_kept_once(anchored: str) -> None:
    for number in range(3):
        audit.record("test.done", reason=str(number))
    assert [anchor_and_tell(), anchor_and_tell()] == [1, 0]
    audit.record("test.done")
    anchor_and_tell()
    head = AuditEvent.objects.count()
    assert kept(anchored) == [head - 1, head]
    row = AuditAnchor.objects.get()
    assert (row.seq, row.last_error, "elsewhere" in row.name) == (head, "", True)


def test_an_empty_trail_is_not_anchored(anchored: str) -> None:
    assert (anchor_and_tell(), AuditAnchor.objects.count()) == (0, 0)


def test_a_kept_checkpoint_is_signed_for_whoever_holds_the_public_key(anchored: str, settings: Any) -> None:
    audit.record("test.done")
    anchor_and_tell()
    lines = anchor_of(anchored).lines
    assert lines is not None
    (line,) = lines(anchored)
    checkpoint = json.loads(line)
    signature = checkpoint.pop("signature")
    assert chain.is_signed(settings.AUDIT_KEY, checkpoint, signature)


@pytest.mark.django_db(transaction=True)
def test_an_anchor_finds_a_tail_cut_together_with_its_end(anchored: str, settings: Any) -> None:
    for number in range(4):
        audit.record("test.done", reason=str(number))
    anchor_and_tell()
    head = AuditEvent.objects.count()
    table = "accounts_auditevent"
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            triggers = cursor.execute(f"SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = '{table}'").fetchall()
            for name, _ in triggers:
                cursor.execute(f"DROP TRIGGER {name}")
        else:
            triggers = []
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        cursor.execute(f"DELETE FROM {table} WHERE seq = {head}")
        cursor.execute(f"UPDATE accounts_audithead SET seq = {head - 1}, hash = (SELECT hash FROM {table} WHERE seq = {head - 1})")
        for _, made in triggers:
            cursor.execute(made)
        if connection.vendor != "sqlite":
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")
    settings.AUDIT_CHECKPOINTS.unlink()
    assert [verify().valid, verify(anchored).valid, verify(anchored).first_bad] == [True, False, head]


def test_an_anchor_that_cannot_be_read_is_not_taken_for_a_whole_trail(anchored: str) -> None:
    audit.record("test.done")
    verdict = verify("syslog://127.0.0.1:514")
    assert (verdict.valid, "far side" in verdict.reason) == (False, True)


def test_a_failing_anchor_is_retried_and_told_once_a_day_after_a_quarter_of_an_hour(settings: Any, tmp_path: Path, db: None) -> None:
    (tmp_path / "file").write_text("")
    settings.AUDIT_CHECKPOINTS = tmp_path / "own.jsonl"
    settings.AUDIT_ANCHORS = (f"file://{tmp_path}/file/below/a/file",)
    webhook("http://127.0.0.1:9999/")
    audit.record("test.done")
    assert (anchor_and_tell(), OutboxMessage.objects.count()) == (0, 0)
    row = AuditAnchor.objects.get()
    assert (row.seq, "cannot be written" in row.last_error) == (0, True)
    AuditAnchor.objects.update(failing_since=timezone.now() - timedelta(minutes=16))
    anchor_and_tell()
    anchor_and_tell()
    assert [message.kind for message in OutboxMessage.objects.all()] == ["audit.anchor_failing"]
    (tmp_path / "file").unlink()
    assert anchor_and_tell() == 1
    row.refresh_from_db()
    assert (row.last_error, row.failing_since) == ("", None)


def test_a_checkpoint_is_posted_as_json_with_a_name_of_its_own() -> None:
    with receiving() as receiver:
        anchor_of(f"{receiver.url}/audit").keep(f"{receiver.url}/audit", "0001", LINE, LOOPBACK)
        (headers, body) = receiver.got[0]
        assert (body, headers["content-type"], headers["idempotency-key"]) == (LINE.encode(), "application/json", "0001")
        receiver.answers = [500]
        with pytest.raises(NotDelivered):
            anchor_of(receiver.url).keep(receiver.url, "0002", LINE, LOOPBACK)


@pytest.mark.parametrize("scheme", ["http://127.0.0.1:9/", "syslog://127.0.0.1:9", "syslog+tcp://127.0.0.1:9"])
def test_a_private_address_needs_the_setting(scheme: str) -> None:
    with pytest.raises(NotAllowed):
        anchor_of(scheme).keep(scheme, "1", LINE, AddressRules())


def test_a_checkpoint_is_one_syslog_datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        url = f"syslog://127.0.0.1:{receiver.getsockname()[1]}"
        anchor_of(url).keep(url, "1", LINE, LOOPBACK)
        got = receiver.recv(65536).decode()
    start, end = got.split(" ", 1)[0], got.split(" - ")
    assert (start, end[1:]) == ("<109>1", ["symbiosis", "audit-checkpoint", LINE])


def test_a_checkpoint_over_tcp_says_its_length() -> None:
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)

        def take() -> None:
            with listening.accept()[0] as stream:
                while data := stream.recv(65536):
                    got.append(data)

        taking = threading.Thread(target=take)
        taking.start()
        url = f"syslog+tcp://127.0.0.1:{listening.getsockname()[1]}"
        anchor_of(url).keep(url, "1", LINE, LOOPBACK)
        taking.join(10)
        port = listening.getsockname()[1]
    length, _, message = b"".join(got).partition(b" ")
    assert (int(length), message.endswith(LINE.encode())) == (len(message), True)
    with pytest.raises(NotDelivered, match="cannot be reached"):
        anchor_of(f"syslog+tcp://127.0.0.1:{port}").keep(f"syslog+tcp://127.0.0.1:{port}", "1", LINE, LOOPBACK)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    import boto3  # type: ignore[import-untyped]

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket="anchors")
        yield f"s3://anchors/audit?endpoint={endpoint}&region=us-east-1"
    finally:
        server.stop()


def test_a_bucket_keeps_one_object_a_checkpoint_in_order(bucket: str) -> None:
    anchor = anchor_of(bucket)
    for seq in (2, 10, 1):
        anchor.keep(bucket, f"{seq:016d}", json.dumps({"seq": seq}), LOOPBACK)
    assert kept(bucket) == [1, 2, 10]
    missing = bucket.replace("anchors", "nowhere")
    with pytest.raises(NotDelivered):
        anchor_of(missing).keep(missing, "1", LINE, LOOPBACK)


@pytest.mark.parametrize(
    "url", ["", "ftp://host/x", "file://host/x", "file:///", "syslog://", "syslog://host/path", "https://user@host/", "https:///x", "s3://", "s3://b?key=1"]
)
def test_a_url_that_names_no_anchor_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must"):
        anchor_of(url)


def test_the_shelf_is_what_the_documentation_says() -> None:
    assert sorted(shelf()) == ["file", "http", "https", "s3", "syslog", "syslog+tcp"]
