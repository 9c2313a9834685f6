"""Rows to Snapshot: compiles the configuration, checks that it would serve, numbers it. Knows nothing of sockets."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from accounts.models import BusinessUnit, DataClass, Project, VirtualKey
from accounts.ranges import shown_tags
from accounts.sealing import Sealer
from billing.models import Budget, Limit
from billing.models.budgets import Scoped
from billing.prices import Book, next_start
from gateway import models
from gateway.people import compile_people, compile_signer
from gateway.plane import snapshot as plane
from gateway.plane.link import encoder
from gateway.plane.worker import SNAPSHOT_BINDING
from gateway.pricing import terms_of
from gateway.providers import shelf
from gateway.settings import settings
from gateway.terms import Budget as PlaneBudget
from gateway.terms import Deadlines, Deployment, Key, Model, Person
from gateway.terms import Limit as PlaneLimit
from gateway.terms import Project as PlaneProject


def binding(account: models.ProviderAccount) -> bytes:
    """Return what an account's sealed credential is bound to: its own row."""
    return b"provider-account:" + account.id.bytes


def compile_account(account: models.ProviderAccount) -> plane.SealedAccount:
    """Return an account as the plane wants it, its credential still sealed."""
    return plane.SealedAccount(
        id=str(account.id),
        slug=account.slug,
        provider=account.provider,
        base_url=account.base_url,
        sealed_credential=bytes(account.sealed_credential),
        binding=binding(account),
        options={str(name): str(value) for name, value in account.options.items()},
        deadlines=Deadlines(
            connect_ms=account.connect_timeout_ms,
            first_byte_ms=account.first_byte_timeout_ms,
            idle_ms=account.idle_timeout_ms,
            total_ms=account.total_timeout_ms,
        ),
        ca_pem=account.ca_pem,
        transport=account.transport,
        max_parallel=account.max_parallel,
        allow_unknown_endpoints=account.allow_unknown_endpoints,
    )


def compile_deployment(row: models.Deployment, at: datetime, book: Book) -> Deployment:
    """Return a deployment with the price that holds at a moment."""
    return Deployment(
        id=str(row.id),
        slug=f"{row.account.slug}/{row.upstream_model}",
        model=row.model.name,
        account=row.account.slug,
        upstream_model=row.upstream_model,
        order=row.order,
        weight=row.weight,
        region=row.region,
        max_parallel=row.max_parallel,
        price=terms_of(row, at, book),
    )


def compile_model(row: models.Model, deployments: Iterable[models.Deployment], at: datetime, book: Book) -> Model:
    """Return a catalogue model with its active deployments in order, and whether one without a price is refused or free."""
    compiled = sorted((compile_deployment(d, at, book) for d in deployments), key=lambda d: (d.order, -d.weight, d.slug))
    # an assumed price is the deployments' by now; one that cannot be used is as good as none
    unknown_price = row.UnknownPrice.REFUSE if row.unknown_price == row.UnknownPrice.ASSUME else row.unknown_price
    return Model(
        id=str(row.id),
        name=row.name,
        kind=row.kind,
        owned_by=row.owned_by or "symbiosis",
        created_at_s=int(row.created_at.timestamp()),
        unknown_price=unknown_price,
        deployments=tuple(compiled),
        cleared_for=DataClass.values.index(row.data_class),
        aliases=tuple(alias.name for alias in row.aliases.all()),
        lifecycle=row.lifecycle,
        deprecated_at_s=int(row.deprecated_at.timestamp()) if row.deprecated_at and row.lifecycle == row.Lifecycle.DEPRECATED else 0,
        retires_at_s=int(row.retires_at.timestamp()) if row.retires_at else 0,
        successor=row.successor.name if row.successor is not None else "",
        context_tokens=row.context_tokens or 0,
        max_output_tokens=row.max_output_tokens or 0,
        capabilities=tuple(row.capabilities),
    )


def compile_key(row: VirtualKey) -> Key:
    """Return a virtual key as the plane wants it."""
    return Key(
        id=row.public_id,
        name=row.name,
        digest=bytes(row.digest),
        pepper_version=row.pepper_version,
        project=str(row.project_id),
        models=None if "*" in row.models else frozenset(row.models),
        state=row.state,
        expires_at_s=int(row.expires_at.timestamp()),
        environment=row.environment,
        is_demo=row.is_demo,
        previous_digest=bytes(row.previous_digest or b""),
        previous_pepper_version=row.previous_pepper_version or 0,
        previous_until_s=int(row.previous_until.timestamp()) if row.previous_until else 0,
        allowed_ips=tuple(row.allowed_ips),
        tags=shown_tags(row.tags),
        is_compromised=row.is_compromised,
        person=str(row.owner_id) if row.owner_id is not None else "",
    )


def lineage(unit_id: object, parents: dict[object, object]) -> tuple[str, ...]:
    """Return a business unit and those above it, nearest first; a cycle ends the walk."""
    found: list[str] = []
    while unit_id is not None and str(unit_id) not in found:
        found.append(str(unit_id))
        unit_id = parents.get(unit_id)
    return tuple(found)


def compile_structure(at: datetime) -> plane.Structure:
    """Return everything but the keys, with the prices that hold at a moment."""
    accounts = [a for a in models.ProviderAccount.objects.order_by("slug") if a.state == models.State.ACTIVE]
    deployments: dict[object, list[models.Deployment]] = {}
    active = models.Deployment.objects.filter(state=models.State.ACTIVE, account__state=models.State.ACTIVE)
    for row in active.select_related("account", "model__assumed_price", "price"):
        deployments.setdefault(row.model_id, []).append(row)
    book = Book()
    catalogue = models.Model.objects.filter(is_active=True).select_related("successor").prefetch_related("aliases").order_by("name")
    parents: dict[object, object] = dict(BusinessUnit.objects.values_list("id", "parent_id"))
    days = dict(models.ResponseRetention.objects.values_list("project_id", "days"))
    projects = [
        PlaneProject(
            id=str(row.id),
            name=row.name,
            environment=row.environment,
            suspended=row.state != Project.State.ACTIVE,
            business_units=lineage(row.business_unit_id, parents),
            without_authority=row.without_authority,
            stored_response_days=days.get(row.id, settings.stored_response_days),
            data_class=DataClass.values.index(row.data_class),
        )
        for row in Project.objects.order_by("id")
    ]
    return plane.Structure(
        signer=compile_signer(),
        accounts=tuple(compile_account(account) for account in accounts),
        models=tuple(compile_model(row, deployments.get(row.id, []), at, book) for row in catalogue),
        projects=tuple(projects),
        budgets=tuple(compile_budget(row) for row in Budget.objects.filter(is_archived=False).select_related("key").order_by("id")),
        limits=tuple(
            PlaneLimit(id=row.id, scope=scope_of(row), kind=row.kind, amount=row.amount) for row in Limit.objects.select_related("key").order_by("id")
        ),
    )


def scope_of(row: Scoped) -> str:
    """Return what a budget or limit is for, as the plane names it."""
    if row.key is not None:
        return f"key:{row.key.public_id}"
    return f"project:{row.project_id}" if row.project_id is not None else f"unit:{row.business_unit_id}"


def compile_budget(row: Budget) -> PlaneBudget:
    """Return a budget as the plane wants it; its figures stay in the database."""
    return PlaneBudget(
        id=row.id,
        scope=scope_of(row),
        name=row.name,
        mode=row.mode,
        unit=row.unit,
        period=row.period,
        per=row.per,
        starts_at_s=int(row.starts_at.timestamp()) if row.starts_at else 0,
        ends_at_s=int(row.ends_at.timestamp()) if row.ends_at else 0,
    )


class Publisher:
    """Follows the revision and turns what changed into updates; keeps the last good snapshot sealed on disk."""

    def __init__(self, path: Path, sealer: Sealer) -> None:
        self._path, self._sealer = path, sealer
        self.structure: plane.Structure | None = None
        self.keys: dict[str, Key] = {}
        self.people: dict[str, Person] = {}
        self.current: plane.Snapshot | None = None
        self.seen = -1
        self.refused: str = ""
        self._next_price: datetime | None = None

    @property
    def revision(self) -> int:
        """Return the revision in use, -1 for none."""
        return self.current.revision if self.current is not None else -1

    def load_last_good(self) -> bool:
        """Take over the snapshot on disk; False when there is none that opens."""
        try:
            update = plane.decode(self._sealer.open(self._path.read_bytes(), SNAPSHOT_BINDING))
            self.current = plane.apply(None, update, shelf(), self._sealer.open)
        except (OSError, ValueError, plane.BadSnapshot):
            return False
        self.structure, self.keys, self.people = update.structure, {key.id: key for key in update.keys}, {person.id: person for person in update.people}
        return True

    def poll(self) -> plane.Update | None:
        """Return what changed since the last poll, or None; one indexed query when nothing did. A price whose moment has come is a change.

        A structure that would not serve is left out and said in `refused`. Raises BadSnapshot when there is no older one
        to stay with, and database errors as they come.
        """
        number = models.Revision.objects.values_list("number", flat=True).get(id=1)
        is_due = self._next_price is not None and self._next_price <= datetime.now(UTC)
        if number == self.seen and not is_due:
            return None
        update = self._whole(number) if self.seen < 0 else self._delta(number, is_due=is_due)
        try:
            self._adopt(update)
            self.refused = ""
        except plane.BadSnapshot as error:
            if self.current is None or update.structure is None:
                raise
            # a structure that would not serve must not hold back a revocation: its keys go ahead under the old structure
            self.refused = str(error)
            update = plane.Update(revision=number, keys=update.keys, people=update.people, whole=update.whole)
            self._adopt(update)
        self.seen = number
        return update

    def _adopt(self, update: plane.Update) -> None:
        self.current = plane.apply(self.current, update, shelf(), self._sealer.open)
        if update.structure is not None:
            self.structure = update.structure
        if update.whole:
            self.keys, self.people = {}, {}
        self.keys.update((key.id, key) for key in update.keys)
        self.people.update((person.id, person) for person in update.people)

    def whole(self) -> plane.Update | None:
        """Return the update that brings a new worker to the current revision; None before the first."""
        if self.structure is None or self.current is None:
            return None
        keys, people = tuple(self.keys.values()), tuple(self.people.values())
        return plane.Update(revision=self.current.revision, structure=self.structure, keys=keys, people=people, whole=True)

    def _whole(self, number: int) -> plane.Update:
        rows = VirtualKey.objects.exclude(state=VirtualKey.State.REVOKED, expires_at__lt=datetime.now(UTC))
        keys, people = tuple(compile_key(row) for row in rows.iterator(2_000)), tuple(compile_people())
        return plane.Update(revision=number, structure=self._structure(), keys=keys, people=people, whole=True)

    def _structure(self) -> plane.Structure:
        now = datetime.now(UTC)
        structure = compile_structure(now)
        self._next_price = next_start(now)
        return structure

    def _delta(self, number: int, *, is_due: bool) -> plane.Update:
        changes = list(models.Change.objects.filter(number__gt=self.seen, number__lte=number).values_list("kind", "object_id"))
        if len(changes) != number - self.seen:
            return self._whole(number)
        ids = {object_id for kind, object_id in changes if kind == models.Change.Kind.KEY and object_id is not None}
        people_ids = {object_id for kind, object_id in changes if kind == models.Change.Kind.PERSON and object_id is not None}
        rows = {row.id: compile_key(row) for row in VirtualKey.objects.filter(id__in=ids)} if ids else {}
        people = compile_people(people_ids) if people_ids else []
        gone_whole = bool(ids - rows.keys()) or len(people) < len(people_ids)
        if gone_whole:
            return self._whole(number)
        structure = self._structure() if is_due or any(kind == models.Change.Kind.STRUCTURE for kind, _ in changes) else None
        return plane.Update(revision=number, structure=structure, keys=tuple(rows.values()), people=tuple(people))

    def save(self) -> None:
        """Seal the current snapshot to disk, whole or not at all."""
        update = self.whole()
        if update is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        sealed = self._sealer.seal(encoder.encode(update), SNAPSHOT_BINDING)
        fresh = self._path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, sealed)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fresh.replace(self._path)
