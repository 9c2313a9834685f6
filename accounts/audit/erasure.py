"""Erases what names a person from the trail; that it happened, and where, stays."""

from django.core.exceptions import ValidationError
from django.db.models import Q

from accounts.audit.record import Subject, act, record
from accounts.audit.verify import ERASURE
from accounts.models import AuditEvent

AS_ACTOR = ("actor", "ip", "agent")
AS_SUBJECT = ("object", "changes")


@act()
def erase(subject: str, reason: str) -> int:
    """Erase the personal texts of a person (`usr_...`) from every event and record that; return how many events lost one. Raises ValidationError."""
    if not subject.startswith("usr_"):
        raise ValidationError("Name the person by id: usr_ and 32 hexadecimal digits.")
    if not reason.strip():
        raise ValidationError({"reason": "Say why, such as the number of the erasure request."})
    gone: list[tuple[int, list[str]]] = []
    events = AuditEvent.objects.filter(Q(actor_id=subject) | Q(object_id=subject) | Q(on_behalf_of=subject)).order_by("seq")
    for event in events.iterator(chunk_size=500):
        names = (*(AS_ACTOR if event.actor_id == subject else ()), *(AS_SUBJECT if event.object_id == subject else ()))
        names = (*names, *(("on_behalf_of",) if event.on_behalf_of == subject else ()))
        erased = [name for name in names if event.texts.get(name) is not None]
        if erased:
            AuditEvent.objects.filter(pk=event.pk).update(texts={**event.texts, **dict.fromkeys(erased)})
            gone.append((event.seq, erased))
    record(ERASURE, Subject("user", subject), reason=reason, erased=gone)
    return len(gone)
