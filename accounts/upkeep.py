"""What becomes of credentials by themselves: unused ones rest, those that end soon or must be rotated are announced. Each is told through the outbox."""

from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import audit, credentials
from accounts.models import BusinessUnit, Credential, CredentialPolicy, PersonalToken, Project, ScimToken, ServiceAccount, Severity, VirtualKey
from accounts.outbox import notify

State = Credential.State
REMIND_DAYS = (30, 7, 1)
ROTATE_DAYS = (7, 1, 0)
TYPES: tuple[type[Credential], ...] = (VirtualKey, ServiceAccount, PersonalToken, ScimToken)
PATHS: dict[type[Credential], str] = {
    VirtualKey: "/keys",
    ServiceAccount: "/admin/accounts/serviceaccount/",
    PersonalToken: "/keys",
    ScimToken: "/admin/accounts/scimtoken/",
}


def place_of(row: Credential) -> tuple[Project | None, BusinessUnit | None]:
    """Return the project or business unit a credential belongs to, neither for the platform and for people."""
    if isinstance(row, VirtualKey):
        return row.project, None
    return (row.project, row.business_unit) if isinstance(row, ServiceAccount) else (None, None)


def suspend_idle() -> int:
    """Suspend active credentials that nobody used for as long as their policy says; return how many."""
    now, done = timezone.now(), 0
    for policy in map(credentials.policy, CredentialPolicy.Kind.values):
        if not policy.idle_days:
            continue
        before = now - timedelta(days=policy.idle_days)
        # resuming one, rotating it or making it counts as use
        unused = Q(last_used_at__lt=before) | Q(last_used_at=None, created_at__lt=before)
        awake = (Q(state_changed_at=None) | Q(state_changed_at__lt=before)) & (Q(rotated_at=None) | Q(rotated_at__lt=before))
        for row in _bound_by(policy).filter(unused & awake, state=State.ACTIVE, expires_at__gt=now):
            done += _rest(row, policy.idle_days)
    return done


def _bound_by(policy: CredentialPolicy) -> QuerySet[Any]:
    if policy.kind.startswith("key-"):
        return VirtualKey.objects.filter(environment=policy.kind.removeprefix("key-"), is_demo=False).select_related("project")
    if policy.kind == CredentialPolicy.Kind.SCIM_TOKEN:
        return ScimToken.objects.all()
    model = ServiceAccount if policy.kind == CredentialPolicy.Kind.SERVICE_ACCOUNT else PersonalToken
    return model._default_manager.filter(is_demo=False)


@audit.act("credential.rest")
def _rest(row: Credential, days: int) -> bool:
    reason = f"Unused for {days} days"
    if not credentials.set_state(row, State.SUSPENDED, reason=reason):
        return False
    tell(row, "idle", f"{timezone.now():%Y-%m-%d}", Severity.WARNING, f"{_named(row)} was suspended", f"{reason}. Resume it if it is needed, else revoke it.")
    return True


def announce_ends() -> int:
    """Tell about active credentials that end within 30, 7 and 1 days, once each; return how many notices were written."""
    now, written = timezone.now(), 0
    for model in TYPES:
        for row in model._default_manager.filter(state=State.ACTIVE, expires_at__gt=now, expires_at__lte=now + timedelta(days=max(REMIND_DAYS))):
            days = min(step for step in REMIND_DAYS if row.expires_at <= now + timedelta(days=step))
            severity = Severity.INFO if days > 1 else Severity.WARNING
            text = f"It ends at {row.expires_at:%Y-%m-%d %H:%M} UTC. Rotate does not move its end: change its expiry, or make another in time."
            written += tell(row, "expiring", f"{days}:{row.expires_at.isoformat()}", severity, f"{_named(row)} ends within {days} days", text)
    return written


def announce_rotations() -> int:
    """Tell about active credentials whose secret somebody who left knows, 7 and 1 days before it must be another and once after; return how many."""
    now, written = timezone.now(), 0
    for model in TYPES:
        for row in model._default_manager.filter(state=State.ACTIVE, rotate_by__lte=now + timedelta(days=max(ROTATE_DAYS))):
            assert row.rotate_by is not None
            days = min(step for step in ROTATE_DAYS if row.rotate_by <= now + timedelta(days=step))
            when = f"within {days} {'day' if days == 1 else 'days'}" if days else "now"
            text = f"Somebody who left knows its secret, which should be another by {row.rotate_by:%Y-%m-%d %H:%M} UTC."
            written += tell(row, "rotate_by", f"{days}:{row.rotate_by.isoformat()}", Severity.WARNING, f"{_named(row)} must be rotated {when}", text)
    return written


def tell(row: Credential, what: str, which: str, severity: str, title: str, text: str) -> int:
    """Write a notice about a credential, once for each `which`; return for how many channels."""
    project, unit = place_of(row)
    kind = credentials.NOUNS[type(row)].replace(" ", "_")
    facts = {"id": f"{'key' if isinstance(row, VirtualKey) else credentials.KINDS[type(row)]}_{row.public_id}", "expires_at": row.expires_at.isoformat()}
    return notify(
        reference=f"{kind}:{row.public_id}:{what}:{which}", kind=f"{kind}.{what}", severity=severity, title=title, text=text,
        path=PATHS[type(row)], facts=facts, project=project, unit=unit,
    )  # fmt: skip


def _named(row: Credential) -> str:
    whose = f" of {row.user}" if isinstance(row, PersonalToken) else f" of project {row.project}" if isinstance(row, VirtualKey) else ""
    return f"The {credentials.NOUNS[type(row)]} {row.name}{whose}"
