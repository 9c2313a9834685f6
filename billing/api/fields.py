"""Amounts in requests and answers: decimal strings, never floats."""

import re
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.money import to_nanousd, to_usd

AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


@extend_schema_field({"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?$", "example": "12.50"})
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


def shown_usd(nanousd: int) -> str:
    """Return nano-USD as a decimal string in USD: exact, at least two decimals."""
    whole, _, rest = f"{to_usd(nanousd):.9f}".partition(".")
    return f"{whole}.{rest.rstrip('0').ljust(2, '0')}"
