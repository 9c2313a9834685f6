"""What somebody has on the way to their first call: policy, project, key, call. Every step is read from the data, none is ticked by hand. Reads only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import acceptable_use, access
from accounts.models import Acceptance, Project, User, VirtualKey
from billing import prices
from billing.models import Budget, CreditAccount, Unit, UsageRecord
from billing.money import Price
from billing.standing import standings, usable_credit
from gateway.models import Model, State
from gateway.pricing import first_terms

MOST_PROJECTS, MOST_KEYS, MOST_MODELS = 10, 10, 12


class Step(NamedTuple):
    """One step: its name, whether it is done, and what shows that it is."""

    name: str
    title: str
    is_done: bool
    told: str


class Place(NamedTuple):
    """A project somebody has, with what may still be spent there, nano-USD; None where no hard budget binds."""

    project: Project
    left_nanousd: int | None


class Offer(NamedTuple):
    """A model of the catalogue, with what a million tokens cost in nano-USD; None where no price is known."""

    model: Model
    price: Price | None


@dataclass(frozen=True)
class FirstSteps:
    """Where somebody stands."""

    steps: tuple[Step, ...]
    places: tuple[Place, ...]
    keys: tuple[VirtualKey, ...]
    offers: tuple[Offer, ...]
    model: str
    # names of offered models that one of the keys may call
    open_models: frozenset[str]

    @property
    def is_done(self) -> bool:
        """Say whether the first call has landed."""
        return self.steps[-1].is_done

    @property
    def done(self) -> int:
        """Return how many steps are done."""
        return sum(step.is_done for step in self.steps)


def first_steps(user: User) -> FirstSteps:
    """Return where a person stands now."""
    now = timezone.now()
    projects = list(access.visible_projects(user).filter(state=Project.State.ACTIVE).select_related("business_unit").order_by("name")[:MOST_PROJECTS])
    keys = list(own_keys(user, now)[:MOST_KEYS])
    offers = tuple(offered(now))
    call = landed(user)
    steps = (
        *accepted(user),
        Step("project", "A project", bool(projects), ", ".join(project.name for project in projects[:3])),
        Step("key", "A key", bool(keys), ", ".join(key.name for key in keys[:3])),
        Step("call", "The first call", call is not None, f"{call.model}, {call.started_at:%Y-%m-%d %H:%M} UTC" if call else ""),
    )
    callable_models = frozenset(offer.model.name for offer in offers if any("*" in key.models or offer.model.name in key.models for key in keys))
    return FirstSteps(steps, tuple(places(projects)), tuple(keys), offers, model_for(keys, offers), callable_models)


def accepted(user: User) -> tuple[Step, ...]:
    """Return the step of the acceptable-use policy, none where there is no policy."""
    policy = acceptable_use.current()
    if policy is None:
        return ()
    found = Acceptance.objects.filter(user=user, policy=policy).first()
    return (Step("policy", "The acceptable-use policy", found is not None, f"version {policy.version}, {found.at:%Y-%m-%d}" if found else ""),)


def mine(user: User) -> QuerySet[VirtualKey]:
    """Return the keys a person has or made, in any state, the newest first."""
    return access.visible_keys(user).filter(Q(owner=user) | Q(created_by=user)).select_related("project").order_by("-created_at")


def own_keys(user: User, now: datetime) -> QuerySet[VirtualKey]:
    """Return those of them that are good."""
    return mine(user).filter(state=VirtualKey.State.ACTIVE, expires_at__gt=now)


def landed(user: User) -> UsageRecord | None:
    """Return a call of a person's keys that a model answered, None while there is none."""
    for name in mine(user).values_list("public_id", flat=True)[:MOST_KEYS]:  # one look into the index for each, however many calls there are
        calls = UsageRecord.objects.filter(key=name, kind=UsageRecord.Kind.CALL, outcome="ok").order_by("-started_at")
        found = calls.only("model", "started_at").first()
        if found is not None:
            return found
    return None


def places(projects: list[Project]) -> list[Place]:
    """Return projects with what may still be spent under the narrowest of their own hard budgets, credit included."""
    budgets = list(Budget.objects.filter(project__in=projects, mode=Budget.Mode.HARD, unit=Unit.NANOUSD, per=Budget.Per.SCOPE, is_archived=False))
    accounts = list(CreditAccount.objects.filter(project__in=projects, is_frozen=False))
    standing, credit = standings(budgets), usable_credit(accounts)
    waiting = {account.project_id: credit[account.id] for account in accounts}
    left: dict[Any, int] = {}
    for budget in budgets:
        amount = (standing[budget.id].left or 0) + waiting.get(budget.project_id, 0)
        left[budget.project_id] = min(amount, left.get(budget.project_id, amount))
    return [Place(project, left.get(project.pk)) for project in projects]


def offered(now: datetime) -> list[Offer]:
    """Return the models that can be called, with what the deployment that is tried first bills."""
    served = Model.objects.filter(is_active=True, deployments__state=State.ACTIVE, deployments__account__state=State.ACTIVE).distinct()
    book = prices.Book()
    return [Offer(model, first_terms(model, now, book)) for model in served.select_related("assumed_price").order_by("name")[:MOST_MODELS]]


def model_for(keys: list[VirtualKey], offers: tuple[Offer, ...]) -> str:
    """Return a chat model the newest key may call, "" where there is none."""
    chat = [offer.model.name for offer in offers if offer.model.kind == Model.Kind.CHAT]
    allowed = keys[0].models if keys else ["*"]
    return next((name for name in chat if "*" in allowed or name in allowed), "")
