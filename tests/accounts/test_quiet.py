"""Quiet hours and digests end at wall-clock times, also on the days the clock is changed."""

from datetime import UTC, datetime, time

import pytest

from accounts.quiet import after_quiet, digest_at


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "begins", "ends", "zone", "out"),
    [
        ("2026-11-24T12:00", time(22), time(7), "UTC", "2026-11-24T12:00"),
        ("2026-11-24T22:00", time(22), time(7), "UTC", "2026-11-25T07:00"),
        ("2026-11-24T06:59", time(22), time(7), "UTC", "2026-11-24T07:00"),
        ("2026-11-24T07:00", time(22), time(7), "UTC", "2026-11-24T07:00"),
        ("2026-11-24T12:30", time(12), time(13), "UTC", "2026-11-24T13:00"),
        ("2026-11-24T22:00", time(22), time(7), "Europe/Berlin", "2026-11-25T06:00"),
        ("2026-11-24T20:59", time(22), time(7), "Europe/Berlin", "2026-11-24T20:59"),
        # the night the clock goes forward is an hour shorter, the one it goes back an hour longer
        ("2026-03-28T21:30", time(22), time(7), "Europe/Berlin", "2026-03-29T05:00"),
        ("2026-10-24T20:30", time(22), time(7), "Europe/Berlin", "2026-10-25T06:00"),
        # an end that does not exist on that day
        ("2026-03-29T00:30", time(22), time(2, 30), "Europe/Berlin", "2026-03-29T01:30"),
    ],
)
def test_a_notice_waits_for_the_end_of_quiet_hours(at: str, begins: time, ends: time, zone: str, out: str) -> None:
    assert after_quiet(utc(at), begins, ends, zone) == utc(out)


def test_without_quiet_hours_nothing_waits() -> None:
    assert after_quiet(utc("2026-11-24T03:00"), None, None, "UTC") == utc("2026-11-24T03:00")


@pytest.mark.parametrize(
    ("at", "digest", "zone", "out"),
    [
        ("2026-11-24T12:00", "hourly", "UTC", "2026-11-24T13:00"),
        ("2026-11-24T12:59", "hourly", "Asia/Kolkata", "2026-11-24T13:00"),
        ("2026-11-24T07:59", "daily", "UTC", "2026-11-24T08:00"),
        ("2026-11-24T08:00", "daily", "UTC", "2026-11-25T08:00"),
        ("2026-11-24T08:00", "daily", "America/New_York", "2026-11-24T13:00"),
        ("2026-03-28T12:00", "daily", "Europe/Berlin", "2026-03-29T06:00"),
    ],
)
def test_a_digest_goes_out_at_the_next_full_hour_or_in_the_morning(at: str, digest: str, zone: str, out: str) -> None:
    assert digest_at(utc(at), digest, zone) == utc(out)
