"""Working days: Monday to Friday in UTC, without the public holidays of the country that is set."""

from datetime import date, datetime, timedelta
from functools import lru_cache

from django.conf import settings

SATURDAY = 5


def after_working_days(moment: datetime, days: int) -> datetime:
    """Return the same time of day that many working days later; zero days return the moment itself."""
    while days > 0:
        moment += timedelta(days=1)
        days -= is_working_day(moment.date())
    return moment


def is_working_day(day: date) -> bool:
    """Say whether people work on a day."""
    return day.weekday() < SATURDAY and day not in _holidays(settings.HOLIDAYS, day.year)


@lru_cache(32)
def _holidays(place: str, year: int) -> frozenset[date]:
    """Return the public holidays of a country (`DE`) or part of one (`DE-BY`); none for an empty place. Raises NotImplementedError for an unknown one."""
    if not place:
        return frozenset()
    import holidays  # slow import

    country, _, part = place.partition("-")
    return frozenset(holidays.country_holidays(country, subdiv=part or None, years=year))
