"""Every write to service accounts, and the check of their tokens. Each write is one transaction; callers check who may ask."""

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone

from accounts import audit, keys
from accounts.access import RESOURCES
from accounts.models import ServiceAccount

SCOPES = tuple(f"{resource}:{verb}" for resource in RESOURCES for verb in ("read", "write"))
LAST_USE_KEPT = timedelta(minutes=1)


def check_scopes(scopes: Sequence[str]) -> None:
    """Raise ValidationError unless every scope exists and there is one."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        said = f"No such scope: {', '.join(map(str, unknown))}." if unknown else "Choose at least one scope."
        raise ValidationError({"scopes": f"{said} Scopes are {', '.join(RESOURCES)}, each with :read or :write."})


@audit.act()
def make_service_account(*, pepper: bytes, pepper_version: int, expires_at: datetime, **fields: Any) -> tuple[ServiceAccount, str]:
    """Make a service account and return its row with its token, which is kept nowhere. Raises ValidationError."""
    made = keys.make("sa")
    check_scopes(fields["scopes"])
    if expires_at <= timezone.now():
        raise ValidationError({"expires_at": "Choose a moment in the future."})
    row = ServiceAccount(
        public_id=made.public_id, digest=keys.digest(made.text.encode(), pepper), pepper_version=pepper_version, expires_at=expires_at, **fields
    )
    row.full_clean()
    row.save()
    return row, made.text


@audit.act()
def save_service_account(account: ServiceAccount) -> ServiceAccount:
    """Check and store the changeable fields of a service account; its owner and state do not change here. Raises ValidationError."""
    check_scopes(account.scopes)
    account.full_clean()
    account.save(update_fields=["name", "scopes", "expires_at"])
    return account


@audit.act()
def set_service_account_state(account: ServiceAccount, state: str) -> bool:
    """Suspend, resume or revoke a service account; return whether anything changed. Raises ValidationError: a revoked one stays revoked."""
    locked = ServiceAccount.objects.select_for_update().get(pk=account.pk)
    if locked.state == state:
        return False
    if locked.state == ServiceAccount.State.REVOKED:
        raise ValidationError(f"{locked.name} is revoked and stays so. Create a new service account.")
    locked.state = state
    locked.save(update_fields=["state"])
    return True


def find_by_token(text: bytes, peppers: Mapping[int, bytes]) -> ServiceAccount | None:
    """Return the usable service account of a token, None for any other text; notes its use at most once a minute."""
    try:
        parsed = keys.parse(text)
    except keys.BadShape:
        return None
    now = timezone.now()
    row = ServiceAccount.objects.filter(public_id=parsed.public_id, state=ServiceAccount.State.ACTIVE, expires_at__gt=now).first()
    if row is None or not hmac.compare_digest(bytes(row.digest), keys.digest(text, peppers[row.pepper_version])):
        return None
    seen_lately = row.last_used_at is not None and row.last_used_at > now - LAST_USE_KEPT
    if not seen_lately:
        ServiceAccount.objects.filter(Q(last_used_at=None) | Q(last_used_at__lte=now - LAST_USE_KEPT), pk=row.pk).update(last_used_at=now)
    return row
