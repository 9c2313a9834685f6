"""The trail leaves as a file that proves itself or that people read, and that it left is an event."""

import csv
import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts import audit
from accounts.audit import chain
from accounts.audit.export import as_csv, as_jsonl
from accounts.models import AuditEvent, User
from tests.gateway.api.callers import company, person, program

pytestmark = pytest.mark.django_db


def test_json_lines_can_be_verified_with_the_audit_key(settings: Any) -> None:
    audit.record("test.done", reason="späße \x01 \ud800".encode("utf-8", "replace").decode())
    audit.record("test.done")
    previous = chain.START
    for line in as_jsonl(AuditEvent.objects.order_by("seq")):
        told = json.loads(line)
        texts, before, digest = told.pop("texts"), told.pop("previous"), told.pop("hash")
        assert (before, chain.link(settings.AUDIT_KEY, previous, told)) == (previous, digest)
        assert {name: chain.commitment(held["salt"], held["value"]) for name, held in texts.items()} == told["commitments"]
        previous = digest


def test_csv_starts_no_formula_and_keeps_every_value() -> None:
    audit.record("test.done", reason='=HYPERLINK("http://evil")', changes={"name": ["a", 'b,"\n']})
    (row,) = csv.DictReader(io.StringIO("".join(as_csv(AuditEvent.objects.all()))))
    assert (row["reason"], json.loads(row["changes"])) == ("'=HYPERLINK(\"http://evil\")", {"name": ["a", 'b,"\n']})


def test_the_api_gives_what_the_caller_sees_and_records_it() -> None:
    *_, mine, _ = company()
    caller = program(project=mine)
    answer = caller.get("audit-events/export?as=jsonl")
    projects = {json.loads(line)["project"] for line in answer.content.decode().splitlines()}
    assert (answer.headers["content-type"], projects) == ("application/jsonl; charset=utf-8", {mine.pk.hex})
    assert AuditEvent.objects.latest("seq").action == "audit.export"


@pytest.mark.parametrize("query", ["as=xml", "after=-1", "after=x", "colour=red"])
def test_an_export_that_makes_no_sense_is_refused(query: str) -> None:
    assert program().get(f"audit-events/export?{query}").status_code == 400


def test_an_export_goes_on_where_the_last_one_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.api.audit.MOST_EXPORTED", 2)
    caller = person("auditor", "auditor")
    company()
    seen: list[int] = []
    after = "0"
    for _ in range(3):
        answer = caller.get(f"audit-events/export?after={after}")
        seen += [json.loads(line)["seq"] for line in answer.content.decode().splitlines()]
        after = answer.headers["x-next-after"]
    assert seen == [1, 2, 3, 4, 5, 6]


def test_the_command_writes_everything_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    audit.record("test.done")
    call_command("audit_export", format="csv")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["action"] for row in rows] == ["test.done", "audit.export"]


def test_a_person_is_erased_by_command_only_when_it_is_meant() -> None:
    user = User.objects.create_user("ada@example.com")
    with pytest.raises(CommandError, match="--yes"):
        call_command("audit_erase", f"usr_{user.pk.hex}", reason="request 17")
    call_command("audit_erase", f"usr_{user.pk.hex}", "--yes", reason="request 17")
    assert "ada@example.com" not in "".join(as_jsonl(AuditEvent.objects.all()))
    with pytest.raises(CommandError, match="usr_"):
        call_command("audit_erase", "prj_1", "--yes", reason="request 17")
