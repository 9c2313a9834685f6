"""Appends events to the chain as the last thing a transaction does: no record, no change."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.audit import chain, checkpoints
from accounts.audit.origin import here, kind_and_id, texts_of
from accounts.models import AuditEvent, AuditHead

MOST_REASON_CHARACTERS = 1000
# The columns sealed by an event's hash, in no order: they are sorted by name.
FACTS = (
    "seq", "id", "at", "transaction", "action", "outcome", "actor_kind", "actor_id", "on_behalf_of", "face", "object_kind", "object_id",
    "business_unit", "project", "request_id", "commitments", "key_id",
)  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """What an act was done to: kind and prefixed id, a name for people, and where it belongs."""

    kind: str = ""
    id: str = ""
    name: str = ""
    business_unit: uuid.UUID | None = None
    project: uuid.UUID | None = None


NOTHING = Subject()


@dataclass
class Scope:
    """One act under way: the events it has caused so far, and the names of the acts within acts."""

    id: uuid.UUID = field(default_factory=uuid.uuid4)
    events: list[AuditEvent] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


# Who else is told of events, within the transaction that records them.
LISTENERS: list[Callable[[Sequence[AuditEvent]], object]] = []

_scope: ContextVar[Scope | None] = ContextVar("audit_scope", default=None)


@contextmanager
def act(action: str = "", *, reason: str = "") -> Iterator[None]:
    """Run one act in one transaction; its events are appended at its end, so that the chain is held as shortly as can be.

    Use it as a decorator or in a with statement; acts within acts join the outer one. `action` and `reason` go to the events
    caused by changes of rows within.
    """
    outer = _scope.get()
    if outer is not None:
        mark = len(outer.events)
        outer.names.append(action or (outer.names[-1] if outer.names else ""))
        outer.reasons.append(reason or (outer.reasons[-1] if outer.reasons else ""))
        try:
            with transaction.atomic():
                yield
        except BaseException:
            del outer.events[mark:]
            raise
        finally:
            outer.names.pop()
            outer.reasons.pop()
        return
    scope = Scope(names=[action], reasons=[reason])
    token = _scope.set(scope)
    try:
        with transaction.atomic():
            yield
            _append(scope.events)
    finally:
        _scope.reset(token)


def record(action: str, subject: Subject = NOTHING, *, changes: Any = None, reason: str = "", outcome: str = "done", **texts: Any) -> None:
    """Record one event: at the end of the act under way, else at once in a transaction of its own.

    `changes`, `reason`, the subject's name and further `texts` (JSON values) can be erased later; everything else stays for good.
    """
    origin, scope = here(), _scope.get()
    actor_kind, actor_id = kind_and_id(origin.who(), origin)
    said = reason or (scope.reasons[-1] if scope and scope.reasons else "")
    told: dict[str, Any] = {**texts_of(origin), **texts}
    told |= {"object": subject.name} if subject.name else {}
    told |= {"changes": changes} if changes else {}
    told |= {"reason": said.replace("\0", "")[:MOST_REASON_CHARACTERS]} if said else {}
    sealed = {name: chain.commit(value) for name, value in told.items()}
    event = AuditEvent(
        id=uuid.uuid4(),
        at=timezone.now(),
        transaction=scope.id if scope else uuid.uuid4(),
        action=(scope.names[-1] if scope and scope.names and not action else action),
        outcome=outcome,
        actor_kind=actor_kind,
        actor_id=actor_id,
        on_behalf_of=f"usr_{origin.on_behalf_of.pk.hex}" if origin.on_behalf_of else "",
        face=origin.face,
        object_kind=subject.kind,
        object_id=subject.id,
        business_unit=subject.business_unit,
        project=subject.project,
        request_id=origin.request_id,
        texts={name: text for name, (text, _) in sealed.items()},
        commitments={name: commitment for name, (_, commitment) in sealed.items()},
    )
    if scope is not None:
        scope.events.append(event)
        return
    with transaction.atomic():
        _append([event])


def refuse(what: str) -> None:
    """Record that somebody tried what they may not."""
    record("access.refuse", outcome="refused", reason=what)


def named(default: str) -> str:
    """Return the name of the act under way, `default` when it has none."""
    scope = _scope.get()
    return (scope.names[-1] if scope and scope.names else "") or default


def facts_of(event: AuditEvent) -> dict[str, Any]:
    """Return what an event's hash seals, as JSON values that do not depend on the database."""
    return {name: _plain(getattr(event, name)) for name in FACTS}


def _plain(value: Any) -> Any:
    if isinstance(value, uuid.UUID):
        return value.hex
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return value


def _append(events: list[AuditEvent]) -> None:
    """Give events their numbers and hashes; the head's row is locked until the transaction ends, so numbers have no gaps and commit in order."""
    if not events:
        return
    AuditHead.objects.get_or_create(pk=1, defaults={"hash": chain.START})
    head = AuditHead.objects.select_for_update().get(pk=1)
    key = settings.AUDIT_KEY
    for event in events:
        head.seq += 1
        event.seq, event.previous, event.key_id = head.seq, head.hash, chain.key_id(key)
        event.hash = head.hash = chain.link(key, head.hash, facts_of(event))
    AuditEvent.objects.bulk_create(events)
    head.save(update_fields=["seq", "hash"])
    checkpoints.after_commit(head.seq, head.hash)
    for listener in LISTENERS:
        listener(events)
