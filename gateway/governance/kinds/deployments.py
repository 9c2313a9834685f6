"""Deployments: which account serves a model under which upstream name, in which order."""

from collections.abc import Mapping
from typing import Any, Literal

from django.core.exceptions import ValidationError
from msgspec import UNSET, UnsetType

from accounts import actions as account_actions
from gateway import actions
from gateway.governance import Entry, Hand, Kind, Name
from gateway.governance.booked import booked, shown_price
from gateway.models import Deployment, Model, ProviderAccount


class DeploymentEntry(Entry, frozen=True):
    """A deployment; `price` overrides the book by its price of `[provider, upstream model]`."""

    model: str
    account: str
    upstream_model: str
    order: int | UnsetType = UNSET
    weight: int | UnsetType = UNSET
    region: str | UnsetType = UNSET
    max_parallel: int | UnsetType = UNSET
    state: Literal["active", "draining", "disabled"] | UnsetType = UNSET
    price: tuple[str, str] | UnsetType = UNSET


SET = ("order", "weight", "region", "max_parallel")


def read() -> Mapping[Name, tuple[DeploymentEntry, Deployment]]:
    """Return every deployment."""
    found: dict[Name, tuple[DeploymentEntry, Deployment]] = {}
    for row in Deployment.objects.select_related("model", "account", "price"):
        shown: dict[str, Any] = {field: getattr(row, field) for field in (*SET, "state")}
        entry = DeploymentEntry(
            model=row.model.name, account=row.account.slug, upstream_model=row.upstream_model, price=shown_price(row.price), **shown
        )
        found[name(entry)] = (entry, row)
    return found


def make(entry: DeploymentEntry, hand: Hand) -> None:
    """Make a deployment."""
    model, account = Model.objects.filter(name=entry.model).first(), ProviderAccount.objects.filter(slug=entry.account).first()
    if model is None or account is None:
        missing = {"model": f"There is no model {entry.model}."} if model is None else {"account": f"There is no provider account {entry.account}."}
        raise ValidationError(missing)
    row = Deployment(model=model, account=account, upstream_model=entry.upstream_model)
    if not isinstance(entry.state, UnsetType):
        row.state = entry.state
    _store(row, entry)


def change(row: Deployment, entry: DeploymentEntry, names: frozenset[str], hand: Hand) -> None:
    """Change what is stated; the state has an action of its own."""
    if "state" in names:
        actions.set_state(row, str(entry.state))
        row.state = str(entry.state)
    if names - {"state"}:
        _store(row, entry)


def _store(row: Deployment, entry: DeploymentEntry) -> None:
    for field in SET:
        if getattr(entry, field) is not UNSET:
            setattr(row, field, getattr(entry, field))
    if not isinstance(entry.price, UnsetType):
        row.price = booked(entry.price, "price")
    actions.save_row(row)


def remove(row: Deployment, hand: Hand) -> None:
    """Delete a deployment; what it served stays on record."""
    account_actions.remove(row)


def name(entry: Any) -> Name:
    """Return model, account and upstream name."""
    return (entry.model, entry.account, entry.upstream_model)


KIND = Kind(section="deployments", order=60, entry=DeploymentEntry, name=name, read=read, make=make, change=change, remove=remove)
