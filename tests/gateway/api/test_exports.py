"""Exports: whole and true files of what their asker sees, made once, in parts, and for nobody else."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts.models import AuditEvent, Membership, User
from billing import exporting
from billing.models import Export, ExportPart
from billing.rollups import fold
from tests.billing.spent import NOON, project, record, usage
from tests.gateway.api.callers import Caller, person, program
from tests.gateway.api.company import export_of

pytestmark = pytest.mark.django_db
DAYS = {"first": "2026-10-01", "last": "2026-10-31"}


def file_of(answer: Any) -> str:
    """Return a streamed file."""
    assert answer.status_code == 200, answer.content
    text: str = b"".join(answer.streaming_content).decode()
    assert int(answer.headers["Content-Length"]) == len(text.encode())
    return text


def done(it: Caller, body: dict[str, Any]) -> Any:
    """Ask for a file, have it made, and return how it ended."""
    path = f"exports/{it.made('exports', body)['id']}"
    exporting.make_due()
    return it.get(path).json()


def test_calls_are_exported_whole_exact_and_harmless_to_spreadsheets() -> None:
    search, shop = project(), project("Shop", "Wholesale")
    record(usage("call_1", search, end_user="=cmd|'/c calc'!A1"), usage("call_2", shop, cost_nanousd=1), usage("call_3", search, NOON + timedelta(days=40)))
    it = program()
    made = done(it, {"kind": "calls", **DAYS})
    answer = it.get(f"exports/{made['id']}/file")
    rows = list(csv.DictReader(io.StringIO(file_of(answer))))
    assert (made["state"], made["rows"], made["size_bytes"], made["error"]) == ("done", 2, int(answer.headers["Content-Length"]), "")
    assert [(row["id"], row["cost_usd"], row["end_user"]) for row in rows] == [
        ("call_1", "0.002000000", "'=cmd|'/c calc'!A1"), ("call_2", "0.000000001", ""),
    ]  # fmt: skip
    assert answer.headers["Content-Disposition"] == 'attachment; filename="calls-2026-10-01-2026-10-31.csv"'
    lines = file_of(it.get(f"exports/{done(it, {'kind': 'calls', 'format': 'jsonl', **DAYS})['id']}/file")).splitlines()
    assert [(json.loads(line)["id"], json.loads(line)["end_user"]) for line in lines] == [("call_1", "=cmd|'/c calc'!A1"), ("call_2", "")]
    assert AuditEvent.objects.filter(action__startswith="export.", object_id=made["id"]).count() == 2


def test_a_file_holds_what_its_asker_sees_and_nobody_else_gets_it() -> None:
    search, shop = project(), project("Shop", "Wholesale")
    record(usage("call_mine", search), usage("call_theirs", shop))
    fold()
    dev, admin = person("", "dev", project=search, role="developer"), person("it_admin", "it")
    calls, focus = done(dev, {"kind": "calls", **DAYS}), done(dev, {"kind": "focus", **DAYS})
    text = file_of(dev.get(f"exports/{calls['id']}/file"))
    assert ("call_mine" in text, "call_theirs" in text, calls["rows"], focus["rows"]) == (True, False, 1, 1)
    assert [admin.get(f"exports/{calls['id']}{end}").status_code for end in ("", "/file")] == [404, 404]
    assert ([admin.ask("DELETE", f"exports/{calls['id']}").status_code, admin.ids("exports")]) == [404, []]
    foreign = dev.post("exports", {"kind": "calls", "project": f"prj_{shop.pk.hex}", **DAYS})
    assert (foreign.status_code, [error["field"] for error in foreign.json()["errors"]]) == (400, ["project"])
    assert dev.ask("DELETE", f"exports/{calls['id']}").status_code == 204
    assert (Export.objects.count(), ExportPart.objects.count()) == (1, 1)


def test_rights_lost_before_the_file_is_made_count() -> None:
    search = project()
    record(usage("call_1", search))
    dev = person("", "dev", project=search, role="developer")
    for _ in range(2):
        dev.made("exports", {"kind": "calls", **DAYS})
    first, second = Export.objects.order_by("created_at")
    Membership.objects.all().delete()
    assert exporting.make(first.pk)
    User.objects.update(is_active=False)
    assert not exporting.make(second.pk)
    assert list(Export.objects.order_by("created_at").values_list("state", "rows")) == [("done", 0), ("failed", 0)]


def test_a_token_exports_only_what_it_may_read() -> None:
    search = project()
    body = {"kind": "calls", **DAYS}
    refused = program("a", ("exports:read", "exports:write"), project=search).post("exports", body)
    assert (refused.status_code, "calls:read" in refused.json()["detail"]) == (403, True)
    assert program("b", ("exports:write", "calls:read"), project=search).post("exports", body).status_code == 201


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "secrets"}, "kind"), ({"format": "xml"}, "format"), ({"kind": "focus", "format": "jsonl"}, "format"), ({"last": "2026-09-30"}, "last"),
        ({"first": "2020-01-01"}, "last"), ({"first": "0001-01-01", "last": "0001-01-02"}, "last"), ({"user": "usr_x"}, "user"), ({"state": "done"}, "state"),
    ],
)  # fmt: skip
def test_what_is_no_file_is_refused_by_field(change: dict[str, Any], field: str) -> None:
    answer = program().post("exports", {"kind": "calls", **DAYS, **change})
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]], Export.objects.count()) == (400, [field], 0)


def test_a_file_not_ready_yet_is_a_conflict_and_few_are_made_at_once() -> None:
    it = program()
    made = [it.made("exports", {"kind": "calls", **DAYS}) for _ in range(exporting.MOST_OPEN)]
    assert it.get(f"exports/{made[0]['id']}/file").status_code == 409
    assert it.post("exports", {"kind": "calls", **DAYS}).status_code == 400


def test_a_file_comes_in_parts_and_one_too_long_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    search = project()
    record(*[usage(f"call_{number}", search) for number in range(10)])
    monkeypatch.setattr(exporting, "PART_BYTES", 700)
    it = program()
    made = done(it, {"kind": "calls", "format": "jsonl", **DAYS})
    ids = [json.loads(line)["id"] for line in file_of(it.get(f"exports/{made['id']}/file")).splitlines()]
    assert (ids, made["rows"], ExportPart.objects.count() > 3) == ([f"call_{number}" for number in range(10)], 10, True)
    ExportPart.objects.all().delete()
    monkeypatch.setattr(exporting, "MOST_ROWS", 9)
    failed = done(it, {"kind": "calls", **DAYS})
    assert (failed["state"], "fewer days" in failed["error"], ExportPart.objects.count()) == ("failed", True, 0)


def test_a_maker_that_died_is_followed_by_another_and_the_last_try_ends_it() -> None:
    search = project()
    record(usage("call_1", search))
    row = export_of(User.objects.create_user("a@b.c", role="auditor"))
    for attempts, state in ((1, "done"), (exporting.MOST_ATTEMPTS, "failed")):
        Export.objects.filter(pk=row.pk).update(state="running", attempts=attempts, claimed_until=timezone.now() + timedelta(minutes=1))
        assert exporting.make_due() == 0
        Export.objects.filter(pk=row.pk).update(claimed_until=timezone.now())
        exporting.make_due()
        assert Export.objects.get(pk=row.pk).state == state


def test_a_maker_overtaken_by_another_writes_nothing_more() -> None:
    row = export_of(User.objects.create_user("a@b.c"))
    Export.objects.filter(pk=row.pk).update(state="running", attempts=2, claimed_until=timezone.now())
    row.attempts = 1
    with pytest.raises(RuntimeError, match="another process"):
        exporting._keep(row, 0, b"x")
    assert (exporting._end(row, "done"), ExportPart.objects.count(), Export.objects.get().state) == (False, 0, "running")


def test_files_are_deleted_after_a_week() -> None:
    it = program()
    done(it, {"kind": "calls", **DAYS})
    with time_machine.travel(datetime.now(UTC) + timedelta(days=8)):
        exporting.make_due()
    assert (Export.objects.count(), ExportPart.objects.count()) == (0, 0)
