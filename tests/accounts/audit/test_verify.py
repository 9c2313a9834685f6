"""Whatever is done to the trail behind the product's back is found, and the right event is named."""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections

from accounts import audit
from accounts.audit.verify import verify
from accounts.models import AuditEvent

EVENTS = 5


@pytest.fixture
def checkpoints(tmp_path: Path, settings: Any) -> Path:
    settings.AUDIT_CHECKPOINTS = tmp_path / "checkpoints.jsonl"
    return tmp_path / "checkpoints.jsonl"


@pytest.fixture
def trail(transactional_db: None, checkpoints: Path) -> Iterator[Path]:
    """Five events, whose triggers are out of the way as they are for whoever owns the database."""
    for number in range(EVENTS):
        audit.record("test.done", reason=f"number {number}")
    with connection.cursor() as cursor:
        on = " ON accounts_auditevent" if connection.vendor == "postgresql" else ""
        sql: list[str] = []
        if connection.vendor == "sqlite":
            sql = [made for (made,) in cursor.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'accounts_auditevent'").fetchall()]
        for name in ("final", "kept"):
            if connection.vendor == "postgresql":
                cursor.execute(f"ALTER TABLE accounts_auditevent DISABLE TRIGGER accounts_auditevent_{name}")
            else:
                cursor.execute(f"DROP TRIGGER accounts_auditevent_{name}{on}")
        yield checkpoints
        for made in sql:
            cursor.execute(made)
        if connection.vendor == "postgresql":
            cursor.execute("ALTER TABLE accounts_auditevent ENABLE TRIGGER ALL")


def test_a_trail_left_alone_is_whole(trail: Path) -> None:
    assert verify() == (True, EVENTS, None, "", 0)


def change(**values: Any) -> Callable[[], None]:
    return lambda: AuditEvent.objects.filter(seq=3).update(**values) and None


def delete_the_third() -> None:
    AuditEvent.objects.filter(seq=3).delete()


def swap_two() -> None:
    for old, new in ((3, 30), (4, 3), (30, 4)):
        AuditEvent.objects.filter(seq=old).update(seq=new)


def insert_one() -> None:
    for seq in (5, 4, 3):
        AuditEvent.objects.filter(seq=seq).update(seq=seq + 1)
    forged = AuditEvent.objects.get(seq=2)
    forged.pk, forged.id, forged.hash = 3, uuid.uuid4(), "f" * 64
    forged.save(force_insert=True)


def change_a_text() -> None:
    event = AuditEvent.objects.get(seq=3)
    event.texts["reason"]["value"] = "number 9"
    event.save()


def drop_a_text() -> None:
    event = AuditEvent.objects.get(seq=3)
    event.texts["reason"] = None
    event.save()


@pytest.mark.parametrize(
    ("tamper", "first_bad"),
    [
        (change(action="test.undone"), 3),
        (change(actor_id="usr_1"), 3),
        (change(previous="0" * 64), 3),
        (delete_the_third, 3),
        (swap_two, 3),
        (insert_one, 3),
        (change_a_text, 3),
        (drop_a_text, 3),
    ],
    ids=["flip", "actor", "link", "delete", "reorder", "insert", "text", "text gone"],
)
def test_tampering_is_found(trail: Path, tamper: Callable[[], None], first_bad: int) -> None:
    tamper()
    verdict = verify()
    assert (verdict.valid, verdict.first_bad) == (False, first_bad)


def cut_the_tail(*, with_head: bool) -> None:
    AuditEvent.objects.filter(seq__gt=3).delete()
    if with_head:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE accounts_audithead SET seq = 3, hash = (SELECT hash FROM accounts_auditevent WHERE seq = 3)")


@pytest.mark.parametrize("with_head", [False, True])
def test_a_cut_tail_is_found_even_when_the_recorded_end_is_moved(trail: Path, with_head: bool) -> None:
    cut_the_tail(with_head=with_head)
    verdict = verify()
    assert (verdict.valid, verdict.checked, verdict.first_bad) == (False, 3, 4)


def test_another_key_is_found(trail: Path, settings: Any) -> None:
    settings.AUDIT_KEY = "another-audit-key-" + "b" * 32
    verdict = verify()
    assert (verdict.valid, "audit key" in verdict.reason) == (False, True)


def test_a_forged_checkpoint_is_found(trail: Path) -> None:
    trail.write_text(trail.read_text().replace('"seq": 5', '"seq": 4'))
    verdict = verify()
    assert (verdict.valid, verdict.reason) == (False, "The checkpoint of event 4 is not signed with this audit key.")


def test_the_command_says_whole_or_where_not(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("audit_verify")
    assert capsys.readouterr().out == "The audit trail is whole: 5 events, 0 texts erased on record.\n"
    delete_the_third()
    with pytest.raises(CommandError, match=r"NOT whole\. event 3: Event 3 is missing\. 2 events before it are good\."):
        call_command("audit_verify")


@pytest.mark.django_db(transaction=True)
def test_a_hundred_parallel_writers_leave_a_whole_trail(checkpoints: Path) -> None:
    def write(number: int) -> None:
        try:
            audit.record("test.done", reason=str(number))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(write, range(100)))
    assert verify() == (True, 100, None, "", 0)
    assert list(AuditEvent.objects.order_by("seq").values_list("seq", flat=True)) == list(range(1, 101))
