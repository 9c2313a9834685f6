"""Amounts of money in documents: dollars as text, never floats."""

import re
from decimal import Decimal

from django.core.exceptions import ValidationError

from billing.money import to_nanousd, to_usd

AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")


def plain(text: str) -> str:
    """Return an amount written in one way, so that 1500 and 1500.00 are no difference; what is no amount stays as it is."""
    return f"{Decimal(text).normalize():f}" if AMOUNT.fullmatch(text) else text


def shown(nanousd: int) -> str:
    """Return nano-USD as a document writes it."""
    return plain(f"{to_usd(nanousd):f}")


def nanousd_of(text: str, field: str = "amount") -> int:
    """Return an amount in nano-USD; raises ValidationError naming the field."""
    if not AMOUNT.fullmatch(text):
        raise ValidationError({field: 'Write dollars as text, such as "1500.00".'})
    return to_nanousd(Decimal(text))
