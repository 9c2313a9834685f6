"""How verifications of provider accounts look in the admin's list, and what they are filtered by."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from gateway.models import ProviderAccount, Verification
from gateway.verifications import REMIND_DAYS, today

VERIFICATION_COLOURS = {"verified": "success", "review soon": "warning", "review due": "danger", "missing": "danger", "simulated": "info"}


def verification_of(account: ProviderAccount) -> Verification | None:
    """Return what is recorded about an account, None for nothing."""
    found: Verification | None = getattr(account, "verification", None)
    return found


def recorded(account: ProviderAccount) -> dict[str, Any]:
    """Return what is recorded, for a form to begin with."""
    row = verification_of(account)
    return {name: getattr(row, name) for name in ("agreement", "region", "training_use")} if row else {}


def standing_of(account: ProviderAccount) -> str:
    """Say how an account's verification stands."""
    row = verification_of(account)
    if row is None:
        return "simulated" if account.is_demo else "missing"
    left = row.days_left(today())
    return "review due" if left <= 0 else "review soon" if left <= max(REMIND_DAYS) else "verified"


class ByVerification(admin.SimpleListFilter):
    """Accounts by how their verification stands."""

    title = parameter_name = "verification"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return what can be chosen."""
        return [("missing", "missing"), ("due", f"to be reviewed within {max(REMIND_DAYS)} days")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the accounts chosen."""
        if self.value() == "missing":
            return queryset.filter(verification=None, is_demo=False)
        return queryset.filter(verification__review_on__lte=today() + timedelta(days=max(REMIND_DAYS))) if self.value() == "due" else queryset
