"""Carries the newest checkpoint to every anchor of the installation, and tells administrators about an anchor that takes none."""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.utils import timezone

from accounts.addresses import AddressRules
from accounts.anchors import anchor_of
from accounts.audit import checkpoints
from accounts.egress import NotAllowed, NotDelivered
from accounts.models import AuditAnchor, AuditHead

logger = structlog.get_logger(__name__)
OVERDUE = timedelta(minutes=15)


def anchor_newest() -> int:
    """Keep the newest checkpoint wherever it is not kept yet; return how many anchors took it."""
    head = AuditHead.objects.filter(pk=1).first()
    if head is None:
        return 0
    return sum(_anchor(url, head) for url in settings.AUDIT_ANCHORS)


def _anchor(url: str, head: AuditHead) -> bool:
    """Keep the head at one anchor; False when it is there already or was refused."""
    row, _ = AuditAnchor.objects.get_or_create(id=hashlib.sha256(url.encode()).hexdigest()[:32], defaults={"name": name_of(url)})
    if row.seq >= head.seq and not row.last_error:
        return False
    now = timezone.now()
    try:
        anchor_of(url).keep(url, f"{head.seq:016d}", checkpoints.make(head.seq, head.hash).line, AddressRules(settings.PRIVATE_CHANNELS))
    except (NotAllowed, NotDelivered) as error:
        logger.error("audit_anchor_refused", anchor=row.name, reason=str(error))
        AuditAnchor.objects.filter(pk=row.pk).update(last_error=str(error)[:300], failing_since=row.failing_since or now)
        return False
    AuditAnchor.objects.filter(pk=row.pk).update(seq=head.seq, kept_at=now, last_error="", failing_since=None)
    return True


def overdue(now: datetime) -> list[AuditAnchor]:
    """Return the anchors in use that have refused checkpoints for a quarter of an hour or longer."""
    used = {hashlib.sha256(url.encode()).hexdigest()[:32] for url in settings.AUDIT_ANCHORS}
    return list(AuditAnchor.objects.filter(pk__in=used, failing_since__lte=now - OVERDUE))


def kept_lines(url: str) -> Iterator[str]:
    """Yield the checkpoints an anchor kept. Raises ValueError for an anchor that is read elsewhere, NotDelivered when it cannot be read."""
    anchor = anchor_of(url)
    if anchor.lines is None:
        raise ValueError("is read at its far side: save its checkpoints to a file, one a line, and name that")
    return anchor.lines(url)


def name_of(url: str) -> str:
    """Return an anchor's name for people: scheme, host and path, never a query that may hold a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"[:200]
