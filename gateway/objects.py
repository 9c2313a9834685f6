"""Whose the objects at vendors are, in the database. Knows no wire."""

from datetime import UTC, datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from gateway.models import Batch, VendorObject
from gateway.plane.objects import Drop, Needs, Note, ObjectQuestion, Objects, Page, Search, Thing

NOTHING = Objects(ok=True)


def answer(question: ObjectQuestion) -> Objects:
    """Answer a worker. Raises DatabaseError."""
    if isinstance(question, Note):
        return note(question)
    if isinstance(question, Search):
        return search(question)
    if isinstance(question, Needs):
        return needs(question)
    return page(question) if isinstance(question, Page) else drop(question)


def note(question: Note) -> Objects:
    """Keep whose an object is, or what is told about it now; nothing is found when it is another project's."""
    project_id = UUID(question.project)
    expires_at = datetime.fromtimestamp(question.expires_at_s, UTC) if question.expires_at_s else None
    place = {"account": question.account, "object_id": question.object_id}
    try:
        with transaction.atomic():
            row = VendorObject.objects.create(
                **place, kind=question.kind, project_id=project_id, key=question.key, seen=question.seen, expires_at=expires_at
            )
    except IntegrityError:
        if not VendorObject.objects.filter(**place, project_id=project_id, kind=question.kind).exists():
            if not VendorObject.objects.filter(**place).exists():
                # its project is gone
                raise
            return NOTHING
        told = {"seen": question.seen, "expires_at": expires_at} if question.seen else {"expires_at": expires_at}
        VendorObject.objects.filter(**place).update(**told)
        return Objects(ok=True, found=(Thing(question.account, question.kind, question.object_id, question.seen),))
    return Objects(ok=True, found=(_thing(row),))


def search(question: Search) -> Objects:
    """Return those of a project's objects that have these ids."""
    rows = VendorObject.objects.filter(project_id=UUID(question.project), object_id__in=question.object_ids)
    if question.account:
        rows = rows.filter(account=question.account)
    if question.kind:
        rows = rows.filter(kind=question.kind)
    return Objects(ok=True, found=tuple(_thing(row) for row in rows.order_by("-id")))


def page(question: Page) -> Objects:
    """Return a page of a project's objects of a kind; nothing behind an id that is not among them."""
    rows = VendorObject.objects.filter(project_id=UUID(question.project), kind=question.kind)
    if question.account:
        rows = rows.filter(account=question.account)
    backwards = bool(question.before)
    cursor = question.before or question.after
    is_rising = question.is_ascending != backwards
    if cursor:
        place = rows.filter(object_id=cursor).values_list("id", flat=True).first()
        if place is None:
            return NOTHING
        rows = rows.filter(id__gt=place) if is_rising else rows.filter(id__lt=place)
    found = list(rows.order_by("id" if is_rising else "-id")[: question.limit + 1])
    has_more, found = len(found) > question.limit, found[: question.limit]
    return Objects(ok=True, found=tuple(_thing(row) for row in (found[::-1] if backwards else found)), has_more=has_more)


def drop(question: Drop) -> Objects:
    """Forget an object of a project."""
    VendorObject.objects.filter(project_id=UUID(question.project), account=question.account, object_id=question.object_id).delete()
    return NOTHING


def needs(question: Needs) -> Objects:
    """Return the batches of a project that are not settled and were told with an object's name."""
    here = {"project_id": UUID(question.project), "account": question.account}
    unsettled = Batch.objects.filter(**here).exclude(state=Batch.State.SETTLED).values("object_id")
    name = question.object_id.encode()
    told = VendorObject.objects.filter(**here, object_id__in=unsettled)
    return Objects(ok=True, found=tuple(_thing(row) for row in told if row.object_id == question.object_id or name in bytes(row.seen)))


def purge() -> int:
    """Forget what vendors have deleted by themselves; return how many objects."""
    return VendorObject.objects.filter(expires_at__lte=timezone.now()).delete()[0]


def _thing(row: VendorObject) -> Thing:
    return Thing(row.account, row.kind, row.object_id, bytes(row.seen))
