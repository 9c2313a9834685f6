"""A request's history for people: one line for everything that happened to it or was said about it."""

from accounts.access import Actor
from accounts.models import GrantRequest, RequestNote, ServiceAccount, User

MOST_CHARACTERS = 2000


def note(request: GrantRequest, what: str, text: str = "", by: Actor | None = None) -> RequestNote:
    """Write a line of the history; nobody means the system."""
    return RequestNote.objects.create(
        request=request,
        version=request.version,
        what=what,
        text=cleaned(text),
        author=by if isinstance(by, User) else None,
        program=by if isinstance(by, ServiceAccount) else None,
    )


def cleaned(text: str) -> str:
    """Return text as it is kept: no NUL, no white space around, bounded."""
    return text.replace("\0", "").strip()[:MOST_CHARACTERS]
