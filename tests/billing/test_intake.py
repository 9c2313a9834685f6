"""Intake: every receipt exactly once, whatever is damaged, repeated, dead or away."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection
from msgspec import structs

from accounts.models import BusinessUnit, Project, VirtualKey
from billing.actions import NotReleasable, release_quarantined
from billing.intake import Intake, Metrics, Taken
from billing.models import JournalPosition, QuarantinedReceipt, UsageRecord
from billing.receipts import Attempted, Charge, Progress, encode
from billing.segments import segment_numbers, segment_path
from gateway.plane.journal import Journal
from tests.billing.receipts import PRICE, PROJECT, STARTED_AT_MS, UNIT, intent, settle, write_segment

pytestmark = pytest.mark.django_db


def recorded(*fields: str) -> list[tuple[Any, ...]]:
    """The usage rows by call id, with these fields."""
    return list(UsageRecord.objects.order_by("call_id").values_list("call_id", *fields))


def test_a_receipt_becomes_its_row_whole(tmp_path: Path) -> None:
    write_segment(tmp_path, intent(), settle(flags="demo", cost_nanousd=2**63 - 1, user_agent="ü" * 300, person=UNIT))
    assert Intake(tmp_path).run_once() == Taken(rows=1)
    row: dict[str, Any] = dict(UsageRecord.objects.values().get())
    assert datetime.now(UTC) - row.pop("recorded_at") < timedelta(minutes=1)
    row.pop("id")
    assert row == {
        "call_id": "call_1", "kind": "call", "started_at": datetime.fromtimestamp(STARTED_AT_MS / 1000, UTC), "duration_ms": 812,
        "first_byte_ms": 120, "gateway_us": 300, "key": "abcdefghij", "project": UUID(PROJECT), "person": UUID(UNIT), "business_unit":
        UUID(UNIT), "model": "gpt-5",
        "deployment": "gpt-5@openai-eu", "account": "openai-eu", "provider": "openai", "upstream_model": "gpt-5-2025-08-07",
        "endpoint": "chat.completions", "stream": True, "status": 200, "outcome": "ok", "error_code": "", "usage_source": "provider",
        "flags": "demo", "input_tokens": 1200, "cached_tokens": 1000, "cache_write_tokens": 0, "cache_write_1h_tokens": 0, "web_searches": 0,
        "audio_input_tokens": 0,
        "output_tokens": 300,
        "reasoning_tokens": 100, "audio_output_tokens": 0, "price": UUID(PRICE), "cost_nanousd": 2**63 - 1, "quote_nanousd": 999_999,
        "attempts": [["gpt-5@openai-eu", "openai-eu", "ok", 200, 812, None, 0]], "end_user": "user-1", "session": "s-1", "tags": "team=a",
        "ip": "10.0.0.1", "user_agent": "ü" * 200, "client_request_id": "r-1", "is_demo": True, "worker": "", "windows": "", "posting": None,
    }  # fmt: skip
    assert (segment_numbers(tmp_path / "w0"), JournalPosition.objects.count()) == ([], 0)


def test_a_living_writers_segment_is_read_on_and_kept(tmp_path: Path) -> None:
    journal, intake = Journal(tmp_path, "w0"), Intake(tmp_path)
    journal.append(encode(intent()))
    assert (intake.run_once(), intake.metrics()) == (Taken(), Metrics(0, 0, 0, 0, 1))
    journal.append(encode(settle()))
    assert [intake.run_once(), intake.run_once()] == [Taken(rows=1), Taken()]
    journal.append(encode(settle("call_2"))[:20])
    assert intake.run_once() == Taken(lag_bytes=20)
    assert segment_numbers(tmp_path / "w0") == [1]
    journal.close()


def test_a_crash_between_commit_and_removal_counts_nothing_twice(tmp_path: Path) -> None:
    path = write_segment(tmp_path, settle("call_1"), settle("call_2"))
    content = path.read_bytes()
    Intake(tmp_path).run_once()
    # As if the file had never been removed: once without its position, once with it.
    path.write_bytes(content)
    assert Intake(tmp_path).run_once() == Taken()
    journal = Journal(tmp_path, "w1")
    journal.append(encode(settle("call_3")))
    assert [Intake(tmp_path).run_once(), Intake(tmp_path).run_once()] == [Taken(rows=1), Taken()]
    journal.close()
    assert [call for (call,) in recorded()] == ["call_1", "call_2", "call_3"]


def test_the_same_call_in_two_segments_is_one_row(tmp_path: Path) -> None:
    write_segment(tmp_path, settle(cost_nanousd=1), settle(cost_nanousd=2), number=1)
    write_segment(tmp_path, settle(cost_nanousd=3), number=2)
    write_segment(tmp_path, settle(cost_nanousd=4), worker="w1")
    assert Intake(tmp_path).run_once() == Taken(rows=1)
    assert recorded("cost_nanousd") == [("call_1", 1)]


def test_batches_of_many_receipts_all_arrive(tmp_path: Path) -> None:
    write_segment(tmp_path, *[settle(f"call_{n:05d}") for n in range(2500)])
    assert Intake(tmp_path).run_once() == Taken(rows=2500)
    assert UsageRecord.objects.count() == 2500


@pytest.mark.parametrize(
    "poison",
    [
        {"input_tokens": -1},
        {"cost_nanousd": -5},
        {"duration_ms": 2**63},
        {"cached_tokens": 1201},
        {"reasoning_tokens": 301},
        {"status": 40_000},
        {"started_at_ms": 10**17},
        {"outcome": "splendid"},
        {"usage_source": "gossip"},
        {"key": "k" * 17},
        {"project": "not-a-uuid"},
    ],
    ids=lambda poison: next(iter(poison)),
)
def test_a_poison_receipt_is_put_aside_and_its_batch_goes_on(tmp_path: Path, poison: dict[str, Any]) -> None:
    write_segment(tmp_path, intent("call_2"), *[settle(f"call_{n}", **(poison if n == 2 else {})) for n in range(1, 5)])
    assert Intake(tmp_path).run_once() == Taken(rows=3, quarantined=1)
    assert recorded() == [("call_1",), ("call_3",), ("call_4",)]
    aside = QuarantinedReceipt.objects.get()
    assert (bytes(aside.payload), aside.reason != "") == (encode(settle("call_2", **poison))[8:], True)
    assert release_quarantined(aside) is True
    assert (UsageRecord.objects.get(call_id="call_2").flags, QuarantinedReceipt.objects.count()) == ("mended", 0)


def test_mending_never_lowers_the_cost(tmp_path: Path) -> None:
    write_segment(tmp_path, settle("call_1", cost_nanousd=-1, quote_nanousd=777), settle("call_2", cached_tokens=5000))
    Intake(tmp_path).run_once()
    for aside in QuarantinedReceipt.objects.all():
        release_quarantined(aside)
    assert recorded("cost_nanousd", "input_tokens", "cached_tokens") == [("call_1", 777, 1200, 1000), ("call_2", 123_456, 5000, 5000)]


def test_what_is_mended_is_not_divided_over_attempts_any_more(tmp_path: Path) -> None:
    attempts = (Attempted("d", "a", "reset", 200, 1, BROKEN), Attempted("d2", "a", "ok", 200, 1, BROKEN))
    write_segment(tmp_path, settle("call_1", cost_nanousd=-1, quote_nanousd=777, flags="attempts_billed", attempts=attempts))
    Intake(tmp_path).run_once()
    release_quarantined(QuarantinedReceipt.objects.get())
    row = UsageRecord.objects.get()
    assert (row.flags, row.cost_nanousd, [attempt[5] for attempt in row.attempts]) == ("mended", 777, [None, None])


def test_bytes_that_are_no_receipt_cannot_be_released(tmp_path: Path) -> None:
    aside = QuarantinedReceipt.objects.create(segment="w0/1", offset=24, payload=b"\x00noise", reason="damaged")
    with pytest.raises(NotReleasable):
        release_quarantined(aside)
    assert QuarantinedReceipt.objects.count() == 1


def test_labels_with_nul_bytes_and_lone_surrogates_are_cleaned_not_refused(tmp_path: Path) -> None:
    write_segment(tmp_path, settle(end_user="a\0b\ud800c", tags="\0", user_agent="x" * 999, ip="not an address"))
    assert Intake(tmp_path).run_once() == Taken(rows=1)
    assert recorded("end_user", "tags", "user_agent", "ip") == [("call_1", "ab?c", "", "x" * 200, None)]


def test_what_callers_say_arrives_as_they_said_it(tmp_path: Path) -> None:
    said = ("\\N", "a\tb", "a\nb\r", "\\", '"', "\\.", "\x01", "\u2028", "'); --", "")
    write_segment(tmp_path, *[settle(f"call_{n}", end_user=text, session=text, client_request_id=text) for n, text in enumerate(said)])
    assert Intake(tmp_path).run_once() == Taken(rows=len(said))
    assert recorded("end_user", "session", "client_request_id") == [(f"call_{n}", text, text, text) for n, text in enumerate(said)]


def test_known_calls_and_poison_in_one_batch_leave_the_new_ones_whole(tmp_path: Path) -> None:
    write_segment(tmp_path, settle("call_2", cost_nanousd=1))
    Intake(tmp_path).run_once()
    calls = [settle("call_1"), settle("call_2", cost_nanousd=2), settle("call_3", outcome="odd"), settle("call_4"), settle("call_4", cost_nanousd=3)]
    write_segment(tmp_path, *calls, worker="w1")
    assert Intake(tmp_path).run_once() == Taken(rows=2, quarantined=1)
    assert recorded("cost_nanousd") == [("call_1", 123_456), ("call_2", 1), ("call_4", 123_456)]


def test_orphans_of_a_dead_worker_are_settled_at_their_progress_else_at_their_input(tmp_path: Path) -> None:
    progress = Progress("call_2", STARTED_AT_MS + 9_000, 40, 77, 8_888)
    earlier = Progress("call_2", STARTED_AT_MS + 4_000, 40, 30, 6_000)
    write_segment(tmp_path, intent("call_1"), intent("call_2"), earlier, progress, intent("call_3"), settle("call_3"))
    assert Intake(tmp_path).run_once() == Taken(rows=3, orphans=2)
    fields = ("outcome", "usage_source", "flags", "input_tokens", "output_tokens", "cost_nanousd", "duration_ms", "status")
    assert recorded(*fields) == [
        ("call_1", "unknown", "estimated", "orphan", 40, 0, 5_000, 0, 0),
        ("call_2", "unknown", "estimated", "orphan", 40, 77, 8_888, 9_000, 0),
        ("call_3", "ok", "provider", "", 1200, 300, 123_456, 812, 200),
    ]
    assert segment_numbers(tmp_path / "w0") == []


BROKEN = Charge("azure", "gpt-5", PRICE, "provider", "", 50, 20, 0, 0, 7, 0, 0, 6_400)


def test_an_orphan_costs_what_its_attempts_before_cost_too(tmp_path: Path) -> None:
    before = (Attempted("gpt-5@azure", "azure", "reset", 200, 30, BROKEN, 9), Attempted("gpt-5@b", "b", "503", 503, 2, None, 9))
    write_segment(tmp_path, intent("call_1"), intent("call_1", attempts=before))
    assert Intake(tmp_path).run_once() == Taken(rows=1, orphans=1)
    assert recorded("flags", "input_tokens", "cached_tokens", "output_tokens", "cost_nanousd") == [("call_1", "orphan,attempts_billed", 90, 20, 7, 11_400)]
    assert UsageRecord.objects.get().attempts == [
        ["gpt-5@azure", "azure", "reset", 200, 30, ["azure", "gpt-5", PRICE, "provider", "", 50, 20, 0, 0, 7, 0, 0, 6_400, 0, 0], 9],
        ["gpt-5@b", "b", "503", 503, 2, None, 9],
        ["gpt-5@openai-eu", "openai-eu", "unknown", 0, 0, ["openai", "gpt-5-2025-08-07", PRICE, "estimated", "", 40, 0, 0, 0, 0, 0, 0, 5_000, 0, 0], 0],
    ]


def test_charges_are_kept_without_nul_bytes(tmp_path: Path) -> None:
    odd = Attempted("d\0", "a", "ok", 200, 1, structs.replace(BROKEN, upstream_model="gpt\0-5"), 9)
    write_segment(tmp_path, settle(attempts=(odd,)))
    assert Intake(tmp_path).run_once() == Taken(rows=1)
    ((deployment, *_, charge, _),) = UsageRecord.objects.get().attempts
    assert (deployment, charge[1]) == ("d", "gpt-5")


def test_calls_of_a_living_worker_are_no_orphans_and_keep_their_segment(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w0", segment_bytes=500)
    for record in (intent("call_1"), intent("call_2"), settle("call_2"), settle("call_3")):
        journal.append(encode(record))
    assert Intake(tmp_path).run_once() == Taken(rows=2)
    assert segment_numbers(tmp_path / "w0")[0] == 1
    journal.close()
    assert Intake(tmp_path).run_once() == Taken(rows=1, orphans=1)
    assert segment_numbers(tmp_path / "w0") == []


def test_a_successor_under_the_same_name_leaves_its_predecessors_calls_orphaned(tmp_path: Path) -> None:
    write_segment(tmp_path, intent("call_1"))
    journal = Journal(tmp_path, "w0")
    journal.append(encode(intent("call_2")))
    assert Intake(tmp_path).run_once() == Taken(rows=1, orphans=1)
    assert ([call for (call,) in recorded()], segment_numbers(tmp_path / "w0")) == (["call_1"], [2])
    journal.close()


def test_a_torn_tail_is_dropped_and_the_call_settled_from_its_intent(tmp_path: Path) -> None:
    write_segment(tmp_path, settle("call_1"), intent("call_2"), encode(settle("call_2"))[:-7])
    assert Intake(tmp_path).run_once() == Taken(rows=2, orphans=1)
    assert (recorded("cost_nanousd"), QuarantinedReceipt.objects.count()) == ([("call_1", 123_456), ("call_2", 5_000)], 0)


@pytest.mark.parametrize("torn_bytes", [4, 9, 100])
def test_a_record_torn_in_memory_is_dropped_with_the_zeros_behind_it(tmp_path: Path, torn_bytes: int) -> None:
    write_segment(tmp_path, settle("call_1"), encode(settle("call_2"))[:torn_bytes] + bytes(5 * 1024 * 1024))
    assert Intake(tmp_path).run_once() == Taken(rows=1)
    assert segment_numbers(tmp_path / "w0") == []


def test_a_bad_checksum_in_the_middle_costs_only_its_own_record(tmp_path: Path) -> None:
    damaged = bytearray(encode(settle("call_2")))
    damaged[40] ^= 0xFF
    write_segment(tmp_path, settle("call_1"), bytes(damaged), settle("call_3"), bytes(512))
    assert Intake(tmp_path).run_once() == Taken(rows=2, quarantined=1)
    assert ([call for (call,) in recorded()], bytes(QuarantinedReceipt.objects.get().payload)) == (["call_1", "call_3"], bytes(damaged))
    assert segment_numbers(tmp_path / "w0") == []


def test_a_header_cut_short_is_removed_once_its_writer_is_dead(tmp_path: Path) -> None:
    path = segment_path(tmp_path / "w0", 1)
    path.parent.mkdir()
    path.write_bytes(b"sgw")
    assert (Intake(tmp_path).run_once(), path.exists()) == (Taken(), False)


def test_with_the_database_away_nothing_is_lost(tmp_path: Path) -> None:
    path = write_segment(tmp_path, intent("call_1"), settle("call_1"), intent("call_2"))
    intake = Intake(tmp_path)

    def away(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("INSERT"):
            raise OperationalError("the server closed the connection unexpectedly")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(away), pytest.raises(OperationalError):
        intake.run_once()
    assert (path.exists(), recorded(), JournalPosition.objects.count(), os.listdir(tmp_path)) == (True, [], 0, ["w0"])
    assert intake.run_once() == Taken(rows=2, orphans=1)
    assert [call for (call,) in recorded()] == ["call_1", "call_2"]


def test_two_intakes_over_one_journal_count_each_call_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w0")
    first, second = Intake(tmp_path), Intake(tmp_path)
    journal.append(encode(settle("call_1")))
    first.run_once()
    journal.append(encode(settle("call_2")))
    second.run_once()
    journal.append(encode(settle("call_3")))
    assert [first.run_once(), first.run_once(), second.run_once()] == [Taken(), Taken(rows=1), Taken()]
    journal.close()
    assert [call for (call,) in recorded()] == ["call_1", "call_2", "call_3"]


def test_a_missing_directory_is_an_empty_journal(tmp_path: Path) -> None:
    assert Intake(tmp_path / "none").run_once() == Taken()


def test_a_keys_last_use_is_noted_with_its_place_and_never_goes_back(tmp_path: Path) -> None:
    project = Project.objects.create(name="P", business_unit=BusinessUnit.objects.create(name="U"))
    expires_at = datetime.now(UTC) + timedelta(days=1)
    VirtualKey.objects.create(public_id="abcdefghij", name="k", project=project, digest=b"d", expires_at=expires_at)
    latest = settle("call_2", started_at_ms=STARTED_AT_MS + 5_000, ip="2001:DB8::1", user_agent="curl/8")
    write_segment(tmp_path, settle("call_1"), latest, settle("call_3", started_at_ms=STARTED_AT_MS + 1_000))
    Intake(tmp_path).run_once()
    write_segment(tmp_path, settle("call_4", started_at_ms=STARTED_AT_MS - 5_000), number=2)
    Intake(tmp_path).run_once()
    row = VirtualKey.objects.get()
    used_at = datetime.fromtimestamp(STARTED_AT_MS / 1000 + 5, UTC)
    assert (row.last_used_at, row.last_used_ip, row.last_used_agent) == (used_at, "2001:db8::1", "curl/8")
