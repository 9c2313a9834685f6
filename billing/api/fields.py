"""Amounts and scopes in requests and answers: decimal strings, never floats."""

import re
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts import access
from accounts.api.fields import Given, Reference, shown_id
from accounts.models import ServiceAccount
from billing.money import to_nanousd, to_usd

AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
SCHEMA = {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?$", "example": "12.50"}
MOST_COUNT = 2**60


@extend_schema_field(SCHEMA)
class Usd(serializers.Field[int, Any, str, Any]):
    """An amount in USD as a decimal string; inside it is nano-USD."""

    def to_internal_value(self, data: Any) -> int:
        """Return nano-USD; raises ValidationError for anything but a decimal string."""
        if not isinstance(data, str) or AMOUNT.fullmatch(data) is None:
            raise serializers.ValidationError('Write the amount as a decimal string in USD, such as "12.50": at most 9 digits on either side.')
        return to_nanousd(Decimal(data))

    def to_representation(self, value: int) -> str:
        """Return the exact amount with at least two decimals."""
        return shown_usd(value)


@extend_schema_field({"oneOf": [SCHEMA, {"type": "integer", "minimum": 0}]})
class UsdOrCount(serializers.Field[Any, Any, Any, Any]):
    """A decimal string in USD, or a whole number of what is counted; which of them, the unit or kind beside it says."""

    def to_internal_value(self, data: Any) -> Any:
        """Return what was given; `amount_of` reads it."""
        return data


def amount_of(given: Any, *, is_money: bool) -> int:
    """Return nano-USD or a count; raises ValidationError for `amount`."""
    try:
        if is_money:
            return Usd().to_internal_value(given)
    except serializers.ValidationError as error:
        raise serializers.ValidationError({"amount": error.detail}) from error
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= MOST_COUNT:
        raise serializers.ValidationError({"amount": "Write a whole number, such as 1000."})
    return given


def shown_usd(nanousd: int) -> str:
    """Return nano-USD as a decimal string in USD: exact, at least two decimals."""
    whole, _, rest = f"{to_usd(nanousd):.9f}".partition(".")
    return f"{whole}.{rest.rstrip('0').ljust(2, '0')}"


class ScopeGiven(Given):
    """What a budget, limit or credit account is for: exactly one."""

    project = Reference(access.visible_projects, required=False, help_text="`prj_...`")
    key = Reference(access.visible_keys, required=False, help_text="`key_...`")
    business_unit = Reference(access.visible_business_units, required=False, help_text="`bu_...`")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse none or several."""
        if len(attrs) != 1:
            raise serializers.ValidationError("Name exactly one: project, key or business_unit.")
        return attrs

    def to_representation(self, instance: Any) -> dict[str, str]:
        """Return the one it is for; the row comes in whole."""
        names = {"Project": "project", "VirtualKey": "key", "BusinessUnit": "business_unit"}
        return {names[type(instance).__name__]: shown_id(instance)}


class ReasonGiven(Given):
    """Why."""

    reason = serializers.CharField(max_length=400, help_text="Stands in the ledger.")


def reason_of(actor: Any, reason: str) -> str:
    """Return a reason that also names the program that acts; people are named beside it."""
    return f"{reason} (service account sgw_sa_{actor.public_id})" if isinstance(actor, ServiceAccount) and reason else reason
