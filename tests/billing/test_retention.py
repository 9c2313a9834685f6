"""Months beyond their time: archived whole, proven, removed, explained, and brought back as they were."""

import gzip
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.utils import timezone
from moto.server import ThreadedMotoServer

from billing import partitions, retention
from billing.archive import Store, open_store
from billing.archive.disk import Disk
from billing.archive.s3 import Bucket
from billing.intake import Intake
from billing.leases import take
from billing.models import ArchivedMonth, ArchivedPart, ArchivedWindow, UsageRecord
from billing.partitions import Month
from billing.retention import ArchiveBroken, archive_due, archive_month, refusal_of, restore_month
from billing.rows import insert_or_refuse, row_of
from billing.tasks import archive_usage
from billing.verification import Verified, verify
from tests.billing.budgets import budget, taking, want
from tests.billing.receipts import settle, write_segment
from tests.billing.usage import JANUARY, add_calls, call_id
from tests.fakes.ports import free_port

pytestmark = pytest.mark.django_db

MONTH = Month(2025, 1)
CALLS = 25
COST = sum(1000 + number for number in range(CALLS))


class PowerLoss(BaseException):
    """The machine is gone in the middle of something."""


class FailingDisk(Disk):
    """A directory that loses power at its n-th writing, before or after the file is there."""

    def __init__(self, directory: Path, puts: int, *, is_stored: bool) -> None:
        super().__init__(directory)
        self._left, self._is_stored = puts, is_stored

    def put(self, name: str, path: Path) -> None:
        self._left -= 1
        if self._left == 0 and not self._is_stored:
            raise PowerLoss
        super().put(name, path)
        if self._left == 0:
            raise PowerLoss


@pytest.fixture(autouse=True)
def archive(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive directory, and parts of ten calls in pages of five."""
    settings.ARCHIVE_URL, settings.USAGE_RETENTION_MONTHS = f"file://{tmp_path}/archive", 3
    monkeypatch.setattr(retention, "PART_ROWS", 10)
    monkeypatch.setattr(retention, "PAGE_ROWS", 5)
    monkeypatch.setattr(retention, "INSERT_ROWS", 4)
    monkeypatch.setattr(partitions, "DELETE_ROWS", 7)
    return tmp_path / "archive"


def everything() -> list[dict[str, Any]]:
    """All usage rows, whole."""
    return list(UsageRecord.objects.order_by("call_id", "kind").values())


def recorded() -> tuple[Any, ...]:
    """State and sums of January's archive, parts and windows."""
    month = ArchivedMonth.objects.get()
    return (
        month.state, month.rows, month.cost_nanousd, month.input_tokens, month.output_tokens,
        [(part.number, part.rows) for part in ArchivedPart.objects.all()],
        list(ArchivedWindow.objects.values_list("window", "calls", "cost_nanousd", "tokens")),
    )  # fmt: skip


WHOLE = (
    CALLS, COST, CALLS * 1200, CALLS * 300, [(1, 10), (2, 10), (3, 5)],
    [("b1:2025-01", CALLS, COST, CALLS * 1500), ("b2:total", CALLS, COST, CALLS * 1500)],
)  # fmt: skip


def test_a_month_is_archived_removed_and_comes_back_as_it_was(archive: Path) -> None:
    add_calls(JANUARY, CALLS)
    add_calls(JANUARY + timedelta(days=31), 3)
    before = everything()
    assert archive_month(MONTH) is True
    assert (everything(), recorded()) == (before[CALLS:], ("archived", *WHOLE))
    assert restore_month(MONTH, is_open=False) == CALLS
    assert (everything(), recorded()) == (before, ("restored", *WHOLE))
    assert archive_month(MONTH) is True
    assert (everything(), recorded()) == (before[CALLS:], ("archived", *WHOLE))


def test_the_files_say_what_they_hold(archive: Path) -> None:
    add_calls(JANUARY, CALLS)
    archive_month(MONTH)
    names = sorted(path.name for path in (archive / "usage" / "2025-01").iterdir())
    assert [name.partition("-")[2] for name in names] == ["00001.jsonl.gz", "00002.jsonl.gz", "00003.jsonl.gz", "manifest.json"]
    manifest = json.loads(next((archive / "usage" / "2025-01").glob("*-manifest.json")).read_text())
    assert [manifest[name] for name in ("month", "rows", "cost_nanousd", "input_tokens", "output_tokens")] == ["2025-01", *WHOLE[:4]]
    parts = [archive / part["name"] for part in manifest["parts"]]
    assert sum(path.stat().st_size for path in parts) == manifest["bytes"] == ArchivedMonth.objects.get().bytes
    lines = [json.loads(line) for path in parts for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert [line["call_id"] for line in lines] == [call_id(JANUARY + timedelta(hours=n), n) for n in range(CALLS)]
    assert (lines[0]["end_user"], lines[0]["started_at"], lines[0]["attempts"]) == (
        'ü\\"\n', "2025-01-01T00:00:00Z", [["gpt-5@openai-eu", "openai-eu", "ok", 200, 812]],
    )  # fmt: skip
    assert sorted(lines[0]) == sorted(manifest["columns"])


@pytest.mark.parametrize("is_stored", [False, True], ids=["before the file is there", "after the file is there"])
@pytest.mark.parametrize("puts", [1, 2, 3, 4])
def test_a_power_loss_at_any_file_loses_nothing_and_the_next_run_goes_on(archive: Path, monkeypatch: pytest.MonkeyPatch, puts: int, is_stored: bool) -> None:
    add_calls(JANUARY, CALLS)
    before = everything()
    with monkeypatch.context() as failing:
        failing.setattr(retention, "open_store", lambda url: FailingDisk(archive, puts, is_stored=is_stored))
        with pytest.raises(PowerLoss):
            archive_month(MONTH)
    assert (everything(), ArchivedPart.objects.count()) == (before, min(puts - 1, 3))
    assert archive_month(MONTH) is True
    assert (everything(), recorded()) == ([], ("archived", *WHOLE))
    restore_month(MONTH, is_open=False)
    assert everything() == before


def test_a_power_loss_while_rows_are_removed_is_finished_by_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    add_calls(JANUARY, CALLS)
    before = everything()

    def torn(month: Month) -> None:
        UsageRecord.objects.filter(pk__in=[row["id"] for row in before[:7]]).delete()
        raise PowerLoss

    with monkeypatch.context() as failing:
        failing.setattr(partitions, "empty", torn)
        with pytest.raises(PowerLoss):
            archive_month(MONTH)
    assert recorded() == ("verified", *WHOLE)
    assert archive_month(MONTH) is True
    restore_month(MONTH, is_open=False)
    assert (everything(), recorded()) == (before, ("restored", *WHOLE))


def test_a_damaged_file_is_found_before_anything_is_removed(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Rotten(Disk):
        def put(self, name: str, path: Path) -> None:
            content = path.read_bytes()
            path.write_bytes(content[:-3] if "00002" in name else content)
            super().put(name, path)

    add_calls(JANUARY, CALLS)
    before = everything()
    with monkeypatch.context() as rotten:
        rotten.setattr(retention, "open_store", lambda url: Rotten(archive))
        with pytest.raises(ArchiveBroken, match="00002"):
            archive_month(MONTH)
    assert (everything(), ArchivedPart.objects.count(), ArchivedMonth.objects.get().state) == (before, 0, "sealed")
    assert archive_month(MONTH) is True
    assert recorded() == ("archived", *WHOLE)


def test_rows_that_went_meanwhile_stop_the_removal() -> None:
    add_calls(JANUARY, CALLS)
    assert archive_month(MONTH, until=0) is False
    UsageRecord.objects.filter(call_id=call_id(JANUARY)).delete()
    with pytest.raises(ArchiveBroken, match="Nothing was removed"):
        archive_month(MONTH)
    assert UsageRecord.objects.count() == CALLS - 1
    assert archive_month(MONTH) is True
    assert ArchivedMonth.objects.get().rows == CALLS - 1


def test_a_damaged_archive_is_not_restored_by_halves(archive: Path) -> None:
    add_calls(JANUARY, CALLS)
    archive_month(MONTH)
    second = next((archive / "usage" / "2025-01").glob("*-00002.jsonl.gz"))
    content = second.read_bytes()
    second.write_bytes(content[:-20] + b"\0" * 20)
    with pytest.raises(ArchiveBroken, match="Nothing of it was restored"):
        restore_month(MONTH, is_open=False)
    assert (UsageRecord.objects.count(), ArchivedMonth.objects.get().state) == (10, "restoring")
    second.write_bytes(content)
    assert restore_month(MONTH, is_open=False) == CALLS
    assert recorded() == ("restored", *WHOLE)


def test_a_late_call_is_put_aside_until_its_month_is_open_and_then_archived_with_it() -> None:
    late = call_id(JANUARY + timedelta(days=9), 99)
    add_calls(JANUARY, CALLS)
    archive_month(MONTH)
    reason = "The month 2025-01 is archived: open it with restore_usage 2025-01 --open, then record the call."
    assert insert_or_refuse([row_of(settle(late), timezone.now())]) == (set(), [(0, reason)])
    assert (refusal_of(late), refusal_of(call_id(JANUARY - timedelta(days=1)))) == (reason, "")
    restore_month(MONTH, is_open=True)
    again = call_id(JANUARY)
    assert insert_or_refuse([row_of(settle(call), timezone.now()) for call in (late, again)]) == ({late}, [])
    assert (archive_due(60), refusal_of(late)) == ([], "")
    assert archive_month(MONTH) is True
    assert (ArchivedMonth.objects.get().rows, UsageRecord.objects.count()) == (CALLS + 1, 0)
    assert restore_month(MONTH, is_open=False) == CALLS + 1


def test_only_months_beyond_the_retention_are_due(settings: Any) -> None:
    now = datetime(2025, 6, 15, tzinfo=UTC)
    for month in range(1, 7):
        add_calls(datetime(2025, month, 10, tzinfo=UTC), 1)
    assert [month.label for month in retention.due(now)] == ["2025-01", "2025-02"]
    settings.USAGE_RETENTION_MONTHS = 0
    assert retention.due(now) == []


def test_the_task_archives_what_is_due_and_goes_on_where_time_ran_out() -> None:
    add_calls(JANUARY, CALLS)
    add_calls(JANUARY + timedelta(days=31), 3)
    assert (archive_due(0), archive_due(0), ArchivedPart.objects.count()) == ([], [], 2)
    assert (archive_usage(), archive_usage(), UsageRecord.objects.count()) == (["2025-01", "2025-02"], [], 0)


def test_two_runs_at_once_do_not_meet() -> None:
    add_calls(JANUARY, CALLS)
    archive_month(MONTH, until=0)
    ArchivedMonth.objects.update(busy_until=timezone.now() + timedelta(minutes=1))
    with pytest.raises(ValidationError, match="is being worked on"):
        archive_month(MONTH)
    ArchivedMonth.objects.update(busy_until=timezone.now())
    assert archive_month(MONTH) is True


def test_what_cannot_be_archived_or_restored_says_why() -> None:
    now = Month.of(timezone.now())
    for act, message in (
        (lambda: archive_month(now), f"{now.label} is not over"),
        (lambda: archive_month(MONTH), "There are no calls of 2025-01"),
        (lambda: restore_month(MONTH, is_open=False), "2025-01 is not archived"),
    ):
        with pytest.raises(ValidationError, match=message):
            act()


def test_the_commands_say_what_they_did(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_calls(JANUARY, CALLS)
    call_command("archive_usage", dry_run=True)
    call_command("archive_usage")
    size = ArchivedMonth.objects.get().bytes
    call_command("restore_usage", "2025-01", url=f"file://{archive}")
    call_command("archive_usage", "2025-01")
    call_command("archive_usage")
    assert capsys.readouterr().out.splitlines() == [
        "2025-01 would be archived.",
        f"2025-01: 25 calls archived in {size:,} bytes at file://{archive}",
        "2025-01: 25 calls are back, until archive_usage 2025-01 removes them again.",
        f"2025-01: 25 calls archived in {size:,} bytes at file://{archive}",
        "No month is due.",
    ]
    for command, argument, message in (
        ("archive_usage", "2025-1", "is no month"),
        ("archive_usage", "2025-01", "2025-01 is rows removed"),
        ("restore_usage", "2024-01", "2024-01 is not archived"),
    ):
        with pytest.raises(CommandError, match=message):
            call_command(command, argument)


# ---- stores ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a prefix in a bucket of a real HTTP server that speaks S3."""
    for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    endpoint = f"http://127.0.0.1:{port}"
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="usage-archive")
    yield f"s3://usage-archive/gateway/eu?endpoint={endpoint}&region=us-east-1"
    server.stop()


def test_a_month_goes_to_a_bucket_and_comes_back(bucket: str, settings: Any) -> None:
    settings.ARCHIVE_URL = bucket
    add_calls(JANUARY, CALLS)
    before = everything()
    archive_month(MONTH)
    assert (everything(), recorded(), ArchivedMonth.objects.get().location) == ([], ("archived", *WHOLE), bucket)
    assert restore_month(MONTH, is_open=False) == CALLS
    assert everything() == before


@pytest.mark.parametrize("kind", ["disk", "bucket"])
def test_stores_replace_whole_files_and_miss_others(kind: str, tmp_path: Path, bucket: str) -> None:
    store: Store = open_store(f"file://{tmp_path}/s%20t" if kind == "disk" else bucket)
    source = tmp_path / "source"
    for content in (b"", b"first", os.urandom(9 * 1024 * 1024)):
        source.write_bytes(content)
        store.put("usage/2025-01/x", source)
        with store.open("usage/2025-01/x") as stream:
            assert stream.read() == content
    with pytest.raises(OSError, match="usage/2025-01/y"):
        store.open("usage/2025-01/y")


def test_an_unreachable_bucket_removes_nothing(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setattr("billing.archive.s3.ATTEMPTS", 1)
    settings.ARCHIVE_URL = "s3://nowhere/x?endpoint=http://127.0.0.1:9&region=eu"
    add_calls(JANUARY, CALLS)
    with pytest.raises(OSError, match="The archive cannot store"):
        archive_month(MONTH)
    assert UsageRecord.objects.count() == CALLS


@pytest.mark.parametrize(
    "url", ["", "archive", "file://host/x", "file:relative", "s3://", "s3://user:secret@bucket/x", "s3://b/x?key=1", "http://x/y", "file:///x?y=1"]
)
def test_an_address_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must look like"):
        open_store(url)


def test_an_address_names_its_store() -> None:
    assert (type(open_store("file:///var/archive")), type(open_store("s3://bucket"))) == (Disk, Bucket)


# ---- what the ledger says of it -------------------------------------------------------------------------------------------


def test_the_ledger_stays_explained_when_calls_go_and_come_back(tmp_path: Path) -> None:
    money = want(budget(10_000), 5_000)
    take("elsewhere", taking(money))
    january, february = call_id(JANUARY + timedelta(days=30)), call_id(JANUARY + timedelta(days=40))
    write_segment(tmp_path, *[settle(call, cost_nanousd=100, worker="w1", windows=money.window) for call in (january, february)])
    Intake(tmp_path).run_once()
    checked = verify().checked
    archive_month(MONTH)
    assert (UsageRecord.objects.count(), verify()) == (1, Verified(checked + 1, 1.0, ""))
    ArchivedWindow.objects.update(cost_nanousd=99)
    words = f"Window {money.window}: archived calls cost 99 nano-USD, postings without calls consumed 100."
    assert verify() == Verified(checked + 1, 0.995, words)
    ArchivedWindow.objects.update(cost_nanousd=100)
    restore_month(MONTH, is_open=False)
    assert verify() == Verified(checked, 1.0, "")
