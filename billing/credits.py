"""Credit: amounts given to a project, key or business unit on top of its budgets, drawn by their windows when the base is used up.

Each write is one transaction with its posting; callers check who may ask.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q

from accounts import audit
from accounts.audit.watch import subject_of
from accounts.models import BusinessUnit, Project, User, VirtualKey
from billing import ledger, loosening, trail
from billing.budgets import check_reason
from billing.ledger import Movement
from billing.models import Budget, BudgetChange, CreditAccount, CreditGrant, DisputedHold, Entry, Lease, Posting, Unit, Window
from billing.windows import Change, change, database_now, lock

MOST_GRANT_NANOUSD = 2**61
# So long after its end a window may still be leased from by a worker whose clock lags.
CLOSES_AFTER = timedelta(minutes=6)
MOST_AT_ONCE = 500

Scope = Project | VirtualKey | BusinessUnit


@audit.act()
def open_account(scope: Scope, name: str, actor: User | None = None, *, is_demo: bool = False) -> CreditAccount:
    """Open the credit account of a project, key or business unit. Raises ValidationError when it has one."""
    account = CreditAccount(**_of(scope), name=name.strip(), is_demo=is_demo)
    account.full_clean()
    account.save(force_insert=True)
    trail.note(account, BudgetChange.Kind.CREATED, {}, trail.facts(account), actor, "")
    return account


@audit.act()
def rename(account: CreditAccount, name: str, actor: User | None = None, reason: str = "") -> CreditAccount:
    """Give an account another name; what it is for stays. Raises ValidationError for an empty or too long one."""
    before = CreditAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
    account.name = name.replace("\0", "").strip()
    account.full_clean()
    account.save(update_fields=["name"])
    trail.note(account, BudgetChange.Kind.CHANGED, {"name": before.name}, {"name": account.name}, actor, reason)
    return account


@audit.act()
def set_frozen(account: CreditAccount, frozen: bool, actor: User | None = None, reason: str = "") -> bool:
    """Freeze an account, so that no window draws on it, or thaw it; returns whether anything changed."""
    reason = check_reason(reason)
    account.is_frozen = frozen
    if CreditAccount.objects.filter(pk=account.pk).exclude(is_frozen=frozen).update(is_frozen=frozen) != 1:
        return False
    verb = "freeze" if frozen else "unfreeze"
    audit.record(f"credit-account.{verb}", subject_of(account), changes={"is_frozen": [not frozen, frozen]}, reason=reason)
    kind = BudgetChange.Kind.FROZEN if frozen else BudgetChange.Kind.UNFROZEN
    trail.note(account, kind, {"is_frozen": not frozen}, {"is_frozen": frozen}, actor, reason)
    return True


@audit.act()
def grant(account: CreditAccount, amount_nanousd: int, expires_at: datetime | None, actor: User | None, reason: str) -> CreditGrant:
    """Give credit in nano-USD, until a moment or for good. Raises ValidationError for an absurd amount, a past end or no reason."""
    made = _new_grant(account, amount_nanousd, expires_at, actor, check_reason(reason))
    ledger.post(Posting.Kind.GRANT, f"grant:{made.id}", [Movement(ledger.CREDITS, ledger.grant_account(made.id), amount_nanousd)], actor, reason)
    return made


@audit.act()
def move(source: CreditAccount, target: CreditAccount, amount_nanousd: int, actor: User | None, reason: str) -> list[CreditGrant]:
    """Move credit in nano-USD between accounts, the earliest end first; it keeps its ends. Raises ValidationError when there is not enough."""
    reason = check_reason(reason)
    if source.pk == target.pk:
        raise ValidationError("Choose two different accounts.")
    if amount_nanousd <= 0:
        raise ValidationError({"amount": "The amount must be above zero."})
    # in one order, so that two moves in opposite directions do not wait for each other
    list(CreditAccount.objects.select_for_update(no_key=True).filter(pk__in=[source.pk, target.pk]).order_by("pk"))
    parts = _parts(source, amount_nanousd, database_now())
    if not parts:
        raise ValidationError({"amount": f"{source} has less unexpired credit than that. Move less or grant more."})
    movements, made = [], []
    for old, part in parts:
        new = CreditGrant.objects.create(
            account=target, amount_nanousd=part, remaining_nanousd=part, expires_at=old.expires_at, reason=reason, granted_by=actor
        )
        movements.append(Movement(ledger.grant_account(old.id), ledger.grant_account(new.id), part))
        made.append(new)
    _take_from(parts)
    ledger.post(Posting.Kind.MOVE, ledger.once(f"move:{source.pk}:{target.pk}"), movements, actor, reason)
    return made


@audit.act()
def take_back(given: CreditGrant, actor: User | None, reason: str) -> Posting:
    """Take back a grant nothing was drawn from by reversing its posting. Raises ValidationError when some of it is gone or there is no reason."""
    locked = CreditGrant.objects.select_for_update(no_key=True).get(pk=given.pk)
    posting = Posting.objects.filter(reference=f"grant:{given.pk}").first()
    if posting is None or locked.remaining_nanousd != locked.amount_nanousd:
        raise ValidationError("Some of this credit was drawn, moved or has expired, so the grant cannot be taken back.")
    CreditGrant.objects.filter(pk=given.pk).update(remaining_nanousd=0, expired_at=database_now())
    audit.record("credit-grant.take-back", subject_of(given), changes={"remaining_nanousd": [locked.remaining_nanousd, 0]}, reason=reason)
    return ledger.reverse(posting, actor, reason)


@audit.act()
def raise_temporarily(budget: Budget, amount_nanousd: int, until: datetime, actor: User | None, reason: str) -> CreditGrant | None:
    """Let a hard money budget spend more until a moment, as credit of its scope, whose account is opened if need be. Raises ValidationError.

    Beyond the limit of the unit above it waits for a second person (`four_eyes.held` tells), and None is returned.
    """
    if budget.unit != Unit.NANOUSD or budget.mode != Budget.Mode.HARD:
        raise ValidationError("Only a hard budget in money can be raised by credit. Change this budget's amount instead.")
    if until <= database_now():
        raise ValidationError({"expires_at": "This end has passed. Choose a later one or none."})
    if loosening.hold_raise(budget, amount_nanousd, until, check_reason(reason)) is not None:
        return None
    return grant(account_of(budget.scope, actor), amount_nanousd, until, actor, reason)


def account_of(scope: Scope, actor: User | None = None) -> CreditAccount:
    """Return the credit account of a project, key or business unit, opened if need be."""
    return CreditAccount.objects.filter(**_of(scope)).first() or open_account(scope, f"Credit of {scope}"[:200], actor)


@audit.act()
def expire_due() -> int:
    """Move what is left of expired grants to the account `expired`; returns how many grants ended."""
    now = database_now()
    due = list(CreditGrant.objects.select_for_update(no_key=True).filter(expires_at__lte=now, expired_at=None).order_by("id")[:MOST_AT_ONCE])
    _expire(due, now)
    return len(due)


@audit.act()
def end(given: CreditGrant, actor: User | None, reason: str) -> bool:
    """End a grant now, as if its time had come: what no window has drawn is gone; False when it had ended before. Raises ValidationError without a reason."""
    reason = check_reason(reason)
    locked, now = CreditGrant.objects.select_for_update(no_key=True).get(pk=given.pk), database_now()
    if locked.expired_at is not None:
        return False
    locked.expires_at = min(locked.expires_at or now, now)
    locked.save(update_fields=["expires_at"])
    _expire([locked], now, actor, reason)
    return True


def _expire(grants: Sequence[CreditGrant], now: datetime, actor: User | None = None, reason: str = "") -> None:
    for ended in grants:
        if ended.remaining_nanousd:
            account = ledger.grant_account(ended.id)
            ledger.post(Posting.Kind.EXPIRE, f"expire:{ended.id}", [Movement(account, ledger.EXPIRED, ended.remaining_nanousd)], actor, reason)
            audit.record("credit-grant.expire", subject_of(ended), changes={"remaining_nanousd": [ended.remaining_nanousd, 0]})
    CreditGrant.objects.filter(id__in=[ended.id for ended in grants]).update(remaining_nanousd=0, expired_at=now)


def close_windows() -> int:
    """Close windows that ended and that nobody holds any more: unused credit goes back; windows of limits are deleted. Returns how many."""
    ended = Window.objects.filter(closes_at__lt=database_now() - CLOSES_AFTER, closed_at=None)
    with transaction.atomic():
        old = lock(list(ended.filter(budget=None).values_list("id", flat=True)[:MOST_AT_ONCE]))
        Window.objects.filter(id__in=list(old)).delete()
    names = list(ended.exclude(budget=None).values_list("id", flat=True)[:MOST_AT_ONCE])
    return len(old) + sum(_close(name) for name in names)


@audit.act()
def release_dispute(dispute: DisputedHold, actor: User | None, reason: str) -> bool:
    """Give what is kept for an unsettled call back to its window; False when it was released before. Raises ValidationError without a reason."""
    reason = check_reason(reason)
    window = lock([dispute.window_id])[dispute.window_id]
    if not DisputedHold.objects.filter(pk=dispute.pk, released_at=None).update(released_at=database_now(), reason=reason):
        return False
    audit.record("disputed-hold.release", audit.Subject("disputed-hold", f"dsp_{dispute.pk}"), changes={"held": [dispute.amount, 0]}, reason=reason)
    change({window.id: Change(held=-dispute.amount)})
    if window.unit == Unit.NANOUSD:
        moved = Movement(ledger.held(window.id), ledger.free(window.id), dispute.amount)
        ledger.post(Posting.Kind.RELEASE, f"release:{dispute.pk}", [moved], actor, reason)
    if window.closed_at is not None:
        window.held -= dispute.amount
        _undraw(window)
    return True


def draw(budget: Budget, window: str, need_nanousd: int, now: datetime) -> Sequence[Movement]:
    """Take exactly what is needed out of the grants of the budget's scope, the earliest end first; nothing when they do not suffice.

    For the window's own transaction, its lock held: the caller adds it to the window's credit and writes the posting.
    """
    scope = {"project": budget.project_id, "key": budget.key_id, "business_unit": budget.business_unit_id}
    account = CreditAccount.objects.select_for_update(no_key=True).filter(is_frozen=False, **scope).first()
    parts = _parts(account, need_nanousd, now) if account is not None else []
    _take_from(parts)
    return [Movement(ledger.grant_account(source.id), ledger.free(window), part) for source, part in parts]


def _of(scope: Scope) -> dict[str, Scope]:
    names = {Project: "project", VirtualKey: "key", BusinessUnit: "business_unit"}
    return {names[type(scope)]: scope}


def _new_grant(account: CreditAccount, amount_nanousd: int, expires_at: datetime | None, actor: User | None, reason: str) -> CreditGrant:
    if not 0 < amount_nanousd <= MOST_GRANT_NANOUSD:
        raise ValidationError({"amount": "The amount must be above zero and below 2 billion USD."})
    if expires_at is not None and expires_at <= database_now():
        raise ValidationError({"expires_at": "This end has passed. Choose a later one or none."})
    return CreditGrant.objects.create(
        account=account, amount_nanousd=amount_nanousd, remaining_nanousd=amount_nanousd, expires_at=expires_at, reason=reason, granted_by=actor
    )


def _parts(account: CreditAccount, need_nanousd: int, now: datetime) -> list[tuple[CreditGrant, int]]:
    """Return which locked grants give how much, or nothing when they do not suffice."""
    usable = CreditGrant.objects.select_for_update(no_key=True).filter(Q(expires_at=None) | Q(expires_at__gt=now), account=account, remaining_nanousd__gt=0)
    parts: list[tuple[CreditGrant, int]] = []
    for source in usable:
        part = min(need_nanousd, source.remaining_nanousd)
        parts.append((source, part))
        need_nanousd -= part
        if not need_nanousd:
            return parts
    return []


def _take_from(parts: Sequence[tuple[CreditGrant, int]]) -> None:
    for source, part in parts:
        CreditGrant.objects.filter(id=source.id).update(remaining_nanousd=F("remaining_nanousd") - part)


@transaction.atomic
def _close(name: str) -> int:
    window = lock([name]).get(name)
    if window is None or window.closed_at is not None:
        return 0
    if Lease.objects.filter(window=name, outstanding__gt=0).exists():
        Window.objects.filter(id=name).update(recall=F("recall") + 1)
        return 0
    Lease.objects.filter(window=name).delete()
    _undraw(window)
    Window.objects.filter(id=name).update(closed_at=database_now())
    return 1


def _undraw(window: Window) -> None:
    """Return a locked window's unused credit to the grants it was drawn from, the last first; what came from an expired grant expires."""
    unused = min(window.credit, max(0, window.amount - window.spent - window.held))
    if not unused:
        return
    free, movements, returned, now = ledger.free(window.id), [], 0, database_now()
    for grant_id, drawn in _drawn(window.id):
        part = min(unused - returned, drawn)
        if part <= 0:
            continue
        alive = Q(expires_at=None) | Q(expires_at__gt=now)
        back = CreditGrant.objects.filter(alive, id=grant_id, expired_at=None).update(remaining_nanousd=F("remaining_nanousd") + part)
        movements.append(Movement(free, ledger.grant_account(grant_id) if back else ledger.EXPIRED, part))
        returned += part
    change({window.id: Change(credit=-returned)})
    ledger.post(Posting.Kind.UNDRAW, ledger.once(f"undraw:{window.id}"), movements)


def _drawn(name: str) -> list[tuple[int, int]]:
    """Return the grants a window drew on with what it still has of each in nano-USD, the last drawn first."""
    free, net, last = ledger.free(name), dict[int, int](), dict[int, int]()
    rows = Entry.objects.filter(Q(credit=free, debit__startswith="grant:") | Q(debit=free, credit__startswith="grant:")).order_by("id")
    for number, debit, credit, amount in rows.values_list("id", "debit", "credit", "amount_nanousd"):
        is_draw = credit == free
        source = int((debit if is_draw else credit).removeprefix("grant:"))
        net[source] = net.get(source, 0) + (amount if is_draw else -amount)
        if is_draw:
            last[source] = number
    return [(source, net[source]) for source in sorted(last, key=lambda one: -last[one]) if net[source] > 0]
