"""What may be done to prices and to receipts put aside. Faces call these; nothing else writes those rows."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from billing import money
from billing.intake import record
from billing.models import Price, QuarantinedReceipt
from billing.prices import as_terms
from billing.receipts import Settle, decode
from billing.rows import mended, row_of


class NotReleasable(Exception):
    """The bytes put aside are no receipt; the message says so to the person who asked."""


def add_price(
    *,
    provider: str,
    upstream_model: str,
    valid_from: datetime,
    rates: Mapping[str, int | None],
    request_nanousd: int = 0,
    tiers: list[dict[str, Any]] | None = None,
) -> Price:
    """Add a price in nano-USD per million tokens, valid from a moment on; raises ValidationError. A price is never edited afterwards."""
    price = Price(
        provider=provider, upstream_model=upstream_model, valid_from=valid_from, request_nanousd=request_nanousd, tiers=tiers or [], **rates
    )
    check(price)
    price.save(force_insert=True)
    return price


def check(price: Price) -> None:
    """Raise ValidationError unless the price can be billed with."""
    price.full_clean()
    try:
        money.check_price(as_terms(price))
    except msgspec.ValidationError as error:
        raise ValidationError({"tiers": f"Each tier needs above_input_tokens, input_nanousd and output_nanousd: {error}"}) from error
    except ValueError as error:
        raise ValidationError(str(error)) from error


def release_quarantined(receipt: QuarantinedReceipt) -> bool:
    """Record a receipt that was put aside, mended where no row can hold it, and drop it from quarantine.

    Returns whether a usage row was added; False when its call is recorded already. Raises NotReleasable if it is no receipt.
    """
    settle = decode(bytes(receipt.payload))
    if not isinstance(settle, Settle):
        raise NotReleasable(f"{receipt} holds no readable receipt, so there is nothing to record.")
    now = timezone.now()
    with transaction.atomic():
        reference = f"released:{receipt.segment}:{receipt.offset}"
        try:
            inserted, refused = record([row_of(settle, now)], {settle.call_id: settle}, reference)
        except ValueError:
            inserted, refused = set(), [(0, "")]
        if refused:
            settle = mended(settle, now)
            inserted, refused = record([row_of(settle, now)], {settle.call_id: settle}, reference)
        if refused:
            raise NotReleasable(f"{receipt} cannot be recorded: {refused[0][1]}")
        receipt.delete()
    return len(inserted) == 1
