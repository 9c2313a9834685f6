"""Which windows a call is held in at the ends of months and years and where clocks change, wherever the host is and whatever its own clock says."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import time_machine

from gateway.terms import Limit
from tests.gateway.plane.test_hold import KEY, Bank, board, budget, rules

ALL = rules(
    budget("m", KEY), budget("w", KEY, period="weekly"), budget("d", KEY, period="daily"), Limit(id="r", scope=KEY, kind="rpm", amount=9),
)  # fmt: skip
# the database's moment: month, week, day and minute
MOMENTS = {
    "2026-10-31T23:59:59+00:00": ("2026-10", "2026-W44", "2026-10-31", "2026-10-31T23:59"),
    "2026-11-01T00:00:00+00:00": ("2026-11", "2026-W44", "2026-11-01", "2026-11-01T00:00"),
    # Berlin goes from 2 to 3 at 1 UTC, and back from 3 to 2 in autumn: that hour comes twice there, once here
    "2026-03-29T00:59:59+00:00": ("2026-03", "2026-W13", "2026-03-29", "2026-03-29T00:59"),
    "2026-03-29T01:00:00+00:00": ("2026-03", "2026-W13", "2026-03-29", "2026-03-29T01:00"),
    "2026-10-25T00:30:00+00:00": ("2026-10", "2026-W43", "2026-10-25", "2026-10-25T00:30"),
    "2026-10-25T01:30:00+00:00": ("2026-10", "2026-W43", "2026-10-25", "2026-10-25T01:30"),
    # New York, an hour before its month ends and after
    "2026-11-01T03:59:59+00:00": ("2026-11", "2026-W44", "2026-11-01", "2026-11-01T03:59"),
    "2026-11-01T06:30:00+00:00": ("2026-11", "2026-W44", "2026-11-01", "2026-11-01T06:30"),
    "2026-12-31T23:59:59+00:00": ("2026-12", "2026-W53", "2026-12-31", "2026-12-31T23:59"),
    "2027-01-01T00:00:00+00:00": ("2027-01", "2026-W53", "2027-01-01", "2027-01-01T00:00"),
    "2028-02-29T23:59:59+00:00": ("2028-02", "2028-W09", "2028-02-29", "2028-02-29T23:59"),
    "2028-03-01T00:00:00+00:00": ("2028-03", "2028-W09", "2028-03-01", "2028-03-01T00:00"),
}


@pytest.fixture(params=["UTC", "Europe/Berlin", "America/New_York", "Pacific/Chatham"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the host into a time zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("hours", [-2, 0, 2])
@pytest.mark.parametrize("at", MOMENTS)
def test_windows_are_those_of_the_databases_clock_in_utc(zone: None, at: str, hours: int) -> None:
    moment = datetime.fromisoformat(at)
    bank = Bank()
    bank.now = moment.timestamp()
    with time_machine.travel(moment + timedelta(hours=hours), tick=False):
        held = board(bank, ALL)
    month, week, day, minute = MOMENTS[at]
    assert [piece.window for piece in held.slices] == [f"m:{month}", f"w:{week}", f"d:{day}", f"r:{minute}"]
    assert all(piece.opens_at_s <= bank.now < piece.closes_at_s for piece in held.slices)
    assert [piece.closes_at_s - piece.opens_at_s for piece in held.slices[1:]] == [7 * 86_400, 86_400, 60]


def test_one_window_opens_where_the_one_before_closes_through_a_whole_year() -> None:
    bank = Bank()
    bank.now = datetime.fromisoformat("2026-01-01T00:00:00+00:00").timestamp()
    before = board(bank, ALL).slices
    for _ in range(365 * 24):
        bank.now += 3600
        now = board(bank, ALL).slices
        for old, new in zip(before[:3], now[:3], strict=True):
            assert old.window == new.window or old.closes_at_s == new.opens_at_s
        before = now
