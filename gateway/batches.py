"""Batches in the database: held for before they begin, looked at until they are over, then settled by what their vendor says became of each request."""

import secrets
import time
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import quote

import structlog
from django.db import transaction
from django.utils import timezone

from accounts.sealing import SealBroken
from billing import leases
from billing.intake import record
from billing.receipts import Settle
from billing.rows import mended, row_of
from gateway import discovery, objects, storing
from gateway.actions import address_rules, opened_credential
from gateway.discovery import ProbeFailed
from gateway.models import Batch, ProviderAccount, VendorObject
from gateway.plane.batch import ITEMS, LEASES, TICKETS, CloseBatch, OpenBatch, StartedBatch, settled
from gateway.plane.objects import MOST_SEEN_BYTES, Note
from gateway.plane.stored import keep_at
from gateway.providers import shelf
from gateway.wire import Batching, BatchResult, BatchTold, WireError, by_endpoint, working_endpoints

log = structlog.get_logger("gateway.batches")
# between looks: a tenth of a batch's age
SOONEST, LATEST = timedelta(seconds=5), timedelta(minutes=5)
# a look that takes longer is over, and another may begin
LOOK_TAKES = timedelta(minutes=15)
# what its worker has not said by then, it never will
SAID_WITHIN = timedelta(minutes=10)
MOST_AT_ONCE, LOOKING_S = 20, 30.0
RECEIPTS_AT_ONCE = 500
RESULTS_WITHIN_S, MOST_RESULTS_BYTES, MOST_PAGES = 600.0, 1 << 30, 100


# what is called so is found among the stored responses
RESPONSE = "response"


class Unsettled(Exception):
    """Why a batch cannot be settled now, in words."""


class Lost(Unsettled):
    """Why it never will be by itself."""


# ---- what the plane asks ---------------------------------------------------------------------------------------------------


def write_down(question: OpenBatch) -> None:
    """Write a batch down before anything is held for it. Raises DatabaseError."""
    now = timezone.now()
    Batch.objects.create(
        id=question.id, project_id=question.project, account=question.account, resource=question.resource, input_id=question.input_id,
        tickets=question.tickets, items=question.items, quote_nanousd=question.quote_nanousd, created_at=now, next_look_at=now + SAID_WITHIN,
    )  # fmt: skip


@transaction.atomic
def hold(batch_id: str) -> None:
    """Let what was leased for a batch outlive its host, and the batch wait for its vendor. Raises DatabaseError."""
    leases.outlive(LEASES + batch_id)
    Batch.objects.filter(pk=batch_id).update(state=Batch.State.OPEN)


@transaction.atomic
def start(question: StartedBatch) -> bool:
    """Note what the vendor calls a batch; False when it gave the name of another project's. Raises DatabaseError."""
    batch = Batch.objects.select_for_update(no_key=True).get(pk=question.id)
    if not note(batch, question.key, working_endpoints()[batch.resource].kind, question.object_id, question.seen):
        return False
    batch.object_id, batch.state, batch.next_look_at = question.object_id, Batch.State.OPEN, timezone.now() + SOONEST
    batch.save(update_fields=["object_id", "state", "next_look_at"])
    return True


def note(batch: Batch, key: str, kind: str, object_id: str, seen: bytes) -> bool:
    """Note whose a thing is that a batch made or is; False when it is another project's. Raises DatabaseError."""
    if kind == RESPONSE:
        # where its project stores nothing any more, it is nobody's, and still to be paid for
        storing.keep(keep_at(str(batch.project_id), batch.account, object_id, seen))
        return True
    seen = seen if len(seen) <= MOST_SEEN_BYTES else b""
    return objects.note(Note(str(batch.project_id), key, batch.account, kind, object_id, seen)).found != ()


@transaction.atomic
def close(question: CloseBatch) -> None:
    """Give back what is held for a batch that its vendor has not taken, and forget it. Raises DatabaseError."""
    batch = Batch.objects.select_for_update(no_key=True).filter(pk=question.id, object_id="").first()
    if batch is not None:
        leases.reclaim(LEASES + batch.id)
        batch.delete()


# ---- looking at them -------------------------------------------------------------------------------------------------------


def look_due() -> int:
    """Look at the batches whose turn it is, for half a minute at most; return how many were settled."""
    now, until_s = timezone.now(), time.monotonic() + LOOKING_S
    waiting = Batch.objects.filter(state__in=[Batch.State.OPENING, Batch.State.OPEN], next_look_at__lte=now)
    done = 0
    for batch in waiting.order_by("next_look_at")[:MOST_AT_ONCE]:
        if time.monotonic() > until_s:
            break
        if Batch.objects.filter(pk=batch.pk, next_look_at=batch.next_look_at).update(next_look_at=now + LOOK_TAKES) == 1:
            done += look(batch)
    return done


def look(batch: Batch) -> bool:
    """Look at a batch and settle it if it is over; True when it is settled."""
    if batch.state == Batch.State.OPENING:
        # its worker never heard that it may begin
        close(CloseBatch(batch.id))
        return False
    failure: Exception | None = None
    try:
        vendor = Vendor(batch)
        if not batch.object_id and not vendor.took_it():
            close(CloseBatch(batch.id))
            return False
        done, problem = vendor.settle_if_over(), ""
    except (Unsettled, ProbeFailed, SealBroken, WireError) as error:
        done, problem, failure = False, str(error), error
        log.error("a batch cannot be settled", batch=batch.id, account=batch.account, reason=problem)
    if not done:
        now = timezone.now()
        wait = min(max((now - batch.created_at) / 10, SOONEST), LATEST)
        state = Batch.State.OPEN if batch.object_id or not isinstance(failure, Lost) else Batch.State.LOST
        Batch.objects.filter(pk=batch.pk).update(next_look_at=now + wait, problem=problem[:300], state=state)
    return done


class Vendor:
    """A batch at its vendor. Everything raises ProbeFailed, SealBroken, WireError, Unsettled."""

    def __init__(self, batch: Batch) -> None:
        account = ProviderAccount.objects.filter(slug=batch.account).first()
        provider = shelf().get(account.provider) if account is not None else None
        if account is None or provider is None:
            raise Unsettled(f"The provider account {batch.account} is gone.")
        self._batch, self._spoken = batch, working_endpoints()[batch.resource]
        self._account, self._provider, self._rules = account, provider, address_rules()
        first = TICKETS.decode(bytes(batch.tickets))[0].receipt
        client = by_endpoint()[first.endpoint].client
        self._key, self._made = first.key, client.made if client is not None else None
        self._headers = discovery.presented(provider, opened_credential(account), account.ca_pem, self._rules)

    def settle_if_over(self) -> bool:
        """Ask how the batch is, and settle it if it is over; True then."""
        body = self._get(self._batch.resource, self._batch.object_id)
        told = self._spoken.read_told(body)
        self._note(self._spoken.kind, self._batch.object_id, body)
        if not told.is_over:
            return False
        for file_id in told.files:
            self._note("file", file_id, self._get("files", file_id))
        settle(self._batch, self._results(told))
        return True

    def took_it(self) -> bool:
        """Find a batch whose name nobody heard, by the file it is made of; False when the vendor has none. Raises Lost where files are no part of batches."""
        batch, find, after = self._batch, self._spoken.find if isinstance(self._spoken, Batching) else None, ""
        if find is None:
            raise Lost("The vendor may have taken it, and nobody heard its name. What it holds stays held until it is released by hand.")
        for _ in range(MOST_PAGES):
            page = self._get(batch.resource, f"?limit=100{'&after=' + quote(after, safe='') if after else ''}")
            names, after = find(page, batch.input_id)
            known = set(VendorObject.objects.filter(account=batch.account, object_id__in=names).values_list("object_id", flat=True))
            for name in names:
                if name not in known and start(StartedBatch(batch.id, self._key, name, b"")):
                    batch.object_id = name
                    return True
            if not after:
                return False
        raise Unsettled("The vendor lists more batches than anybody can read.")

    def _url(self, resource: str, object_id: str) -> str:
        options = {str(name): str(value) for name, value in self._account.options.items()}
        return self._account.base_url.rstrip("/") + self._provider.path(resource, "-", options, False) + ("" if object_id.startswith("?") else "/") + object_id

    def _get(self, resource: str, object_id: str) -> bytes:
        status, body = discovery.ask("GET", self._url(resource, object_id), self._headers, self._account.ca_pem, self._rules)
        if status != 200:
            raise ProbeFailed(f"The provider answers HTTP {status} about {object_id}.")
        return body

    def _note(self, kind: str, object_id: str, seen: bytes) -> None:
        """Note what was told; what it names belongs to the batch's project."""
        if not note(self._batch, self._key, kind, object_id, seen):
            raise Unsettled(f"The provider names {object_id[:100]}, which is another project's.")

    def _results(self, told: BatchTold) -> Iterator[BatchResult]:
        for result in told.results:
            self._note_made(result)
            yield result
        spoken = self._spoken
        if not isinstance(spoken, Batching):
            return
        urls = [self._url("files", file_id) + "/content" for file_id in told.files]
        if spoken.results:
            urls = [f"{self._url(self._batch.resource, self._batch.object_id)}/{spoken.results}"]
        for url in urls:
            for line in discovery.lines(url, self._headers, self._account.ca_pem, self._rules, RESULTS_WITHIN_S, MOST_RESULTS_BYTES):
                if line.strip():
                    result = spoken.read_result(line)
                    self._note_made(result)
                    yield result

    def _note_made(self, result: BatchResult) -> None:
        """Note what was made for an answer; what another project has already stays that project's."""
        for one in self._made(result.body) if self._made is not None else ():
            objects.note(Note(str(self._batch.project_id), self._key, self._batch.account, one.kind, one.object_id, expires_at_s=one.expires_at_s))


# ---- settling --------------------------------------------------------------------------------------------------------------


def settle(batch: Batch, results: Iterator[BatchResult]) -> None:
    """Record what became of each request and give back the rest of what was held; done again, it does the rest. Raises Unsettled, ProbeFailed, WireError."""
    tickets, items = TICKETS.decode(bytes(batch.tickets)), ITEMS.decode(bytes(batch.items))
    tier = working_endpoints()[batch.resource].tier
    places = {item.custom_id: place for place, item in enumerate(items)}
    receipts: list[Settle] = []
    strangers = 0
    for result in results:
        place = places.pop(result.custom_id, None)
        if place is None:
            strangers += 1
            continue
        receipts.append(settled(place, items[place], tickets[items[place].ticket], result, tier))
        if len(receipts) == RECEIPTS_AT_ONCE:
            _record(batch, receipts)
            receipts = []
    _record(batch, receipts)
    if strangers:
        log.error("a batch's results name requests it never had", batch=batch.id, requests=strangers)
    with transaction.atomic():
        leases.reclaim(LEASES + batch.id)
        Batch.objects.filter(pk=batch.pk).update(state=Batch.State.SETTLED, settled_at=timezone.now(), problem="")
    log.info("a batch is settled", batch=batch.id, requests=len(items), unanswered=len(places))


def _record(batch: Batch, receipts: list[Settle]) -> None:
    if not receipts:
        return
    now = timezone.now()
    kept: dict[str, Settle] = {}
    rows = []
    for receipt in receipts:
        try:
            rows.append(row_of(receipt, now))
        except ValueError:
            receipt = mended(receipt, now)
            rows.append(row_of(receipt, now))
        kept[receipt.call_id] = receipt
    with transaction.atomic():
        _, refused = record(rows, kept, f"{LEASES}{batch.id}:{secrets.token_hex(4)}")
        if refused:
            raise Unsettled(f"The database refuses a receipt: {refused[0][1]}")
