"""Alerts: what the figures say is noticed once, recorded and told. Each rule is a module; `look` runs those that must not wait."""

from datetime import datetime

from billing.alerts.budgets import look_at_windows
from billing.alerts.credit import look_at_credit
from billing.alerts.events import acknowledge
from billing.alerts.outlook import look_ahead
from billing.alerts.unpriced import look_at_usage

__all__ = ["acknowledge", "look", "look_ahead"]


def look(now: datetime) -> int:
    """Look at what has changed since the last look; return how many alerts were recorded."""
    return look_at_windows(now) + look_at_credit(now) + look_at_usage()
