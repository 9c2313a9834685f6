"""Provider accounts by slug. A credential is named, not written: it is read where the document is carried out."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import UNSET, UnsetType

from gateway import actions
from gateway.governance import Entry, Hand, Kind, Name
from gateway.governance.references import Reference, value_of
from gateway.models import ProviderAccount

State = Literal["active", "draining", "disabled"]


class AccountEntry(Entry, frozen=True):
    """A provider account; limits of time are in milliseconds."""

    slug: str
    provider: str
    base_url: str
    name: str | UnsetType = UNSET
    credential: Reference | UnsetType = UNSET
    options: dict[str, str] | UnsetType = UNSET
    state: State | UnsetType = UNSET
    transport: Literal["own", "httpx"] | UnsetType = UNSET
    ca_pem: str | UnsetType = UNSET
    connect_timeout_ms: int | UnsetType = UNSET
    first_byte_timeout_ms: int | UnsetType = UNSET
    idle_timeout_ms: int | UnsetType = UNSET
    total_timeout_ms: int | UnsetType = UNSET
    max_parallel: int | UnsetType = UNSET
    allow_unknown_endpoints: bool | UnsetType = UNSET


SET = tuple(field for field in AccountEntry.__struct_fields__ if field not in ("slug", "credential", "state"))


def read() -> Mapping[Name, tuple[AccountEntry, ProviderAccount]]:
    """Return every account without its credential."""
    found: dict[Name, tuple[AccountEntry, ProviderAccount]] = {}
    for row in ProviderAccount.objects.all():
        shown: dict[str, Any] = {field: getattr(row, field) for field in (*SET, "state")}
        found[(row.slug,)] = (AccountEntry(slug=row.slug, **shown), row)
    return found


def make(entry: AccountEntry, hand: Hand) -> ProviderAccount:
    """Make an account."""
    given = {field: getattr(entry, field) for field in (*SET, "state") if getattr(entry, field) is not UNSET}
    row = ProviderAccount(slug=entry.slug, **{"name": entry.slug, **given})
    return actions.save_provider_account(row, value_of(entry.credential))


def change(row: ProviderAccount, entry: AccountEntry, names: frozenset[str], hand: Hand) -> None:
    """Change what is stated; a new host needs the credential again."""
    if "state" in names:
        actions.set_state(row, str(entry.state))
        row.state = str(entry.state)
    if names - {"state"}:
        for field in names - {"state", "credential"}:
            setattr(row, field, getattr(entry, field))
        given_again = "credential" in names or "base_url" in names
        actions.save_provider_account(row, value_of(entry.credential) if given_again else "")


def is_stored(row: ProviderAccount, reference: Reference) -> bool:
    """Say whether the stored credential is the named one."""
    return bool(actions.opened_credential(row) == value_of(reference))


def name(entry: Any) -> Name:
    """Return the slug."""
    return (entry.slug,)


KIND = Kind(
    section="provider_accounts", order=40, entry=AccountEntry, name=name, read=read, make=make, change=change, secret={"credential": is_stored}
)
