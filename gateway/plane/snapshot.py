"""The configuration a worker serves from: compiled elsewhere, checked whole, swapped whole. Knows nothing of databases or sockets."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from accounts.oidc.tokens import Keys
from billing.money import dearest_hour_nanousd, dearest_input_nanousd, dearest_output_nanousd
from gateway.providers import Provider
from gateway.terms import Account, Budget, Deadlines, Deployment, Frozen, Key, Limit, Model, Person, Project, Rules

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


class Published(Frozen, frozen=True):
    """The OpenID provider whose access tokens are taken: what they must say, and its keys as JSON."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    keys: bytes


class Signer(Frozen, frozen=True):
    """The same with its keys loaded."""

    published: Published
    keys: Keys


class Structure(Frozen, frozen=True):
    """Everything but keys and people."""

    accounts: tuple[SealedAccount, ...]
    models: tuple[Model, ...]
    projects: tuple[Project, ...]
    budgets: tuple[Budget, ...] = ()
    limits: tuple[Limit, ...] = ()
    signer: Published | None = None


class Update(Frozen, frozen=True, tag="update"):
    """What brings a worker to `revision`: a new structure or None, changed keys and people, ids of removed keys; `whole` replaces all of both."""

    revision: int
    structure: Structure | None = None
    keys: tuple[Key, ...] = ()
    removed: tuple[str, ...] = ()
    whole: bool = False
    people: tuple[Person, ...] = ()


decoder = msgspec.msgpack.Decoder(Update)


def decode(payload: bytes) -> Update:
    """Return the update that `payload` (msgpack) holds; raises ValueError."""
    return decoder.decode(payload)


class BadSnapshot(Exception):
    """An update that would not serve; the snapshot in use stays."""


class Snapshot(Frozen, frozen=True):
    """One consistent configuration under one revision; never changed, only replaced.

    `dearest` gives, by price id, the most a million input and output tokens, a request, and a million tokens written to a cache for an hour can cost in
    nano-USD. `people` are by id, `subjects` their ids by what the OpenID provider calls them.
    """

    revision: int
    accounts: Mapping[str, Account]
    models: Mapping[str, Model]
    projects: Mapping[str, Project]
    keys: Mapping[str, Key]
    by_upstream: Mapping[tuple[str, str], tuple[Model, ...]]
    dearest: Mapping[str, tuple[int, int, int, int]]
    rules: Rules
    signer: Signer | None = None
    people: Mapping[str, Person] = {}
    subjects: Mapping[str, str] = {}


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


def _signer(current: Snapshot | None, published: Published | None) -> Signer | None:
    """Return the provider with its keys loaded: those in use for as long as they are the same."""
    if published is None:
        return None
    known = current.signer if current is not None else None
    return known if known is not None and known.published == published else Signer(published=published, keys=Keys(msgspec.json.decode(published.keys)))


def _people(current: Snapshot | None, update: Update) -> tuple[Mapping[str, Person], Mapping[str, str]]:
    """Return people by id, and their ids by subject."""
    if update.whole or current is None:
        return {person.id: person for person in update.people}, {subject: person.id for person in update.people for subject in person.subjects}
    if not update.people:
        return current.people, current.subjects
    people, subjects = dict(current.people), dict(current.subjects)
    for person in update.people:
        before = people.get(person.id)
        for subject in before.subjects if before is not None else ():
            subjects.pop(subject, None)
        people[person.id] = person
    for person in update.people:
        subjects.update(dict.fromkeys(person.subjects, person.id))
    return people, subjects


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
    people, subjects = _people(current, update)
    if update.structure is None:
        if current is None:
            raise BadSnapshot("keys without a structure")
        return msgspec.structs.replace(current, revision=update.revision, keys=keys, people=people, subjects=subjects)
    structure = update.structure
    accounts = {sealed.slug: _open(sealed, shelf, open_credential) for sealed in structure.accounts}
    for model in structure.models:
        _check(model.deployments, accounts)
    return Snapshot(
        revision=update.revision,
        accounts=accounts,
        models={alias: model for model in structure.models for alias in model.aliases} | {model.name: model for model in structure.models},
        projects={project.id: project for project in structure.projects},
        keys=keys,
        by_upstream=_upstream_names(structure.models),
        rules=Rules(_by_scope(structure.budgets), _by_scope(structure.limits)),
        signer=_signer(current, structure.signer),
        people=people,
        subjects=subjects,
        dearest={
            d.price.id: (dearest_input_nanousd(d.price), dearest_output_nanousd(d.price), d.price.request_nanousd, dearest_hour_nanousd(d.price))
            for model in structure.models
            for d in model.deployments
            if d.price is not None
        },
    )
