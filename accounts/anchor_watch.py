"""Keeps the audit trail anchored and tells the platform's channels, once a day and anchor, when an anchor takes nothing."""

from django.utils import timezone

from accounts.audit import anchoring
from accounts.models import Severity
from accounts.outbox import notify


def anchor_and_tell() -> int:
    """Keep the newest checkpoint outside the database; return how many anchors took it."""
    kept, now = anchoring.anchor_newest(), timezone.now()
    for anchor in anchoring.overdue(now):
        notify(
            reference=f"audit-anchor:{anchor.pk}:{now:%Y-%m-%d}",
            kind="audit.anchor_failing",
            severity=Severity.CRITICAL,
            title=f"The audit trail is not anchored at {anchor.name}",
            text=f"Since {anchor.failing_since:%Y-%m-%d %H:%M} UTC it takes no checkpoint: {anchor.last_error} Events are still recorded and chained.",
        )
    return kept
