"""The configuration a worker serves from: compiled elsewhere, checked whole, swapped whole. Knows nothing of databases or sockets."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from billing.money import dearest_input_nanousd, dearest_output_nanousd
from gateway.providers import Provider
from gateway.terms import Account, Budget, Deadlines, Deployment, Frozen, Key, Limit, Model, Project, Rules

Rule = TypeVar("Rule", bound=Budget | Limit)


class SealedAccount(Frozen, frozen=True):
    """A provider account as announced: the credential still sealed, bound to `binding`."""

    id: str
    slug: str
    provider: str
    base_url: str
    sealed_credential: bytes
    binding: bytes
    options: dict[str, str]
    deadlines: Deadlines
    ca_pem: str
    transport: str
    max_parallel: int
    allow_unknown_endpoints: bool


class Structure(Frozen, frozen=True):
    """Everything but the keys."""

    accounts: tuple[SealedAccount, ...]
    models: tuple[Model, ...]
    projects: tuple[Project, ...]
    budgets: tuple[Budget, ...] = ()
    limits: tuple[Limit, ...] = ()


class Update(Frozen, frozen=True, tag="update"):
    """What brings a worker to `revision`: a new structure or None, changed keys, ids of removed keys; `whole` replaces all keys."""

    revision: int
    structure: Structure | None = None
    keys: tuple[Key, ...] = ()
    removed: tuple[str, ...] = ()
    whole: bool = False


decoder = msgspec.msgpack.Decoder(Update)


def decode(payload: bytes) -> Update:
    """Return the update that `payload` (msgpack) holds; raises ValueError."""
    return decoder.decode(payload)


class BadSnapshot(Exception):
    """An update that would not serve; the snapshot in use stays."""


class Snapshot(Frozen, frozen=True):
    """One consistent configuration under one revision; never changed, only replaced.

    `dearest` gives, by price id, the most a million input and output tokens and a request can cost in nano-USD.
    """

    revision: int
    accounts: Mapping[str, Account]
    models: Mapping[str, Model]
    projects: Mapping[str, Project]
    keys: Mapping[str, Key]
    by_upstream: Mapping[tuple[str, str], tuple[Model, ...]]
    dearest: Mapping[str, tuple[int, int, int]]
    rules: Rules


def _open(sealed: SealedAccount, shelf: Mapping[str, Provider], open_credential: Callable[[bytes, bytes], bytes]) -> Account:
    if sealed.provider not in shelf:
        raise BadSnapshot(f"account {sealed.slug}: no provider {sealed.provider!r} on the shelf")
    try:
        credential = open_credential(sealed.sealed_credential, sealed.binding).decode() if sealed.sealed_credential else ""
    except ValueError as error:
        raise BadSnapshot(f"account {sealed.slug}: its credential does not open with this KEK") from error
    return Account(
        id=sealed.id,
        slug=sealed.slug,
        provider=sealed.provider,
        base_url=sealed.base_url,
        credential=credential,
        options=sealed.options,
        deadlines=sealed.deadlines,
        ca_pem=sealed.ca_pem,
        transport=sealed.transport,
        max_parallel=sealed.max_parallel,
        allow_unknown_endpoints=sealed.allow_unknown_endpoints,
        revision=str(hash(msgspec.msgpack.encode(sealed))),
    )


def _upstream_names(models: tuple[Model, ...]) -> dict[tuple[str, str], tuple[Model, ...]]:
    found: dict[tuple[str, str], tuple[Model, ...]] = {}
    for model in models:
        for deployment in model.deployments:
            place = (deployment.account, deployment.upstream_model)
            found[place] = (*found.get(place, ()), model)
    return found


def _by_scope(rules: tuple[Rule, ...]) -> dict[str, tuple[Rule, ...]]:
    found: dict[str, tuple[Rule, ...]] = {}
    for rule in rules:
        found[rule.scope] = (*found.get(rule.scope, ()), rule)
    return found


def _check(deployments: tuple[Deployment, ...], accounts: Mapping[str, Account]) -> None:
    for deployment in deployments:
        if deployment.account not in accounts:
            raise BadSnapshot(f"deployment {deployment.slug}: no account {deployment.account!r}")


def apply(
    current: Snapshot | None, update: Update, shelf: Mapping[str, Provider], open_credential: Callable[[bytes, bytes], bytes]
) -> Snapshot:
    """Return the snapshot that `update` leads to. Raises BadSnapshot when it would not serve or does not fit `current`."""
    keys: dict[str, Key]
    if update.whole:
        keys = {key.id: key for key in update.keys}
    elif current is None:
        raise BadSnapshot("a delta without a snapshot to apply it to")
    else:
        keys = dict(current.keys)
        for key in update.keys:
            keys[key.id] = key
        for gone in update.removed:
            keys.pop(gone, None)
    if update.structure is None:
        if current is None:
            raise BadSnapshot("keys without a structure")
        return msgspec.structs.replace(current, revision=update.revision, keys=keys)
    structure = update.structure
    accounts = {sealed.slug: _open(sealed, shelf, open_credential) for sealed in structure.accounts}
    for model in structure.models:
        _check(model.deployments, accounts)
    return Snapshot(
        revision=update.revision,
        accounts=accounts,
        models={model.name: model for model in structure.models},
        projects={project.id: project for project in structure.projects},
        keys=keys,
        by_upstream=_upstream_names(structure.models),
        rules=Rules(_by_scope(structure.budgets), _by_scope(structure.limits)),
        dearest={
            d.price.id: (dearest_input_nanousd(d.price), dearest_output_nanousd(d.price), d.price.request_nanousd)
            for model in structure.models
            for d in model.deployments
            if d.price is not None
        },
    )
