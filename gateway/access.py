"""The only way to obtain provider accounts, models and deployments on behalf of a person or program."""

from django.db.models import QuerySet

from accounts import access
from accounts.access import Actor
from gateway.models import Deployment, Model, ProviderAccount


def visible_provider_accounts(actor: Actor) -> QuerySet[ProviderAccount]:
    """Return the provider accounts: all for those who see the platform, else none."""
    rows = ProviderAccount.objects.select_related("verification__verified_by")
    return rows if access.sees_everything(actor) else rows.none()


def visible_models(actor: Actor) -> QuerySet[Model]:
    """Return the catalogue: whole for those who see the platform, for everybody else what is active."""
    rows = Model.objects.select_related("assumed_price").prefetch_related("aliases")
    if access.sees_everything(actor):
        return rows
    return rows.filter(is_active=True) if access.is_usable(actor) else rows.none()


def visible_deployments(actor: Actor) -> QuerySet[Deployment]:
    """Return the deployments: all for those who see the platform, else none."""
    rows = Deployment.objects.select_related("model", "account", "price")
    return rows if access.sees_everything(actor) else rows.none()
