"""Signed notes outside the database of how far the chain had come: they find a cut tail that the chain itself cannot show."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.audit import chain

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
    path = Path(settings.AUDIT_CHECKPOINTS)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # one write of one line to a file opened for appending: lines of several processes never mix
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, checkpoint.line.encode() + b"\n")
        finally:
            os.close(descriptor)
    except OSError as error:
        logger.error("audit_checkpoint_not_written", path=str(path), reason=str(error))


def read(path: Path) -> Iterator[Checkpoint]:
    """Return the checkpoints of a file in their order; raises ValueError at a line that is none."""
    if not path.exists():
        return
    with path.open() as lines:
        for number, text in enumerate(lines, 1):
            try:
                yield Checkpoint(**json.loads(text))
            except (ValueError, TypeError) as error:
                raise ValueError(f"{path}, line {number} is no checkpoint.") from error
