"""A company in which every role is held and every resource has objects in every place, for the run of the access matrix."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone

from accounts.channels import save_channel
from accounts.grants import Asking
from accounts.models import ApprovalRule, AuditEvent, BusinessUnit, Membership, NotificationChannel, PersonalToken, Project, User, VirtualKey
from accounts.requests.asking import submit
from accounts.service_accounts import SCOPES
from accounts.webhooks import make_webhook
from billing.budgets import save_budget, save_limit
from billing.credits import open_account
from billing.models import AlertEvent, Budget, Export, Limit, Price, Statement
from gateway.actions import create_virtual_key
from gateway.models import Deployment, Model, ProviderAccount
from tests.gateway.api.callers import Caller, call, program, service_account

OPTIONS = {"url": "http://127.0.0.1:9009/"}
SECRET = "whsec_" + "c2VjcmV0" * 4
# A place and every place above it, nearest first.
PLACES = {
    "key": ("key", "project", "unit", "above"),
    "project": ("project", "unit", "above"),
    "under": ("under", "unit", "above"),
    "unit": ("unit", "above"),
    "foreign": ("foreign",),
    "platform": (),
}
HELD_IN = {"manager": "unit", "unit_viewer": "unit", "owner": "project", "developer": "project", "project_viewer": "project"}


class Sample(NamedTuple):
    """An object: its prefixed id, where it belongs, and whether it is the caller's own and in prod."""

    id: str
    place: str
    mine: bool = False
    prod: bool = False


@dataclass
class Company:
    """Units above > unit > under, a project in unit, and a foreign project; every role has a person, every kind of program a token."""

    above: BusinessUnit
    unit: BusinessUnit
    under: BusinessUnit
    project: Project
    foreign: Project
    people: dict[str, User]
    key: VirtualKey
    foreign_key: VirtualKey
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def caller(self, role: str) -> Caller:
        """Return who holds a role: a person in a session, or with `program:` before it the program that stands there."""
        if not role.startswith("program:"):
            return Caller(user=self.people[role])
        place = {"owner": {"project": self.project}, "manager": {"business_unit": self.unit}, "it_admin": {}}[role.removeprefix("program:")]
        return program(role, **place)


def key_of(project: Project, name: str, **fields: Any) -> VirtualKey:
    """Make a key."""
    return create_virtual_key(project=project, name=name, models=["*"], expires_at=timezone.now() + timedelta(days=1), **fields)[0]


def company() -> Company:
    """Build the company with everything in it."""
    above = BusinessUnit.objects.create(name="Above")
    unit = BusinessUnit.objects.create(name="Unit", parent=above)
    under = BusinessUnit.objects.create(name="Under", parent=unit)
    other = BusinessUnit.objects.create(name="Other")
    project, foreign = Project.objects.create(name="P", business_unit=unit), Project.objects.create(name="Q", business_unit=other)
    people = {}
    for role in ("it_admin", "security_officer", "finance", "auditor", *HELD_IN, "anyone"):
        platform = role if role not in (*HELD_IN, "anyone") else ""
        people[role] = user = User.objects.create_user(f"{role}@example.com", role=platform)
        if role in HELD_IN:
            name = role.removeprefix("unit_").removeprefix("project_")
            Membership.objects.create(user=user, role=name, **({"project": project} if HELD_IN[role] == "project" else {"business_unit": unit}))
    made = Company(above, unit, under, project, foreign, people, key_of(project, "k"), key_of(foreign, "k"))
    for resource, make in SAMPLES.items():
        made.samples[resource] = make(made)
    return made


def _scoped(prefix: str, make: Callable[[Any], Any]) -> Callable[[Company], list[Sample]]:
    def samples(made: Company) -> list[Sample]:
        places = {"key": made.key, "project": made.project, "unit": made.unit, "foreign": made.foreign}
        return [Sample(f"{prefix}{make(scope).id}", place) for place, scope in places.items()]

    return samples


def _named(scope: Any) -> dict[str, Any]:
    return {{"Project": "project", "VirtualKey": "key", "BusinessUnit": "business_unit"}[type(scope).__name__]: scope}


def _units(made: Company) -> list[Sample]:
    places = {"unit": made.unit, "under": made.under, "foreign": made.foreign.business_unit}
    return [Sample(f"bu_{unit.pk.hex}", place) for place, unit in places.items()]


def _projects(made: Company) -> list[Sample]:
    return [Sample(f"prj_{made.project.pk.hex}", "project"), Sample(f"prj_{made.foreign.pk.hex}", "foreign")]


def _keys(made: Company) -> list[Sample]:
    return [Sample(f"key_{made.key.public_id}", "key"), Sample(f"key_{made.foreign_key.public_id}", "foreign")]


def own_keys(made: Company, owner: User) -> list[Sample]:
    """Make personal keys of a person, one of them in prod."""
    dev, prod = (key_of(made.project, name, owner=owner, environment=name) for name in ("dev", "prod"))
    return [Sample(f"key_{dev.public_id}", "key", mine=True), Sample(f"key_{prod.public_id}", "key", mine=True, prod=True)]


def _memberships(made: Company) -> list[Sample]:
    new = User.objects.create_user("new@example.com")
    places: dict[str, dict[str, Any]] = {
        "project": {"project": made.project, "role": "viewer"},
        "unit": {"business_unit": made.unit, "role": "viewer"},
        "under": {"business_unit": made.under, "role": "manager"},
        "foreign": {"project": made.foreign, "role": "viewer"},
    }
    return [Sample(f"mbr_{Membership.objects.create(user=new, **given).pk.hex}", place) for place, given in places.items()]


def _service_accounts(made: Company) -> list[Sample]:
    places: dict[str, dict[str, Any]] = {
        "project": {"project": made.project}, "unit": {"business_unit": made.unit}, "under": {"business_unit": made.under},
        "foreign": {"project": made.foreign}, "platform": {},
    }  # fmt: skip
    return [Sample(f"sa_{service_account(f'in {place}', ('keys:read',), **given)[0].public_id}", place) for place, given in places.items()]


def _personal_tokens(made: Company) -> list[Sample]:
    other = User.objects.create_user("other@example.com")
    return [Sample(f"pt_{token_of(other).public_id}", "platform")]


def token_of(user: User) -> PersonalToken:
    """Make a personal token."""
    return PersonalToken.objects.create(
        user=user, name="t", public_id=user.pk.hex[:10], digest=b"d", scopes=list(SCOPES), expires_at=timezone.now() + timedelta(days=1)
    )


def _calls(made: Company) -> list[Sample]:
    places = {"project": (made.project, made.key), "foreign": (made.foreign, made.foreign_key)}
    return [Sample(call(project, key.public_id, f"call_{place}").call_id, place) for place, (project, key) in places.items()]


def _alerts(made: Company) -> list[Sample]:
    places: dict[str, dict[str, Any]] = {
        "project": {"project": made.project}, "unit": {"business_unit": made.unit}, "foreign": {"project": made.foreign}, "platform": {},
    }  # fmt: skip
    common = {"kind": "budget", "window": "w", "threshold": 80, "severity": "warning", "title": "t", "text": "t"}
    return [Sample(f"alt_{AlertEvent.objects.create(subject=place, **common, **given).pk}", place) for place, given in places.items()]


def _audit_events(made: Company) -> list[Sample]:
    places = {"project": made.project, "foreign": made.foreign}
    newest = {place: AuditEvent.objects.filter(object_id=f"prj_{project.pk.hex}").latest("seq") for place, project in places.items()}
    return [Sample(f"aud_{event.id.hex}", place) for place, event in newest.items()]


def _webhooks(made: Company) -> list[Sample]:
    places = {"project": {"project": made.project}, "unit": {"business_unit": made.unit}, "foreign": {"project": made.foreign}}
    found = []
    for place, scope in places.items():
        hook = NotificationChannel(name=f"hook of {place}", options={"url": "http://127.0.0.1:9999/"}, event_types=["key.*"], **scope)
        found.append(Sample(f"whk_{make_webhook(hook)[0].pk.hex}", place))
    return found


def _requests(kind: str, **fields: Any) -> Callable[[Company], list[Sample]]:
    def samples(made: Company) -> list[Sample]:
        found = []
        for place, project in {"project": made.project, "foreign": made.foreign}.items():
            asker = User.objects.create_user(f"{kind}-{place}@example.com")
            Membership.objects.create(user=asker, project=project, role="viewer")
            found.append(Sample(submit(Asking(kind, f"prj_{project.pk.hex}", asker, **fields), "why").shown_id, place))
        return found

    return samples


def _approvals(made: Company) -> list[Sample]:
    return list(made.samples["credit-requests"])


def _rules(made: Company) -> list[Sample]:
    rule = ApprovalRule.objects.first() or ApprovalRule.objects.create(name="Everything")
    return [Sample(f"apr_{rule.pk.hex}", "platform")]


def _channels(made: Company) -> list[Sample]:
    places: dict[str, dict[str, Any]] = {"project": {"project": made.project}, "unit": {"business_unit": made.unit}, "foreign": {"project": made.foreign}}
    found = []
    for place, scope in places.items():
        row = save_channel(NotificationChannel(name=f"channel of {place}", kind="webhook", options=OPTIONS, **scope), SECRET)
        found.append(Sample(f"nch_{row.pk.hex}", place))
    return found


def _reports(made: Company) -> list[Sample]:
    found = []
    for place, unit in {"unit": made.unit, "under": made.under, "foreign": made.foreign.business_unit}.items():
        row = Statement.objects.create(
            business_unit=unit.pk, unit_name=unit.name, month=date(2026, 1, 1), number=1, calls=0, total_nanousd=0, late_nanousd=0, last_usage=0,
            content_hash="0" * 64, closed_at=timezone.now(), closed_by=made.people["finance"],
        )  # fmt: skip
        found.append(Sample(f"stm_{row.pk.hex}", place))
    return found


def export_of(user: User) -> Export:
    """Ask for a file."""
    return Export.objects.create(kind="calls", format="csv", first_day=date(2026, 1, 1), last_day=date(2026, 1, 31), user=user)


def _exports(made: Company) -> list[Sample]:
    return [Sample(f"exp_{export_of(User.objects.create_user('asker@example.com')).pk.hex}", "platform")]


def account_of(slug: str = "acme") -> ProviderAccount:
    """Make a provider account that nobody answers at."""
    return ProviderAccount.objects.get_or_create(slug=slug, defaults={"name": slug, "provider": "vllm", "base_url": "http://127.0.0.1:9009/v1"})[0]


def model_of(name: str = "small") -> Model:
    """Make a model of the catalogue."""
    return Model.objects.get_or_create(name=name)[0]


def _providers(made: Company) -> list[Sample]:
    return [Sample(f"pva_{account_of('unused').pk.hex}", "platform")]


def _models(made: Company) -> list[Sample]:
    return [Sample(f"mdl_{model_of().pk.hex}", "platform")]


def _deployments(made: Company) -> list[Sample]:
    row = Deployment.objects.create(model=model_of(), account=account_of(), upstream_model="small-8b")
    return [Sample(f"dep_{row.pk.hex}", "platform")]


def _prices(made: Company) -> list[Sample]:
    rates = {"input_nanousd": 10**9, "output_nanousd": 2 * 10**9}
    row = Price.objects.create(provider="acme", upstream_model="small-8b", valid_from=timezone.now(), entered_by=made.people["it_admin"], **rates)
    return [Sample(f"prc_{row.pk.hex}", "platform")]


# One entry for every resource of the matrix that has objects.
SAMPLES: dict[str, Callable[[Company], list[Sample]]] = {
    "business-units": _units,
    "projects": _projects,
    "memberships": _memberships,
    "service-accounts": _service_accounts,
    "personal-tokens": _personal_tokens,
    "keys": _keys,
    "budgets": _scoped("bud_", lambda scope: save_budget(Budget(name="b", amount=10, **_named(scope)))),
    "limits": _scoped("lim_", lambda scope: save_limit(Limit(kind="rpm", amount=10, **_named(scope)))),
    "credit-accounts": _scoped("crd_", lambda scope: open_account(scope, "c")),
    "calls": _calls,
    "alerts": _alerts,
    "audit-events": _audit_events,
    "webhooks": _webhooks,
    "credit-requests": _requests("credit", amount_nanousd=10**12),
    "access-requests": _requests("join_project"),
    "approvals": _approvals,
    "approval-rules": _rules,
    "providers": _providers,
    "models": _models,
    "deployments": _deployments,
    "prices": _prices,
    "notification-channels": _channels,
    "reports": _reports,
    "exports": _exports,
}
# What is made where: the body of a POST to a list, for a place.
BODIES: dict[str, Callable[[dict[str, str]], dict[str, Any]]] = {
    "business-units": lambda at: {"name": "New", "parent": at["business_unit"]},
    "projects": lambda at: {"name": "New", "business_unit": at["business_unit"]},
    "memberships": lambda at: {"user": "new-one@example.com", "role": "viewer", **at},
    "service-accounts": lambda at: {"name": "New", "scopes": ["calls:read"], **at},
    "keys": lambda at: {"name": "New", "models": ["*"], "environment": "dev", **at},
    # no more than the unit's own: above it a second person would have to agree
    "budgets": lambda at: {"scope": at, "amount": "0.000000001"},
    "limits": lambda at: {"scope": at, "kind": "tpm", "amount": 1, "reason": "new"},
    "credit-accounts": lambda at: {"scope": at},
    "webhooks": lambda at: {"name": "New", "url": "http://127.0.0.1:9999/", "event_types": ["key.*"], "scope": at},
    "notification-channels": lambda at: {"name": "New", "kind": "webhook", "options": OPTIONS, "secret": SECRET, "scope": at},
    "exports": lambda at: {"kind": "calls", "first": "2026-01-01", "last": "2026-01-31"},
    "reports": lambda at: {"month": "2026-02", **at},
    "credit-requests": lambda at: {"amount": "5", "reason": "new", **at},
    "access-requests": lambda at: {"kind": "join_project", "target": at["project"], "reason": "new"},
    "approval-rules": lambda at: {"name": "New"},
    "providers": lambda at: {"slug": "new", "provider": "vllm", "base_url": "http://127.0.0.1:9009/v1"},
    "models": lambda at: {"name": "new"},
    "deployments": lambda at: {"model": "small", "account": "acme", "upstream_model": "new"},
    "prices": lambda at: {"provider": "acme", "upstream_model": "new", "valid_from": "2026-01-01T00:00:00Z", "input_usd": "1.00", "output_usd": "2.00"},
}
# Places a new object may be made in, by resource.
MADE_IN = {
    "business-units": ("unit", "under", "foreign unit"),
    "projects": ("unit", "under", "foreign unit"),
    "memberships": ("project", "unit", "under", "foreign"),
    "service-accounts": ("project", "unit", "under", "foreign"),
    "keys": ("project", "foreign"),
    "budgets": ("key", "project", "unit", "foreign"),
    "limits": ("key", "project", "unit", "foreign"),
    "credit-accounts": ("under", "foreign unit"),
    "webhooks": ("project", "unit", "foreign"),
    "notification-channels": ("project", "unit", "foreign"),
    "reports": ("under", "foreign unit"),
    "credit-requests": ("project", "foreign"),
    "access-requests": ("project", "foreign"),
    **dict.fromkeys(("approval-rules", "exports", "providers", "models", "deployments", "prices"), ("platform",)),
}


def at(made: Company, place: str) -> dict[str, str]:
    """Return a place as bodies name it."""
    named: dict[str, tuple[str, str]] = {
        "platform": ("", ""),
        "key": ("key", f"key_{made.key.public_id}"),
        "project": ("project", f"prj_{made.project.pk.hex}"),
        "foreign": ("project", f"prj_{made.foreign.pk.hex}"),
        "unit": ("business_unit", f"bu_{made.unit.pk.hex}"),
        "under": ("business_unit", f"bu_{made.under.pk.hex}"),
        "foreign unit": ("business_unit", f"bu_{made.foreign.business_unit_id.hex}"),
    }
    name, value = named[place]
    return {name: value}


@contextlib.contextmanager
def undone() -> Iterator[None]:
    """Take back whatever happens within."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
