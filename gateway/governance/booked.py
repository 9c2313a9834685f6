"""Prices of the book as documents name them: provider and upstream model, whichever of their prices holds now."""

from django.core.exceptions import ValidationError
from django.utils import timezone
from msgspec import UNSET, UnsetType

from billing.models import Price
from billing.prices.book import current


def shown_price(row: Price | None) -> tuple[str, str] | UnsetType:
    """Return how a document names a price; nothing for none."""
    return UNSET if row is None else (row.provider, row.upstream_model)


def booked(named: tuple[str, str], field: str) -> Price:
    """Return the approved price that holds now; raises ValidationError naming the field when there is none."""
    found = current(*named, timezone.now())
    if found is None:
        raise ValidationError({field: f"The price book knows no approved price of {named[1]} at {named[0]} that holds now."})
    return found
