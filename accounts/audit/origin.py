"""Where an act comes from: the request, command or task that is running, and who is behind it."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from accounts.models import ScimToken, ServiceAccount, User

Acts = User | ServiceAccount | ScimToken

MOST_AGENT_CHARACTERS = 200


@dataclass(frozen=True)
class Origin:
    """Where an act comes from; `actor` None means whoever is signed in to `request`, or the system itself without one."""

    face: str = "system"
    request: HttpRequest | None = None
    request_id: str = ""
    actor: Acts | None = None
    on_behalf_of: User | None = None

    def who(self) -> Acts | None:
        """Return who acts, None for the system and for strangers."""
        found: Any = self.actor or getattr(self.request, "user", None)
        return found if isinstance(found, Acts) else None


_origin: ContextVar[Origin] = ContextVar("audit_origin", default=Origin())  # noqa: B039  # frozen


def here() -> Origin:
    """Return where the present act comes from."""
    return _origin.get()


@contextmanager
def from_here(face: str, actor: Acts | None = None, on_behalf_of: User | None = None) -> Iterator[None]:
    """Say that what happens within comes through `face` (command, task, ...) and by whom."""
    token = _origin.set(Origin(face=face, actor=actor, on_behalf_of=on_behalf_of, request_id=f"req_{uuid.uuid4().hex}"))
    try:
        yield
    finally:
        _origin.reset(token)


def kind_and_id(actor: Acts | None, origin: Origin) -> tuple[str, str]:
    """Return the kind of an actor and the prefixed id."""
    if isinstance(actor, User):
        return "user", f"usr_{actor.pk.hex}"
    if isinstance(actor, ServiceAccount):
        return "service_account", f"sa_{actor.public_id}"
    if isinstance(actor, ScimToken):
        return "directory", f"sct_{actor.public_id}"
    return ("anonymous" if origin.request is not None else "system"), ""


def texts_of(origin: Origin) -> dict[str, str]:
    """Return what names a person: who, from which address, with what program."""
    who = origin.who()
    told = {"actor": str(who) if who is not None else ""}
    if origin.request is not None:
        told["ip"] = str(origin.request.META.get("REMOTE_ADDR", ""))
        told["agent"] = origin.request.headers.get("User-Agent", "")[:MOST_AGENT_CHARACTERS]
    if origin.on_behalf_of is not None:
        told["on_behalf_of"] = str(origin.on_behalf_of)
    return {name: value for name, value in told.items() if value}


@contextmanager
def answering(request: HttpRequest, face: str) -> Iterator[Origin]:
    """Say that what happens within answers a request, by whoever is signed in to it."""
    origin = Origin(face=face, request=request, request_id=f"req_{uuid.uuid4().hex}")
    token = _origin.set(origin)
    try:
        yield origin
    finally:
        _origin.reset(token)
