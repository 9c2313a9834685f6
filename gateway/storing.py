"""The store of responses: sealed under the installation's key, bound to their project, forgotten when their time is over. Knows no wire."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import orjson
from django.db import transaction
from django.utils import timezone

from gateway.actions import sealer
from gateway.models import Batch, ResponseRetention, StoredItem, StoredResponse
from gateway.plane.stored import LONGEST_CHAIN, Fetch, Forget, Found, Keep, Question, joined
from gateway.settings import settings

NOWHERE = Found(ok=True)
PURGED_AT_ONCE = 500


class Content(msgspec.Struct, frozen=True):
    """What is sealed: a call's own items and its answer, both JSON."""

    input: bytes
    response: bytes


def bound_to(project_id: UUID, response_id: str) -> bytes:
    """Return what a stored response is bound to: its project and its own id, so that no row opens in another's place."""
    return b"response:" + project_id.bytes + response_id.encode()


def answer(question: Question) -> Found:
    """Answer a worker. Raises DatabaseError."""
    if isinstance(question, Keep):
        return keep(question)
    if isinstance(question, Forget):
        return forget(question)
    return fetch_items(question) if question.item_ids else fetch(question)


def days_of(project_id: UUID) -> int:
    """Return for how many days a project's responses are stored."""
    days = ResponseRetention.objects.filter(project_id=project_id).values_list("days", flat=True).first()
    return settings.stored_response_days if days is None else days


def kept(project_id: UUID) -> Any:
    """Return a project's responses that are not over."""
    return StoredResponse.objects.filter(project_id=project_id, created_at__gt=timezone.now() - timedelta(days=days_of(project_id)))


@transaction.atomic
def keep(question: Keep) -> Found:
    """Store an answer, once; not `ok` where its project stores none, or what it went on from is gone. A vendor's may grow until it is done."""
    project_id = UUID(question.project)
    if not days_of(project_id):
        return Found()
    earlier: list[str] = []
    if question.previous:
        previous = kept(project_id).filter(response_id=question.previous).first()
        if previous is None or len(previous.earlier) >= LONGEST_CHAIN:
            return Found()
        earlier = [*previous.earlier, previous.response_id]
    content = msgspec.msgpack.encode(Content(question.input, question.response))
    sealed = b"" if question.account else sealer().seal(content, bound_to(project_id, question.response_id))
    row, is_new = StoredResponse.objects.get_or_create(
        project_id=project_id,
        response_id=question.response_id,
        defaults={"account": question.account, "earlier": earlier, "sealed": sealed, "tokens": question.tokens, "created_at": timezone.now()},
    )
    if question.tokens > row.tokens and row.account:
        StoredResponse.objects.filter(pk=row.pk).update(tokens=question.tokens)
    if is_new or row.account:
        items = [StoredItem(response=row, item_id=item_id[:200]) for item_id in dict.fromkeys(question.items)]
        StoredItem.objects.bulk_create(items, ignore_conflicts=True)
    return Found(ok=True, found=True)


def fetch(question: Fetch) -> Found:
    """Return a response with everything that led to it; not found where any of that is gone."""
    project_id = UUID(question.project)
    row = kept(project_id).filter(response_id=question.response_id).first()
    if row is None:
        return NOWHERE
    if row.account:
        owes = Batch.objects.filter(account=row.account, object_id=row.response_id).exclude(state=Batch.State.SETTLED).exists()
        return Found(ok=True, found=True, account=row.account, tokens=row.tokens, owes=owes)
    earlier = {each.response_id: each for each in kept(project_id).filter(response_id__in=row.earlier)}
    if len(earlier) < len(row.earlier):
        return NOWHERE
    arrays = []
    for each in (earlier[response_id] for response_id in row.earlier):
        content = opened(each)
        arrays += [content.input, orjson.dumps(orjson.loads(content.response)["output"])]
    own = opened(row)
    return Found(ok=True, found=True, response=own.response, input=joined(*arrays, own.input))


def fetch_items(question: Fetch) -> Found:
    """Return items by their ids, in that order; not found unless all of them are, and in one place."""
    project_id = UUID(question.project)
    rows = {item.item_id: item for item in StoredItem.objects.filter(response__in=kept(project_id), item_id__in=question.item_ids).select_related("response")}
    accounts = {item.response.account for item in rows.values()}
    if len(rows) < len(set(question.item_ids)) or len(accounts) != 1:
        return NOWHERE
    account = accounts.pop()
    responses = {item.response_id: item.response for item in rows.values()}.values()
    if account:
        return Found(ok=True, found=True, account=account, tokens=sum(response.tokens for response in responses))
    items: dict[str, Any] = {}
    for response in responses:
        items |= {item["id"]: item for item in orjson.loads(opened(response).response)["output"]}
    return Found(ok=True, found=True, input=orjson.dumps([items[item_id] for item_id in question.item_ids]))


def opened(row: StoredResponse) -> Content:
    """Return what a response holds. Raises SealBroken."""
    return msgspec.msgpack.decode(sealer().open(bytes(row.sealed), bound_to(row.project_id, row.response_id)), type=Content)


def forget(question: Forget) -> Found:
    """Delete a response."""
    deleted, _ = StoredResponse.objects.filter(project_id=UUID(question.project), response_id=question.response_id).delete()
    return Found(ok=True, found=bool(deleted))


def purge() -> int:
    """Delete what is beyond its project's retention, a few hundred at a time; return how many responses went."""
    gone = 0
    for project_id in StoredResponse.objects.order_by().values_list("project_id", flat=True).distinct():
        over = StoredResponse.objects.filter(project_id=project_id, created_at__lte=timezone.now() - timedelta(days=days_of(project_id)))
        while batch := list(over.values_list("pk", flat=True)[:PURGED_AT_ONCE]):
            StoredResponse.objects.filter(pk__in=batch).delete()
            gone += len(batch)
    return gone
