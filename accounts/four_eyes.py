"""Acts that take two people: the action itself files them as requests instead of doing them, whatever face called it.

An action asks `is_needed()`, does the harmless part, and hands the rest to `hold`; a second eligible person approves it, and the Grant of the act
runs the same action again within `settled()`. While nobody else is eligible, the act waits 24 hours, told to everybody and cancellable.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.utils import timezone

from accounts.access import role_of
from accounts.audit.origin import here
from accounts.grants import Asked, Asking, Grant, Line, Outcome, grant_of, nobody
from accounts.models import BusinessUnit, GrantRequest, Project, ScimToken, ServiceAccount, User
from accounts.requests import routing, telling
from accounts.requests.approvers import deciders, open_step
from accounts.requests.notes import note

WAIT = timedelta(hours=24)
_settled: ContextVar[bool] = ContextVar("four_eyes_settled", default=False)


def is_grave(request: GrantRequest) -> bool:
    """Say whether who decides a request proves first to be there: acts that take two people, what no rule alone gives, and keys for production."""
    grant = grant_of(request.kind)
    return bool(grant.roles) or grant.needs_proof


def is_needed() -> bool:
    """Say whether somebody acts who needs a second person: anybody signed in or with a token; not the host's operator, nor what was agreed already."""
    return not _settled.get() and here().who() is not None


def check_token() -> None:
    """Raise PermissionDenied where the directory acts by a SCIM token that two people have not let give privileged roles."""
    who = here().who()
    if isinstance(who, ScimToken) and not who.may_give_privileged:
        raise PermissionDenied("This concerns a privileged role, and the SCIM token may not give one. An IT administrator can let it, with a second person.")


@contextmanager
def settled() -> Iterator[None]:
    """Say that two people stand behind what happens within."""
    token = _settled.set(True)
    try:
        yield
    finally:
        _settled.reset(token)


def act(
    name: str,
    *,
    title: str,
    roles: tuple[str, ...],
    run: Callable[[GrantRequest], None],
    preview: Callable[[GrantRequest], list[Line]],
    beneficiaries: Callable[[GrantRequest], frozenset[UUID]] = nobody,
) -> Grant:
    """Return the grant of an act, to be registered: `run` does what its request holds, `roles` may be the second person."""

    def apply(request: GrantRequest) -> Outcome:
        with settled():
            run(request)
        return {}

    def may_decide(user: User, request: GrantRequest) -> bool:
        return role_of(user) in roles

    return Grant(
        kind=name,
        title=title,
        target="",
        check=_never_asked_for,
        apply=apply,
        preview=preview,
        beneficiaries=beneficiaries,
        may_decide=may_decide,
        is_asked_for=False,
        roles=roles,
    )


def _never_asked_for(asking: Asking) -> Asked:
    raise NotImplementedError(f"{asking.kind} is filed by its action")


def hold(
    name: str,
    *,
    row: Model,
    title: str,
    target: str,
    parameters: dict[str, Any],
    sealed: bytes = b"",
    reason: str = "",
    project: Project | None = None,
    unit: BusinessUnit | None = None,
) -> GrantRequest:
    """File an act for a second person within the caller's act, note it on the row for faces to tell, and return the request.

    The same act filed again is one request; another one on the same target takes the place of the first.
    """
    who = here().who()
    if isinstance(who, ScimToken):
        raise PermissionDenied("This takes two people, and the directory is none.")
    asker: dict[str, Any] = {"requester": who if isinstance(who, User) else None, "service_account": who if isinstance(who, ServiceAccount) else None}
    waiting = GrantRequest.objects.select_for_update(of=("self",)).filter(kind=name, target=target, state__in=GrantRequest.OPEN, **asker).first()
    if waiting is not None and waiting.parameters == parameters and not sealed:
        row.__dict__["awaits"] = waiting
        return waiting
    if waiting is not None:
        waiting.withdraw()
        routing.close_steps(waiting)
        waiting.save()
        note(waiting, "withdrawn", "Another one took its place.", who)
    request = GrantRequest(
        kind=name,
        target=target,
        parameters=parameters,
        sealed_parameters=sealed,
        title=" ".join(title.split())[:200],
        reason=reason.replace("\0", "").strip()[:2000] or "No reason was given.",
        project=project,
        business_unit=unit,
        expires_at=timezone.now(),
        **asker,
    )
    request.save(force_insert=True)
    note(request, "submitted", request.reason, who)
    routing.route(request)
    _wait_alone(request)
    row.__dict__["awaits"] = request
    return request


def held(row: Model) -> GrantRequest | None:
    """Return the request that an action just filed for a row instead of doing it whole."""
    found: GrantRequest | None = row.__dict__.pop("awaits", None)
    return found


def in_words(request: GrantRequest) -> str:
    """Say what became of an act that was filed."""
    when = f"is carried out on {request.runs_at:%Y-%m-%d %H:%M} UTC unless cancelled, because nobody else may approve it" if request.runs_at else ""
    return f"{request.title}: {when or 'waits for a second person'} ({request.shown_id})."


def _wait_alone(request: GrantRequest) -> None:
    """Let an act nobody else can approve wait its time, and alert everybody."""
    step = open_step(request)
    if step is None or deciders(step):
        return
    request.runs_at = timezone.now() + WAIT
    request.save()
    note(request, "alone", "Nobody else may approve it, so it waits 24 hours and can be cancelled.")
    telling.tell_alone(request)
