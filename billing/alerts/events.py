"""Recording of an alert: exactly once, together with its notices. Knows no rule."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import BusinessUnit, Project, User, VirtualKey
from accounts.outbox import notify
from billing.models import AlertEvent
from billing.money import to_usd


@transaction.atomic
def record(
    *,
    kind: str,
    subject: str,
    window: str,
    threshold: int,
    severity: str,
    title: str,
    text: str,
    scope: Project | VirtualKey | BusinessUnit | None,
    facts: dict[str, Any] | None = None,
) -> bool:
    """Record an alert and write its notices; return False, and write nothing, when it is recorded already."""
    project = scope.project if isinstance(scope, VirtualKey) else scope if isinstance(scope, Project) else None
    unit = scope if isinstance(scope, BusinessUnit) else None
    told: dict[str, Any] = {"subject": subject, "window": window, "threshold": threshold, **(facts or {})}
    event, is_new = AlertEvent.objects.get_or_create(
        kind=kind,
        subject=subject[:300],
        window=window,
        threshold=threshold,
        defaults={
            "severity": severity,
            "title": " ".join(title.split())[:200],
            "text": text,
            "facts": told,
            "project": project,
            "business_unit": unit,
        },
    )
    if is_new:
        notify(
            reference=f"alert:{event.pk}",
            kind=f"alert.{kind}",
            severity=severity,
            title=event.title,
            text=text,
            path=f"/admin/billing/alertevent/{event.pk}/change/",
            facts=told,
            project=project,
            unit=unit,
        )
    return is_new


@audit.act()
def acknowledge(events: Sequence[AlertEvent], by: User) -> int:
    """Note who has seen the alerts; return how many nobody had seen before."""
    chosen = AlertEvent.objects.select_for_update().filter(pk__in=[event.pk for event in events], acknowledged_at__isnull=True)
    seen = list(chosen.order_by("pk"))
    for event in seen:
        audit.record("alert.acknowledge", audit.Subject("alert", f"alr_{event.pk}", event.title))
    return AlertEvent.objects.filter(pk__in=[event.pk for event in seen]).update(acknowledged_at=timezone.now(), acknowledged_by=by)


def shown(amount: int, unit: str) -> str:
    """Return an amount as people read it: money in USD to the cent (smaller ones whole), else with its unit."""
    if unit != "nanousd":
        return f"{amount:,} {unit}"
    usd = to_usd(amount)
    return f"${usd:,.2f}" if amount >= 10_000_000 or not amount else f"${usd.normalize():f}"


def named(scope: Project | VirtualKey | BusinessUnit) -> str:
    """Return a scope as people know it."""
    if isinstance(scope, VirtualKey):
        return f"key {scope.name} of project {scope.project.name}"
    return f"{'project' if isinstance(scope, Project) else 'business unit'} {scope.name}"
