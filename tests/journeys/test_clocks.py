"""Windows follow the database's clock: at the end of a month, and while a whole instance's clock is two hours off. Needs libfaketime."""

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes.postgres import Postgres
from tests.fakes.service import Service, wait_for
from tests.journeys.budgets import Budgeted, ask
from tests.journeys.crowd import Database, all_at_once, counted

pytestmark = [pytest.mark.journey, pytest.mark.chaos, pytest.mark.faketime]
LIBRARIES = "*/faketime/libfaketimeMT.so.1"


def library() -> str:
    """Return the library that tells programs another time; fails with what to do where it is missing."""
    found = [str(path) for place in ("/usr/lib", "/usr/local/lib", "/opt/homebrew/lib") for path in Path(place).glob(LIBRARIES)]
    found += [str(path) for path in Path("/usr/lib").glob("faketime/libfaketimeMT.so.1")]
    assert found, "These tests set clocks with libfaketime. Install it (Debian: apt-get install libfaketime)."
    return found[0]


def shifted(how: str) -> dict[str, str]:
    """Return an environment in which programs read another wall clock; what they measure by the monotonic one stays."""
    return {"LD_PRELOAD": library(), "FAKETIME": how, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}


@contextlib.contextmanager
def clock(how: str) -> Iterator[None]:
    """Let programs that start inside read another wall clock."""
    kept = dict(os.environ)
    os.environ.update(shifted(how))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


@pytest.fixture
def server() -> Iterator[Postgres]:
    made = Postgres()
    yield made
    made.stop()


def windows(service: Service, budgeted: Budgeted) -> list[str]:
    """Return the labels of a budget's windows."""
    rows = Database(service).rows(f"SELECT id FROM billing_window WHERE budget_id = '{budgeted.budget[4:]}' ORDER BY id")
    return [name.rpartition(":")[2] for (name,) in rows]


def clock_of(service: Service) -> datetime:
    """Return what the instance thinks the time is."""
    return datetime.fromtimestamp(service.figure("sgw_steward_time_seconds"), UTC)


def minute_of(server: Postgres) -> str:
    """Return the minute on the database's clock."""
    return str(server.rows("""SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI')""")[0][0])


@pytest.mark.parametrize("hours", [-2, 2])
def test_an_instance_whose_clock_is_off_counts_by_the_databases(tmp_path: Path, server: Postgres, hours: int) -> None:
    service = Service(tmp_path / "data", workers=2, database_url=server.url, environment=shifted(f"{hours:+d}h")).start()
    try:
        assert abs(clock_of(service) - datetime.now(UTC) - timedelta(hours=hours)) < timedelta(minutes=5)
        party = Budgeted(service, "0.10", period="daily")
        party.made("limits", {"scope": {"key": party.key_id}, "kind": "rpm", "amount": 1000})
        service.in_force(service.figure("sgw_snapshot_revision"))
        before = minute_of(server)
        assert counted(all_at_once([service.origin], party.key, [ask(f"call {number}") for number in range(40)])) == {200: 10, 402: 30}
        after = minute_of(server)
        assert set(windows(service, party)) <= {before[:10], after[:10]}
        minutes = {name.partition(":")[2] for (name,) in server.rows("SELECT id FROM billing_window WHERE limit_id IS NOT NULL")}
        assert minutes <= {before, after}
        assert "100.00%" in service.manage("ledger_verify")
    finally:
        service.kill()


@pytest.mark.parametrize("end", ["2026-11-30 23:59:20", "2028-02-29 23:59:20", "2026-12-31 23:59:20"])
def test_a_month_ends_when_the_databases_does(tmp_path: Path, server: Postgres, end: str) -> None:
    last = datetime.fromisoformat(end).replace(tzinfo=UTC)
    old, new = f"{last:%Y-%m}", f"{last + timedelta(minutes=1):%Y-%m}"
    service = Service(tmp_path / "data", workers=2, database_url=server.url).start()
    try:
        party = Budgeted(service, "0.05", period="monthly")
        server.stop()
        with clock(f"@{end}"):
            server.start()
        wait_for(lambda: counted(all_at_once([service.origin], party.key, [ask("hello")])) == {200: 1}, 30, "the month before is served")
        many = [ask(f"call {number}") for number in range(20)]
        assert set(counted(all_at_once([service.origin], party.key, many))) == {200, 402}
        wait_for(lambda: server.rows(f"SELECT clock_timestamp() >= '{new}-01 00:00:00+00'")[0][0], 90, "the month ends")
        assert counted(all_at_once([service.origin], party.key, many)) == {200: 5, 402: 15}
        assert [label for label in windows(service, party) if label in (old, new)] == [old, new]
        spent = f"SELECT spent FROM billing_window WHERE budget_id = '{party.budget[4:]}' AND id LIKE '%:{old}'"
        wait_for(lambda: server.rows(spent) == [(50_000_000,)], 10, "the month before is full")
    finally:
        service.kill()
