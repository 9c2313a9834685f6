"""Asking for files and making them: claimed by conditional update, written in parts, made again when their maker died, deleted in time."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from uuid import UUID

import structlog
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from accounts import access, audit
from accounts.access import Actor
from accounts.models import Project, ServiceAccount
from billing.exports import Exporter, shelf
from billing.models import Export, ExportPart
from billing.models.exports import KEPT
from billing.reports.periods import Period

log = structlog.get_logger(__name__)
State = Export.State
CLAIM = timedelta(minutes=15)
MOST_ATTEMPTS = 3
MOST_OPEN = 3
PART_BYTES = 512 * 1024
MOST_ROWS = 1_000_000
MOST_BYTES = 512 * 1024 * 1024


class TooMuch(Exception):
    """The file would be longer than is made; the message says what to do."""


def visible_exports(actor: Actor) -> QuerySet[Export]:
    """Return the exports the actor asked for: each holds what its asker saw, so nobody else gets it; none for who has no role any more."""
    return _asked_by(actor) if access.may(actor, "GET exports") else Export.objects.none()


def _asked_by(actor: Actor) -> QuerySet[Export]:
    return Export.objects.filter(service_account=actor) if isinstance(actor, ServiceAccount) else Export.objects.filter(user=actor.pk)


@audit.act()
def ask(actor: Actor, kind: str, form: str, first: date, last: date, project: Project | None) -> Export:
    """File an export. Raises ValidationError, and PermissionDenied where the actor may not read the same by the API."""
    exporter = shelf().get(kind)
    if exporter is None:
        raise ValidationError({"kind": f"There is no kind {kind!r}. Choose one of: {', '.join(sorted(shelf()))}."})
    if form not in exporter.formats:
        raise ValidationError({"format": f"{exporter.title} comes as {' or '.join(exporter.formats)}."})
    if not access.may(actor, exporter.route):
        lacking = access.lacks_scope(actor, exporter.route)
        raise PermissionDenied(f"This file takes the right to {exporter.route}" + (f" and the scope {lacking}." if lacking else "."))
    if _asked_by(actor).filter(state__in=[State.WAITING, State.RUNNING]).count() >= MOST_OPEN:
        raise ValidationError(f"{MOST_OPEN} of your exports are still being made. Wait for one to be done.")
    asker = {"service_account": actor} if isinstance(actor, ServiceAccount) else {"user": actor}
    row = Export(kind=kind, format=form, first_day=first, last_day=last, project=project.pk if project else None, **asker)
    row.save(force_insert=True)
    return row


@audit.act()
def delete(row: Export) -> None:
    """Delete an export with its file."""
    row.delete()


def make_due() -> int:
    """Delete what is over, then make what waits, the oldest first; return how many files were made."""
    now = timezone.now()
    Export.objects.filter(expires_at__lte=now).delete()
    return sum(make(pk) for pk in list(Export.objects.filter(_due(now)).order_by("created_at").values_list("pk", flat=True)[:20]))


def _due(now: datetime) -> Q:
    return Q(state=State.WAITING) | Q(state=State.RUNNING, claimed_until__lte=now)


def make(pk: UUID) -> bool:
    """Make one file unless another does; return whether it is done. What cannot be made fails with a reason."""
    row = _claimed(pk)
    if row is None:
        return False
    try:
        rows, size = _write(row)
    except TooMuch as reason:
        _end(row, State.FAILED, error=str(reason))
        return False
    except Exception as error:  # an exporter may fail in ways of its own: recorded, and tried again a few times
        log.exception("export_failed", export=row.pk.hex)
        if row.attempts < MOST_ATTEMPTS:
            _mine(row).update(state=State.WAITING, claimed_until=None)
        else:
            _end(row, State.FAILED, error=f"The export broke off unexpectedly ({type(error).__name__}); see the log.")
        return False
    return _end(row, State.DONE, rows=rows, size_bytes=size)


def _claimed(pk: UUID) -> Export | None:
    """Take an export to make; None when another took it or it was tried too often, which ends it."""
    now = timezone.now()
    found = Export.objects.select_related("user", "service_account").filter(_due(now), pk=pk).first()
    if found is None:
        return None
    mine = Export.objects.filter(pk=pk, state=found.state, attempts=found.attempts)
    if found.attempts >= MOST_ATTEMPTS:
        mine.update(state=State.FAILED, error="The process ended during the last try.", finished_at=now, expires_at=now + KEPT)
        return None
    claimed = mine.update(state=State.RUNNING, claimed_until=now + CLAIM, attempts=F("attempts") + 1)
    found.attempts += 1
    return found if claimed == 1 else None


def _write(row: Export) -> tuple[int, int]:
    """Write the parts in place of those of an earlier try; return the number of lines below the header and the size in bytes."""
    exporter: Exporter = shelf()[row.kind]
    actor: Actor | None = row.service_account or row.user
    if actor is None or not access.is_usable(actor):
        raise TooMuch("Whoever asked for it may read nothing any more.")
    ExportPart.objects.filter(export=row).delete()
    lines = exporter.lines(actor, Period(row.first_day, row.last_day), row.project, row.format)
    header = 1 if row.format == "csv" else 0
    count, size = -header, 0
    for position, (data, held) in enumerate(_in_parts(lines)):
        count, size = count + held, size + len(data)
        if count > MOST_ROWS or size > MOST_BYTES:
            raise TooMuch(f"More than {MOST_ROWS:,} lines or {MOST_BYTES >> 20} MiB: ask for fewer days or one project.")
        _keep(row, position, data)
    return count, size


def _in_parts(lines: Iterator[str]) -> Iterator[tuple[bytes, int]]:
    """Yield pieces of a file and how many lines each holds."""
    held, size = list[bytes](), 0
    for line in lines:
        held.append(line.encode())
        size += len(held[-1])
        if size >= PART_BYTES:
            yield b"".join(held), len(held)
            held, size = [], 0
    if held:
        yield b"".join(held), len(held)


@transaction.atomic
def _keep(row: Export, position: int, data: bytes) -> None:
    """Store a part and prolong the claim; raises RuntimeError when another has taken the export over."""
    if _mine(row).update(claimed_until=timezone.now() + CLAIM) != 1:
        raise RuntimeError("another process makes this export")
    ExportPart.objects.create(export=row, position=position, data=data)


def _mine(row: Export) -> QuerySet[Export]:
    """Return the export while this claim of it holds."""
    return Export.objects.filter(pk=row.pk, state=State.RUNNING, attempts=row.attempts)


def _end(row: Export, state: str, **fields: object) -> bool:
    """Note how it ended, unless another has taken it over; return whether it was noted."""
    now = timezone.now()
    with transaction.atomic():
        is_noted = _mine(row).update(state=state, claimed_until=None, finished_at=now, expires_at=now + KEPT, **fields) == 1
        if is_noted and state != State.DONE:
            ExportPart.objects.filter(export=row).delete()
    return is_noted
