"""Holding money before it is spent: windows of time, and what workers and the authority say to each other. No Django, no I/O."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

import msgspec

DAY_S = 86_400


class Span(NamedTuple):
    """A window's label and its borders in Unix seconds; `closes_at_s` is 0 for no end."""

    label: str
    opens_at_s: int
    closes_at_s: int


def span_of(period: str, now_s: float, starts_at_s: int = 0, ends_at_s: int = 0) -> Span:
    """Return the window of a period that holds a moment of the database's clock; UTC, so that no daylight saving is ever in it.

    `period` is minute, daily, weekly (ISO 8601), monthly, fixed (from `starts_at_s` to `ends_at_s`) or total. Raises ValueError for another one.
    """
    now = datetime.fromtimestamp(now_s, UTC)
    if period == "minute":
        opens = now.replace(second=0, microsecond=0)
        return _span(f"{opens:%Y-%m-%dT%H:%M}", opens, opens + timedelta(minutes=1))
    if period == "total":
        return Span("total", 0, 0)
    if period == "fixed":
        return Span("fixed", starts_at_s, ends_at_s)
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "daily":
        return _span(f"{day:%Y-%m-%d}", day, day + timedelta(days=1))
    if period == "weekly":
        monday = day - timedelta(days=day.weekday())
        return _span(f"{day:%G-W%V}", monday, monday + timedelta(days=7))
    if period == "monthly":
        first = day.replace(day=1)
        return _span(f"{first:%Y-%m}", first, (first + timedelta(days=32)).replace(day=1))
    raise ValueError(f"no such period: {period}")


def _span(label: str, opens: datetime, closes: datetime) -> Span:
    return Span(label, int(opens.timestamp()), int(closes.timestamp()))


class Want(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a worker asks of one window: `least` is what the waiting call needs, `wish` what would spare the next question; `call` is what one call needs,
    so that nothing is granted in parts of a call.

    `owner` is `b:<budget>` or `l:<limit>`; `window` its id with subject and label; borders in Unix seconds, 0 for no end.
    """

    window: str
    owner: str
    subject: str
    opens_at_s: int
    closes_at_s: int
    least: int
    wish: int
    call: int = 1


class Grant(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The answer to a Want: `amount` is 0 when refused; then `reason` is exhausted, held (by others, it may come back), frozen or unreachable.

    `limit`, `spent` and `held` are the window's figures at that moment.
    """

    window: str
    amount: int
    limit: int
    spent: int
    held: int
    reason: str = ""


class Take(msgspec.Struct, frozen=True, tag="take"):
    """A worker asks. `number` rises with every question of this worker, so that one asked twice is granted once."""

    number: int
    worker: str
    wants: tuple[Want, ...]


class Granted(msgspec.Struct, frozen=True, tag="granted"):
    """The authority answers a Take."""

    number: int
    grants: tuple[Grant, ...]


class GiveBack(msgspec.Struct, frozen=True, tag="giveback"):
    """A worker returns unused amounts, by window; numbered like Take. Held by the worker until it is answered, then forgotten.

    Of the windows in `ends` it holds nothing more, and has journalled all that it spent: what its leases still keep there is nobody's.
    """

    number: int
    worker: str
    amounts: dict[str, int]
    ends: tuple[str, ...] = ()


class GaveBack(msgspec.Struct, frozen=True, tag="gaveback"):
    """The authority has taken back what GiveBack returned."""

    number: int


class Recall(msgspec.Struct, frozen=True, tag="recall"):
    """The authority wants idle amounts of these windows back at once; answered by a GiveBack, empty if nothing is idle."""

    windows: tuple[str, ...]


class Clock(msgspec.Struct, frozen=True, tag="clock"):
    """The authority tells the database's clock in Unix seconds, at connect and every now and then."""

    now_s: float


class Standing(msgspec.Struct, frozen=True, tag="standing"):
    """The authority tells whether it reaches the database: at connect and when that changes."""

    up: bool


class Authority(Protocol):
    """Where leases come from: the line to this host's steward, or a fake."""

    @property
    def reachable(self) -> bool:
        """Whether somebody can be asked right now."""
        ...

    def ask(self, wants: tuple[Want, ...]) -> None:
        """Ask; the answer comes by itself, later if nobody can be asked now."""
        ...

    def give_back(self, amounts: dict[str, int], ends: tuple[str, ...] = ()) -> None:
        """Return unused amounts by window, sooner or later; of those in `ends` nothing more is held here."""
        ...

    def now_s(self) -> float:
        """Return the database's clock in Unix seconds."""
        ...
