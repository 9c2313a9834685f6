"""Signed notes outside the database of how far the chain had come: they find a cut tail that the chain itself cannot show."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.addresses import AddressRules
from accounts.anchors import anchor_of
from accounts.audit import chain
from accounts.egress import NotDelivered

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """Event number and hash at a moment (RFC 3339), with the signature over them."""

    seq: int
    hash: str
    at: str
    key_id: str
    signature: str

    @property
    def statement(self) -> dict[str, Any]:
        """Return what is signed."""
        return {"seq": self.seq, "hash": self.hash, "at": self.at, "key_id": self.key_id}

    @property
    def line(self) -> str:
        """Return the checkpoint as one line of JSON."""
        return json.dumps({**self.statement, "signature": self.signature}, sort_keys=True)


def make(seq: int, digest: str) -> Checkpoint:
    """Return a signed checkpoint of this moment."""
    at, name = timezone.now().isoformat(), chain.key_id(settings.AUDIT_KEY)
    signature = chain.sign(settings.AUDIT_KEY, {"seq": seq, "hash": digest, "at": at, "key_id": name})
    return Checkpoint(seq, digest, at, name, signature)


def after_commit(seq: int, digest: str) -> None:
    """Write a checkpoint once the present transaction is committed."""
    transaction.on_commit(lambda: _write(make(seq, digest)), robust=True)


def _write(checkpoint: Checkpoint) -> None:
    url = f"file://{quote(str(settings.AUDIT_CHECKPOINTS))}"
    try:
        anchor_of(url).keep(url, "", checkpoint.line, AddressRules())
    except NotDelivered as error:
        logger.error("audit_checkpoint_not_written", reason=str(error))


def read(lines: Iterable[str], name: str) -> Iterator[Checkpoint]:
    """Return the checkpoints of lines in their order; raises ValueError at one that is none, naming where they come from."""
    for number, text in enumerate(lines, 1):
        try:
            yield Checkpoint(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{name}, line {number} is no checkpoint.") from error
