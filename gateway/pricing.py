"""Which price a deployment's calls have: its own, the price book's, or what its model assumes. Reads only."""

from datetime import datetime

from billing import money, prices
from billing.models import Price
from gateway.models import Deployment, Model
from gateway.providers import shelf


def price_provider(slug: str) -> str:
    """Return the name a provider has in the price book."""
    provider = shelf().get(slug)
    return provider.price_provider or slug if provider is not None else slug


def known_price(row: Deployment, at: datetime) -> Price | None:
    """Return the price that holds for a deployment at a moment: its own while that may be used, else the price book's."""
    if row.price is not None and prices.holds_at(row.price, at):
        return row.price
    return prices.current(price_provider(row.account.provider), row.upstream_model, at)


def assumed_price(model: Model, at: datetime) -> Price | None:
    """Return the price a model assumes where none is known, if that is its policy and the price may be used at this moment."""
    chosen = model.assumed_price if model.unknown_price == Model.UnknownPrice.ASSUME else None
    return chosen if chosen is not None and prices.holds_at(chosen, at) else None


def terms_of(row: Deployment, at: datetime) -> money.Price | None:
    """Return what the plane bills a deployment's calls with, marked when it is assumed; None when nothing is known."""
    known = known_price(row, at)
    if known is not None:
        return prices.as_terms(known)
    assumed = assumed_price(row.model, at)
    return prices.as_terms(assumed, is_assumed=True) if assumed is not None else None
