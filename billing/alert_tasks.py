"""Periodic looks at the figures. A task calls one action and holds no logic."""

from celery import shared_task
from django.utils import timezone

from billing import alerts


@shared_task
def look() -> int:
    """Record what has been reached since the last look; return how many alerts are new."""
    return alerts.look(timezone.now())


@shared_task
def look_ahead() -> int:
    """Record what is to be expected; return how many alerts are new."""
    return alerts.look_ahead(timezone.now())
