"""Channels and notices for the tests of the outbox and of alerts."""

from typing import Any

from accounts import channels
from accounts.models import BusinessUnit, NotificationChannel, Project
from accounts.outbox import notify

SECRET = "whsec_" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def webhook(url: str, name: str = "hook", **fields: Any) -> NotificationChannel:
    """A stored webhook channel for the whole platform."""
    return channels.save_channel(NotificationChannel(name=name, kind="webhook", options={"url": url}, **fields), SECRET)


def tell(reference: str = "event-1", severity: str = "warning", **fields: Any) -> int:
    """Write a notice about the whole platform."""
    return notify(**{"reference": reference, "kind": "budget", "severity": severity, "title": "Title", "text": "Text", **fields})


def tree() -> tuple[BusinessUnit, BusinessUnit, Project]:
    """An organisation, a unit below it and a project in that."""
    top = BusinessUnit.objects.create(name="Top")
    unit = BusinessUnit.objects.create(name="Unit", parent=top)
    return top, unit, Project.objects.create(name="Project", business_unit=unit)
