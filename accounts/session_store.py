"""Django's session engine on our own rows: found by digest, ended at once when a row is deleted, and after too long a silence."""

import hashlib
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import Session

# How a person signed in, in the session's data.
HOW = "signed_in_by"
SEEN_EVERY = timedelta(seconds=60)


def digest(key: str) -> str:
    """Return what a session's row is found by."""
    return hashlib.sha256(key.encode()).hexdigest()


class SessionStore(SessionBase):
    """A session. `visitor` is the address and program of the browser, told by a middleware."""

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        self.visitor = ("", "")
        self.id: UUID | None = None
        self._last_seen_at: datetime | None = None

    def load(self) -> dict[str, Any]:
        """Return the session's data, none when it is unknown, ended, or silent for too long."""
        now = timezone.now()
        row = None
        if self.session_key:
            alive = Session.objects.filter(expires_at__gt=now, last_seen_at__gt=now - timedelta(minutes=settings.SESSION_IDLE_MINUTES))
            row = alive.filter(digest=digest(self.session_key)).first()
        if row is None:
            self._session_key = None
            return {}
        self.id, self._last_seen_at = row.id, row.last_seen_at
        return self.decode(row.data)

    def seen(self) -> None:
        """Note that the session is in use, at most once a minute."""
        now = timezone.now()
        if self.id is not None and self._last_seen_at is not None and now - self._last_seen_at >= SEEN_EVERY:
            self._last_seen_at = now
            Session.objects.filter(pk=self.id).update(last_seen_at=now, ip=self.visitor[0], agent=self.visitor[1])

    def exists(self, session_key: str) -> bool:
        """Say whether a key is taken."""
        return Session.objects.filter(digest=digest(session_key)).exists()

    def create(self) -> None:
        """Take a new key."""
        while True:
            self._session_key = self._get_new_session_key()  # type: ignore[attr-defined]  # Django's own, missing in its stubs
            try:
                self.save(must_create=True)
            except CreateError:
                continue
            self.modified = True
            return

    def save(self, must_create: bool = False) -> None:
        """Store the session; raises UpdateError when it was ended meanwhile, CreateError when a new key is taken."""
        if self.session_key is None:
            self.create()
            return
        data = self._get_session(no_load=must_create)  # type: ignore[attr-defined]  # Django's own, missing in its stubs
        ip, agent = self.visitor
        fields: dict[str, Any] = {
            "data": self.encode(data),
            "user_id": data.get(SESSION_KEY),
            "how": data.get(HOW, ""),
            "expires_at": self.get_expiry_date(),
            "last_seen_at": timezone.now(),
            "ip": ip,
            "agent": agent,
        }
        if not must_create:
            if not Session.objects.filter(digest=digest(self.session_key)).update(**fields):
                raise UpdateError
            return
        try:
            with transaction.atomic():
                self.id = Session.objects.create(digest=digest(self.session_key), **fields).pk
        except IntegrityError:
            raise CreateError from None

    def delete(self, session_key: str | None = None) -> None:
        """End a session, this one if none is named."""
        key = session_key or self.session_key
        if key:
            Session.objects.filter(digest=digest(key)).delete()

    @classmethod
    def forget_ended(cls) -> int:
        """Delete sessions that are over or were silent for too long; return how many."""
        now = timezone.now()
        silent = Q(last_seen_at__lte=now - timedelta(minutes=settings.SESSION_IDLE_MINUTES))
        return Session.objects.filter(Q(expires_at__lte=now) | silent).delete()[0]

    @classmethod
    def clear_expired(cls) -> None:
        """Do what Django's own command for it asks."""
        cls.forget_ended()
