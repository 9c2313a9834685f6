"""The only way to obtain prices on behalf of a person or program."""

from django.db.models import QuerySet

from accounts import access
from accounts.access import Actor
from billing.models import Price
from billing.prices.book import with_state


def visible_prices(actor: Actor) -> QuerySet[Price]:
    """Return the price book with what was decided, for those who see the platform; none of it for everybody else."""
    rows = with_state().select_related("entered_by").prefetch_related("decisions")
    return rows if access.sees_everything(actor) else rows.none()
