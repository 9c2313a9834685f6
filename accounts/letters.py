"""How a letter to one person looks as a mail, and whether it is still worth sending. Knows the outbox's messages and nothing of who writes them."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone

from accounts.mail_links import token_of
from accounts.models import DecisionLink, GrantRequest, OutboxMessage


def html_of(message: OutboxMessage) -> str:
    """Return the mail of a letter, or of a digest of letters."""
    parts = message.facts.get("letters") or [as_part(message)]
    letters = [{**part, **_ways(part), "url": f"{settings.PUBLIC_URL}{part['path']}" if part["path"] else ""} for part in parts]
    return render_to_string("emails/letter.html", {"message": message, "letters": letters, "account": f"{settings.PUBLIC_URL}/account/mail"})


def as_part(message: OutboxMessage) -> dict[str, Any]:
    """Return a letter as one of a digest."""
    return {"title": message.title, "text": message.text, "path": message.path, **message.facts}


def _ways(part: Mapping[str, Any]) -> dict[str, str]:
    """Return where to decide, for a letter that can be decided by."""
    link = DecisionLink.objects.filter(pk=part["link"]).first() if part.get("link") else None
    if link is None:
        return {}
    decide = f"{settings.PUBLIC_URL}/approvals/by-mail/{token_of(link.pk)}"
    return {"approve": f"{decide}/approve", "deny": f"{decide}/deny"}


def is_over(message: OutboxMessage) -> bool:
    """Say whether what a letter asks for was done while it waited: nobody is asked to decide what is decided."""
    link = str(message.facts.get("link") or "")
    return (
        bool(link)
        and not DecisionLink.objects.filter(
            pk=link, used_at=None, expires_at__gt=timezone.now(), step__state="open", step__request__state=GrantRequest.State.SUBMITTED
        ).exists()
    )
