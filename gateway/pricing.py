"""Which price a deployment's calls have: its own, the price book's, or what its model assumes; and that of calls long made. Reads only."""

from datetime import datetime
from uuid import UUID

from billing import money, prices
from billing.models import Price, UsageRecord
from gateway.models import Deployment, Model, State
from gateway.providers import shelf


def price_provider(slug: str) -> str:
    """Return the name a provider has in the price book."""
    provider = shelf().get(slug)
    return provider.price_provider or slug if provider is not None else slug


def known_price(row: Deployment, at: datetime, book: prices.Book) -> Price | None:
    """Return the price that holds for a deployment at a moment: its own while that may be used, else the price book's."""
    if row.price is not None and prices.holds_at(row.price, at):
        return row.price
    return book.current(price_provider(row.account.provider), row.upstream_model, at)


def assumed_price(model: Model, at: datetime) -> Price | None:
    """Return the price a model assumes where none is known, if that is its policy and the price may be used at this moment."""
    chosen = model.assumed_price if model.unknown_price == Model.UnknownPrice.ASSUME else None
    return chosen if chosen is not None and prices.holds_at(chosen, at) else None


def terms_of(row: Deployment, at: datetime, book: prices.Book) -> money.Price | None:
    """Return what the plane bills a deployment's calls with, marked when it is assumed; None when nothing is known."""
    known = known_price(row, at, book)
    if known is not None:
        return prices.as_terms(known)
    assumed = assumed_price(row.model, at)
    return prices.as_terms(assumed, is_assumed=True) if assumed is not None else None


def first_terms(model: Model, at: datetime, book: prices.Book) -> money.Price | None:
    """Return what the deployment that a model's calls try first bills; None when none is active or nothing is known."""
    active = model.deployments.filter(state=State.ACTIVE, account__state=State.ACTIVE)
    row = active.select_related("account", "model__assumed_price", "price").order_by("order", "-weight").first()
    return terms_of(row, at, book) if row else None


class PricesOfCalls:
    """The price of recorded calls as the book stands now, for one run.

    A call is priced by what holds for its provider and upstream name at its moment. A deployment's own price at the time, which the book
    does not know under that name, is followed under its own name. Without a price at the time, the deployment is asked as it is today.
    """

    def __init__(self) -> None:
        self._book = prices.Book()
        self._rows: dict[UUID, Price | None] = {}
        found = Deployment.objects.select_related("account", "model__assumed_price", "price")
        self._deployments = {(row.model.name, row.account.slug, row.upstream_model): row for row in found}

    def __call__(self, call: UsageRecord) -> Price | None:
        """Return the price, None when nothing is known."""
        at, book = call.started_at, self._book
        asked = prices.names(price_provider(call.provider), call.upstream_model)
        known = book.current(*asked[0], at)
        billed = self._row(call.price) if call.price is not None else None
        if billed is not None:
            own = (billed.provider, billed.upstream_model)
            if own in asked or (known is not None and "assumed_price" in call.flags.split(",")):
                return known or billed
            return book.named(own, at) or billed
        deployment = self._deployments.get((call.model, call.account, call.upstream_model))
        if deployment is None:
            return known
        return known_price(deployment, at, book) or assumed_price(deployment.model, at)

    def _row(self, pk: UUID) -> Price | None:
        if pk not in self._rows:
            self._rows[pk] = Price.objects.filter(pk=pk).first()
        return self._rows[pk]
