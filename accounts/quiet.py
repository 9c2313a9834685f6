"""When a notice may go out: quiet hours and digests as wall-clock times of a time zone. Knows no rows and no messages."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAILY_AT = time(8)


def after_quiet(at: datetime, begins: time | None, ends: time | None, zone: str) -> datetime:
    """Return `at`, or the end of the quiet hours it falls into, as aware UTC; they may run over midnight."""
    if begins is None or ends is None:
        return at
    local = at.astimezone(ZoneInfo(zone))
    wall = local.time()
    if begins < ends:
        is_quiet, day = begins <= wall < ends, local.date()
    else:
        is_quiet, day = wall >= begins or wall < ends, local.date() + timedelta(days=wall >= begins)
    return max(at, datetime.combine(day, ends, ZoneInfo(zone)).astimezone(UTC)) if is_quiet else at


def digest_at(at: datetime, digest: str, zone: str) -> datetime:
    """Return when the digest that takes in `at` goes out: the next full hour, or the next 08:00 of the zone, as aware UTC."""
    if digest == "hourly":
        return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    local = at.astimezone(ZoneInfo(zone))
    day = local.date() + timedelta(days=local.time() >= DAILY_AT)
    return datetime.combine(day, DAILY_AT, ZoneInfo(zone)).astimezone(UTC)
