"""Alerts on credit accounts: little left of what was granted, and grants that end soon. A new grant makes the first new again."""

from datetime import datetime, timedelta

from django.db.models import F, Max, Q, Sum

from billing.alerts.events import named, record, shown
from billing.models import AlertEvent, CreditAccount, CreditGrant

MOST_DAYS = 366
RELATED = ("project", "key__project", "business_unit")


def look_at_credit(now: datetime) -> int:
    """Record what credit accounts have come down to; return how many alerts are new."""
    return _low(now) + _expiring(now)


def _low(now: datetime) -> int:
    lasting = Q(grants__expires_at__isnull=True) | Q(grants__expires_at__gt=now)
    figures = CreditAccount.objects.annotate(
        granted=Sum("grants__amount_nanousd", filter=lasting), left=Sum("grants__remaining_nanousd", filter=lasting), newest=Max("grants__id")
    )
    by_percent = Q(left__lte=F("granted") * F("low_percent") / 100)
    found = figures.filter(Q(granted__gt=0) & (by_percent | Q(low_nanousd__gt=0, left__lte=F("low_nanousd")))).select_related(*RELATED)
    new = 0
    for account in found:
        share = account.left * 100 <= account.granted * account.low_percent
        new += share and _is_low(account, account.low_percent, "")
        new += 0 < account.low_nanousd >= account.left and _is_low(account, account.low_nanousd, ":amount")
        new += account.left == 0 and _is_low(account, 0, "")
    return new


def _is_low(account: CreditAccount, threshold: int, rule: str) -> bool:
    left, granted = account.left, account.granted  # type: ignore[attr-defined]  # annotated above
    return record(
        kind=AlertEvent.Kind.CREDIT_LOW,
        subject=f"crd_{account.pk}",
        window=f"grant:{account.newest}{rule}",  # type: ignore[attr-defined]
        threshold=threshold,
        severity="warning" if left else "critical",
        title=f"Credit of {named(account.scope)} is {'low' if left else 'used up'}",
        text=f"{shown(left, 'nanousd')} of {shown(granted, 'nanousd')} granted are left in {account.name}.",
        scope=account.scope,
        facts={"left_nanousd": left, "granted_nanousd": granted},
    )


def _expiring(now: datetime) -> int:
    grants = CreditGrant.objects.filter(remaining_nanousd__gt=0, expires_at__gt=now, expires_at__lte=now + timedelta(days=MOST_DAYS))
    related = grants.select_related("account__project", "account__key__project", "account__business_unit")
    return sum(_is_expiring(grant) for grant in related if grant.expires_at and grant.expires_at - now <= timedelta(days=grant.account.expiring_days))


def _is_expiring(grant: CreditGrant) -> bool:
    account = grant.account
    return record(
        kind=AlertEvent.Kind.CREDIT_EXPIRING,
        subject=f"crd_{account.pk}",
        window=f"grant:{grant.pk}",
        threshold=account.expiring_days,
        severity="warning",
        title=f"Credit of {named(account.scope)} expires on {grant.expires_at:%Y-%m-%d}",
        text=f"{shown(grant.remaining_nanousd, 'nanousd')} of {account.name} are lost unless they are drawn before {grant.expires_at:%Y-%m-%d %H:%M} UTC.",
        scope=account.scope,
        facts={"left_nanousd": grant.remaining_nanousd, "expires_at": grant.expires_at.isoformat() if grant.expires_at else ""},
    )
