"""Days of a report. All of them begin and end in UTC."""

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

# What one report is about at most.
MOST_DAYS = 400


class Period(NamedTuple):
    """From `first` up to and including `last`."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """Return how many days it has."""
        return (self.last - self.first).days + 1

    @property
    def before(self) -> "Period":
        """Return the whole months before if it is whole months, else as many days as it has, just before it."""
        end = self.first - timedelta(days=1)
        if self.first.day == 1 and (self.last + timedelta(days=1)).day == 1:
            months = (self.last.year - self.first.year) * 12 + self.last.month - self.first.month + 1
            return Period(months_before(self.first, months), end)
        return Period(self.first - timedelta(days=self.days), end)

    @property
    def starts_at(self) -> datetime:
        """Return its first moment."""
        return datetime.combine(self.first, time.min, UTC)

    @property
    def ends_at(self) -> datetime:
        """Return the first moment after it."""
        return datetime.combine(self.last + timedelta(days=1), time.min, UTC)

    def dates(self) -> list[date]:
        """Return its days in order."""
        return [self.first + timedelta(days=n) for n in range(self.days)]


def months_before(first: date, months: int) -> date:
    """Return the first day of the month so many months before (after, if negative)."""
    number = first.year * 12 + first.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)


def month_of(day: date) -> Period:
    """Return the calendar month of a day."""
    first = day.replace(day=1)
    return Period(first, months_before(first, -1) - timedelta(days=1))
