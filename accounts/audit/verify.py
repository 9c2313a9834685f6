"""Proves the trail: every number, hash and text, the end of the chain, and every checkpoint kept outside the database."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from django.conf import settings
from django.db import transaction

from accounts.audit import chain, checkpoints
from accounts.audit.anchoring import kept_lines, name_of
from accounts.audit.record import facts_of
from accounts.egress import NotDelivered
from accounts.models import AuditEvent, AuditHead

ERASURE = "audit.erase"


class Verdict(NamedTuple):
    """Whether the trail is whole, how many events were checked, the first bad one (None: none) and why, and how many texts are erased."""

    valid: bool
    checked: int
    first_bad: int | None
    reason: str
    erased: int


@transaction.atomic
def verify(checkpoints_at: str = "") -> Verdict:
    """Check the whole trail with the installation's audit key, in constant memory.

    `checkpoints_at` is the path of a file of checkpoints or the URL of an anchor; the installation's own file if empty.
    """
    key = settings.AUDIT_KEY
    name = chain.key_id(key)
    head = AuditHead.objects.filter(pk=1).first() or AuditHead(hash=chain.START)
    noted = _noted(checkpoints_at or str(settings.AUDIT_CHECKPOINTS), key)
    if isinstance(noted, str):
        return Verdict(False, 0, None, noted, 0)
    previous, count = chain.START, 0
    erased: set[tuple[int, str]] = set()
    declared: set[tuple[int, str]] = set()
    for event in AuditEvent.objects.filter(seq__lte=head.seq).order_by("seq").iterator(chunk_size=1000):
        reason = _fault(event, count + 1, previous, key, name)
        if not reason and noted.get(event.seq, event.hash) != event.hash:
            reason = "A checkpoint kept outside the database has another hash for it: the trail was written anew."
        if reason:
            return Verdict(False, count, min(event.seq, count + 1), reason, len(erased))
        erased.update((event.seq, text) for text, held in event.texts.items() if held is None)
        if event.action == ERASURE and event.texts.get("erased"):
            declared.update((seq, text) for seq, texts in event.texts["erased"]["value"] for text in texts)
        previous, count = event.hash, count + 1
    if AuditEvent.objects.filter(seq__gt=head.seq).exists():
        return Verdict(False, count, head.seq + 1, "Events lie beyond the recorded end of the trail.", len(erased))
    if (count, previous) != (head.seq, head.hash or chain.START):
        return Verdict(False, count, count + 1, f"The trail should end at event {head.seq}: its tail was cut or its end altered.", len(erased))
    if noted and max(noted) > count:
        return Verdict(False, count, count + 1, f"A checkpoint kept outside the database knows event {max(noted)}: the tail was cut.", len(erased))
    if erased - declared:
        seq, text = min(erased - declared)
        return Verdict(False, count, seq, f"The text {text!r} is gone and no erasure event says so.", len(erased))
    return Verdict(True, count, None, "", len(erased))


def _fault(event: AuditEvent, expected: int, previous: str, key: str, name: str) -> str:
    if event.seq != expected:
        return f"Event {expected} is missing."
    if event.key_id != name:
        return "It was written with another audit key: SYMBIOSIS_AUDIT_KEY is wrong, or the event is forged."
    if event.previous != previous:
        return "It does not follow the event before it."
    if event.hash != chain.link(key, previous, facts_of(event)):
        return "Its facts were altered, or SYMBIOSIS_AUDIT_KEY is wrong."
    if event.texts.keys() != event.commitments.keys():
        return "A text was added or removed."
    return next((f"Its text {text!r} was altered." for text, held in event.texts.items() if not _is_kept(event, text, held)), "")


def _is_kept(event: AuditEvent, text: str, held: object) -> bool:
    if held is None:
        return True
    return isinstance(held, dict) and held.keys() == {"salt", "value"} and chain.commitment(str(held["salt"]), held["value"]) == event.commitments[text]


def _noted(place: str, key: str) -> dict[int, str] | str:
    """Return the hashes by number that checkpoints hold, or what is wrong with them."""
    found: dict[int, str] = {}
    url = place if "://" in place else f"file://{quote(str(Path(place).absolute()))}"
    try:
        for checkpoint in _genuine(checkpoints.read(kept_lines(url), name_of(url)), key):
            found[checkpoint.seq] = checkpoint.hash
    except ValueError as error:
        return str(error)
    except NotDelivered as error:
        return f"The checkpoints cannot be read. {error}"
    return found


def _genuine(read: Iterable[checkpoints.Checkpoint], key: str) -> Iterable[checkpoints.Checkpoint]:
    for checkpoint in read:
        if not chain.is_signed(key, checkpoint.statement, checkpoint.signature):
            raise ValueError(f"The checkpoint of event {checkpoint.seq} is not signed with this audit key.")
        yield checkpoint
