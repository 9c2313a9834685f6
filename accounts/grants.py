"""What can be asked for: a Grant says how one kind of request is checked, shown, carried out and taken back. Apps register theirs at start.

Knows no rule and no approver; whoever decides calls `apply` inside the transaction of the decision.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.core.exceptions import ValidationError

from accounts.access import Actor
from accounts.models import BusinessUnit, GrantRequest, Project, User

Outcome = dict[str, Any]


class Line(NamedTuple):
    """One thing that changes, in words: what, how it is and how it would be."""

    what: str
    before: str
    after: str


class Fact(NamedTuple):
    """Something an approver should know."""

    what: str
    value: str


@dataclass(frozen=True)
class Asking:
    """What somebody asks for, as it came in; amounts in nano-USD."""

    kind: str
    target: str
    actor: Actor
    parameters: Mapping[str, Any] = field(default_factory=dict)
    amount_nanousd: int | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Asked:
    """The same, checked: a title for people, the one way to write target and parameters, and where it is decided.

    `unit` is the unit whose managers decide (None: nobody below the platform does).
    """

    title: str
    target: str
    parameters: dict[str, Any] = field(default_factory=dict)
    project: Project | None = None
    unit: BusinessUnit | None = None
    environment: str = ""


def no_lines(request: GrantRequest) -> list[Line]:
    """Return nothing."""
    return []


def no_facts(request: GrantRequest) -> list[Fact]:
    """Return nothing."""
    return []


def nobody(request: GrantRequest) -> frozenset[UUID]:
    """Return nobody."""
    return frozenset()


def anybody(user: User, request: GrantRequest) -> bool:
    """Say yes."""
    return True


@dataclass(frozen=True)
class Grant:
    """A kind of request.

    `check(asking)` returns what is asked, or raises ValidationError in words; it looks things up on behalf of the asker, so that nothing foreign shows.
    `preview(request)` says before → after, `facts(request)` what helps to decide, such as the cost so far.
    `apply(request)` carries it out inside the approver's transaction and returns what `revoke` needs; raises ValidationError when it cannot be done any more.
    `revoke(request)` takes it back, None where nothing can be; `ends_itself` says that the end needs no help.
    `beneficiaries(request)` may not approve, whoever asked; `may_decide(user, request)` keeps deciders within their own right.
    """

    kind: str
    title: str
    target: str
    check: Callable[[Asking], Asked]
    apply: Callable[[GrantRequest], Outcome]
    revoke: Callable[[GrantRequest], None] | None = None
    preview: Callable[[GrantRequest], list[Line]] = no_lines
    facts: Callable[[GrantRequest], list[Fact]] = no_facts
    beneficiaries: Callable[[GrantRequest], frozenset[UUID]] = nobody
    may_decide: Callable[[User, GrantRequest], bool] = anybody
    parameters: Mapping[str, str] = field(default_factory=dict)
    takes_amount: bool = False
    ends_itself: bool = False
    is_asked_for: bool = True
    # Never approved by a rule alone, and by people of these roles where no rule says otherwise.
    roles: tuple[str, ...] = ()
    # Whether who decides proves first to be there, as they do for whatever no rule alone approves.
    needs_proof: bool = False


_registered: dict[str, Grant] = {}


def register(grant: Grant) -> None:
    """Make a kind of request known; the same kind twice is an error of the program."""
    if _registered.setdefault(grant.kind, grant) is not grant:
        raise ValueError(f"the kind {grant.kind!r} is registered already")


def kinds() -> Mapping[str, Grant]:
    """Return every kind by name."""
    return _registered


def grant_of(kind: str) -> Grant:
    """Return the grant of a kind; raises ValidationError for one that does not exist."""
    found = _registered.get(kind)
    if found is None:
        asked_for = sorted(name for name, grant in _registered.items() if grant.is_asked_for)
        raise ValidationError({"kind": f"There is no kind {kind!r}. Kinds are: {', '.join(asked_for)}."})
    return found


def changes_of(request: GrantRequest) -> list[Line]:
    """Return what a stored request would change; where what it is about is gone, a line that says so, for others wait in the same list."""
    try:
        return grant_of(request.kind).preview(request)
    except ValidationError as gone:
        return [Line(" ".join(gone.messages), "—", "—")]


def checked(asking: Asking) -> Asked:
    """Return what is asked, checked by its grant. Raises ValidationError."""
    grant = grant_of(asking.kind)
    unknown = sorted(set(asking.parameters) - set(grant.parameters))
    if unknown:
        known = ", ".join(f"{name} ({hint})" for name, hint in grant.parameters.items()) or "none"
        raise ValidationError({"parameters": f"There is no parameter {unknown[0]!r}. For {grant.kind} there are: {known}."})
    if grant.takes_amount and not asking.amount_nanousd:
        raise ValidationError({"amount": "Say how much, above zero."})
    if not grant.takes_amount and asking.amount_nanousd is not None:
        raise ValidationError({"amount": f"A request of the kind {grant.kind} has no amount."})
    if asking.until is not None and grant.revoke is None and not grant.ends_itself:
        raise ValidationError({"until": f"What {grant.kind} gives cannot be taken back by itself. Leave the end out."})
    return grant.check(asking)
