"""What needs a hand: counts for the admin's first page, each with the list behind it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditAnchor, OutboxMessage, ScimToken, ServiceAccount, User, VirtualKey
from accounts.requests import access
from billing.models import AlertEvent, DisputedHold, QuarantinedReceipt
from gateway.models import Batch, Model, ProviderAccount, State
from gateway.verifications import REMIND_DAYS, today

SOON = timedelta(days=14)


class Matter(NamedTuple):
    """One thing that needs a hand: how many, in words, and where they are."""

    number: int
    words: str
    link: str


def matters(user: Any) -> list[Matter]:
    """Return what needs a hand, the person's own first, nothing that does not."""
    found = [*_requests(user), *_all()] if isinstance(user, User) else []
    return [matter for matter in found if matter.number]


def _requests(user: User) -> Iterator[Matter]:
    waiting, page = access.waiting(user), reverse("admin:accounts_grantrequest_changelist")
    yield Matter(len(waiting.mine), "requests wait for your decision", f"{page}?waits=me")
    yield Matter(len(waiting.escalated), "requests were escalated and still wait", f"{page}?waits=escalated")
    yield Matter(len(waiting.stuck), "requests are stuck: nobody may decide them", f"{page}?waits=stuck")


def _all() -> Iterator[Matter]:
    now = timezone.now()
    soon = {"state": "active", "expires_at__gt": now, "expires_at__lte": now + SOON}
    failing = ProviderAccount.objects.filter(checked_at__isnull=False).exclude(check_result__startswith="ok").exclude(state=State.DISABLED)
    yield _matter(failing, "provider accounts failed their last check", "gateway_provideraccount")
    used = ProviderAccount.objects.exclude(state=State.DISABLED)
    due = used.filter(verification__review_on__lte=today() + timedelta(days=max(REMIND_DAYS)))
    missing = used.filter(verification=None, is_demo=False)
    yield _matter(missing, "provider accounts have no verification record", "gateway_provideraccount", "verification=missing")
    yield _matter(due, "verifications of provider accounts are to be reviewed", "gateway_provideraccount", "verification=due")
    proposed = Model.objects.filter(lifecycle=Model.Lifecycle.REQUESTED)
    yield _matter(proposed, "models are proposed for the catalogue", "gateway_model", "lifecycle__exact=requested")
    yield _matter(AlertEvent.objects.filter(acknowledged_at=None), "alerts nobody has acknowledged", "billing_alertevent")
    yield _matter(VirtualKey.objects.filter(**soon), "keys expire within 14 days", "accounts_virtualkey", "o=expires_at")
    yield _matter(ServiceAccount.objects.filter(**soon), "service accounts expire within 14 days", "accounts_serviceaccount")
    yield _matter(ScimToken.objects.filter(**soon), "SCIM tokens expire within 14 days", "accounts_scimtoken")
    for model, words in ((VirtualKey, "keys"), (ServiceAccount, "service accounts"), (ScimToken, "SCIM tokens")):
        known = model._default_manager.filter(state="active", rotate_by__isnull=False)
        yield _matter(known, f"{words} have a secret that somebody who left knows", f"accounts_{model._meta.model_name}")
    yield _matter(OutboxMessage.objects.filter(state="dead"), "notices and webhook messages were given up", "accounts_outboxmessage", "state__exact=dead")
    yield _matter(DisputedHold.objects.filter(released_at=None), "holds are disputed", "billing_disputedhold")
    unsettled = Batch.objects.exclude(state=Batch.State.SETTLED).exclude(problem="")
    yield _matter(unsettled, "batches cannot be settled", "gateway_batch")
    yield _matter(QuarantinedReceipt.objects.all(), "receipts are in quarantine", "billing_quarantinedreceipt")
    yield _matter(AuditAnchor.objects.exclude(last_error=""), "audit anchors take no checkpoint", "accounts_auditanchor")


def _matter(rows: Any, words: str, page: str, query: str = "") -> Matter:
    return Matter(rows.count(), words, reverse(f"admin:{page}_changelist") + (f"?{query}" if query else ""))
