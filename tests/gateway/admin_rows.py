"""One row of everything the admin has pages for, for the run of its access matrix; the company of the API's matrix has most of them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Model as Row
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from accounts.models import (
    AuditAnchor,
    CredentialPolicy,
    Delegation,
    DirectoryGroup,
    DirectoryPerson,
    GroupMapping,
    NotificationChannel,
    OidcIdentity,
    OutboxMessage,
    ScimToken,
    UsePolicy,
)
from billing.models import (
    Budget,
    BudgetChange,
    DayRollup,
    DisputedHold,
    Entry,
    Lease,
    Posting,
    QuarantinedReceipt,
    ReconciliationImport,
    Window,
)
from gateway.models import Batch, ResponseRetention
from tests.gateway.api.company import Company


def _window(made: Company) -> Window:
    budget = Budget.objects.filter(windows=None).first()
    now = timezone.now()
    return Window.objects.first() or Window.objects.create(id="w", budget=budget, unit="nanousd", opens_at=now, base=10)


def _message(made: Company) -> OutboxMessage:
    channel = NotificationChannel.objects.filter(event_types=[]).first() or NotificationChannel.objects.create(name="x", kind="webhook")
    return OutboxMessage.objects.create(reference="r", channel=channel, kind="k", severity="info", title="t", text="t", due_at=timezone.now())


def _delegation(made: Company) -> Delegation:
    now = timezone.now()
    given, got = made.people["manager"], made.people["owner"]
    return Delegation.objects.create(delegator=given, delegate=got, starts_at=now, ends_at=now + timedelta(days=1))


def _posting(made: Company) -> Posting:
    return Posting.objects.first() or Posting.objects.create(kind="grant", reference="r")


def _entry(made: Company) -> Entry:
    return Entry.objects.create(posting=_posting(made), debit="a", credit="b", amount_nanousd=1)


def _import(made: Company) -> ReconciliationImport:
    day = timezone.now().date()
    return ReconciliationImport.objects.create(
        vendor="openai", provider="openai", file_name="f", sha256="0" * 64, first_day=day, last_day=day, has_tokens=True, has_cost=True,
        imported_by=made.people["finance"],
    )  # fmt: skip


def _schedule(made: Company) -> PeriodicTask:
    every = IntervalSchedule.objects.create(every=1, period="days")
    return PeriodicTask.objects.create(name="n", task="gateway.tasks.prune_changes", interval=every)


def _scim_token(made: Company) -> ScimToken:
    return ScimToken.objects.create(name="t", public_id="scim000000", digest=b"d", scopes=["users:read"], expires_at=timezone.now() + timedelta(days=1))


# Rows the company has none of.
BUILT: dict[type[Row], Callable[[Company], Row]] = {
    AuditAnchor: lambda made: AuditAnchor.objects.create(id="1", name="file"),
    CredentialPolicy: lambda made: CredentialPolicy.objects.create(kind="key-dev"),
    Delegation: _delegation,
    DirectoryGroup: lambda made: DirectoryGroup.objects.create(name="g"),
    DirectoryPerson: lambda made: DirectoryPerson.objects.create(user=made.people["anyone"], user_name="u"),
    GroupMapping: lambda made: GroupMapping.objects.create(group="g", role="auditor"),
    OidcIdentity: lambda made: OidcIdentity.objects.create(user=made.people["anyone"], issuer="https://x.example", subject="s"),
    OutboxMessage: _message,
    ScimToken: _scim_token,
    ResponseRetention: lambda made: ResponseRetention.objects.create(project=made.project, days=7),
    UsePolicy: lambda made: UsePolicy.objects.create(version=1, text="Be kind."),
    Batch: lambda made: Batch.objects.create(
        id="call_1", project=made.project, account="a", resource="batches", tickets=b"t", items=b"i", created_at=timezone.now(), next_look_at=timezone.now()
    ),
    BudgetChange: lambda made: BudgetChange.objects.create(subject="bud_1", kind="amount", before="1", after="2"),
    DisputedHold: lambda made: DisputedHold.objects.create(call_id="call_1", window=_window(made), amount=1),
    Entry: _entry,
    Lease: lambda made: Lease.objects.create(worker="w", host="h", window=_window(made)),
    Posting: _posting,
    QuarantinedReceipt: lambda made: QuarantinedReceipt.objects.create(segment="s", offset=0, payload=b"p", reason="r"),
    ReconciliationImport: _import,
    Window: _window,
    PeriodicTask: _schedule,
}
# Pages that show no single row.
WITHOUT_ROWS = frozenset({DayRollup})


def rows(made: Company) -> dict[type[Row], Any]:
    """Return a row of every model of the admin; fails where there is none and nobody says how to make one."""
    found: dict[type[Row], Any] = {}
    for model in admin.site._registry:
        if model in WITHOUT_ROWS:
            found[model] = None
            continue
        row = model._default_manager.first() or (BUILT[model](made) if model in BUILT else None)
        assert row is not None, f"Say in {__name__}.BUILT how to make a {model._meta.label}."
        found[model] = row
    return found
