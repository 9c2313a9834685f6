"""Every write to service accounts, and the check of their tokens. Each write is one transaction; callers check who may ask."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError

from accounts import audit, credentials, keys
from accounts.access import RESOURCES
from accounts.models import ServiceAccount

SCOPES = tuple(f"{resource}:{verb}" for resource in RESOURCES for verb in ("read", "write"))


def check_scopes(scopes: Sequence[str]) -> None:
    """Raise ValidationError unless every scope exists and there is one."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        said = f"No such scope: {', '.join(map(str, unknown))}." if unknown else "Choose at least one scope."
        raise ValidationError({"scopes": f"{said} Scopes are {', '.join(RESOURCES)}, each with :read or :write."})


@audit.act()
def make_service_account(
    *, pepper: bytes, pepper_version: int, expires_at: datetime, rights_end: datetime | None = None, **fields: Any
) -> tuple[ServiceAccount, str]:
    """Make a service account and return its row with its token, which is kept nowhere. Raises ValidationError."""
    made = keys.make("sa")
    check_scopes(fields["scopes"])
    row = ServiceAccount(
        public_id=made.public_id, digest=keys.digest(made.text.encode(), pepper), pepper_version=pepper_version, expires_at=expires_at, **fields
    )
    credentials.check_new_expiry(row, rights_end)
    row.full_clean()
    row.save()
    return row, made.text


@audit.act()
def save_service_account(account: ServiceAccount, rights_end: datetime | None = None) -> ServiceAccount:
    """Check and store the changeable fields of a service account; its place, secret and state do not change here. Raises ValidationError."""
    check_scopes(account.scopes)
    credentials.check_new_expiry(account, rights_end)
    account.full_clean()
    account.save(update_fields=["name", "purpose", "owner", "scopes", "expires_at"])
    return account


def set_service_account_state(account: ServiceAccount, state: str, *, reason: str = "", level: int = 0) -> bool:
    """Suspend, resume or revoke a service account; return whether anything changed. Raises ValidationError: a revoked one stays revoked."""
    return credentials.set_state(account, state, reason=reason, level=level)


def find_by_token(text: bytes, peppers: Mapping[int, bytes], ip: str | None = None, agent: str = "") -> ServiceAccount | None:
    """Return the usable service account of a token, None for any other text; notes its use at most once a minute."""
    try:
        parsed = keys.parse(text)
    except keys.BadShape:
        return None
    row = ServiceAccount.objects.filter(public_id=parsed.public_id).first() if parsed.kind == "sa" else None
    if row is None or not credentials.is_good(row, text, peppers):
        return None
    credentials.note_use(row, ip, agent)
    return row
