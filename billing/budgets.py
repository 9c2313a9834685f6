"""Every write to budgets and limits. Each is one transaction; callers check who may ask."""

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import F, Q

from accounts import audit
from accounts.models import User
from billing import ledger, loosening, trail
from billing.ledger import Movement
from billing.models import Budget, BudgetChange, Limit, Posting, Unit, Window
from billing.windows import database_now, lock

MOST_AMOUNT = 2**62
SAVED = ("name", "mode", "period", "per", "amount", "starts_at", "ends_at", "thresholds")


def check_reason(reason: str) -> str:
    """Return the reason without white space around it; raises ValidationError for none or one that is too long."""
    reason = reason.replace("\0", "").strip()
    if not reason:
        raise ValidationError({"reason": "Say why: money moves only with a reason."})
    if len(reason) > ledger.MOST_REASON_CHARACTERS:
        raise ValidationError({"reason": f"Say it in {ledger.MOST_REASON_CHARACTERS} characters."})
    return reason


@audit.act()
def save_budget(budget: Budget, actor: User | None = None, reason: str = "") -> Budget:
    """Check and store a budget; a change of its amount (in its unit) also changes its open windows and is posted, with a reason.

    Unit and scope stay what they were. Lowering calls idle leases back; what is spent or held already stays. What would go beyond the limit of the
    unit above waits for a second person (`four_eyes.held` tells). Raises ValidationError.
    """
    check_budget(budget)
    if budget._state.adding:
        budget.save(force_insert=True)
        trail.note(budget, BudgetChange.Kind.CREATED, {}, trail.facts(budget), actor, reason)
        return budget
    before = Budget.objects.select_for_update(no_key=True).get(pk=budget.pk)
    if (before.unit, before.project_id, before.key_id, before.business_unit_id) != (budget.unit, budget.project_id, budget.key_id, budget.business_unit_id):
        raise ValidationError("A budget keeps its unit and what it is for. Archive this one and make another.")
    reason = check_reason(reason) if before.amount != budget.amount else reason
    loosening.hold_change(before, budget, reason)
    budget.save(update_fields=SAVED)
    if (before.period, before.per, before.starts_at, before.ends_at) != (budget.period, budget.per, budget.starts_at, budget.ends_at):
        _end_windows(budget, before)
    if before.amount != budget.amount:
        _adjust_windows(budget, actor, reason)
    changed = {name: getattr(budget, name) for name in SAVED}
    trail.note(budget, BudgetChange.Kind.CHANGED, {name: getattr(before, name) for name in SAVED}, changed, actor, reason)
    return budget


def set_frozen(budget: Budget, frozen: bool, actor: User | None = None, reason: str = "") -> bool:
    """Freeze a budget, so that nothing more is leased from it, or thaw it; idle leases come back. Returns whether anything changed."""
    kind = BudgetChange.Kind.FROZEN if frozen else BudgetChange.Kind.UNFROZEN
    return _set(budget, "is_frozen", frozen, kind, actor, check_reason(reason))


def archive(budget: Budget, actor: User | None = None, reason: str = "") -> bool:
    """Put a budget away for good: it binds no call any more, its windows and postings stay. Returns whether anything changed.

    A hard one below a unit's limit waits for a second person (`four_eyes.held` tells).
    """
    reason = check_reason(reason)
    with audit.act():
        if loosening.hold_archive(budget, reason) is not None:
            return False
        return _set(budget, "is_archived", True, BudgetChange.Kind.ARCHIVED, actor, reason)


@audit.act()
def save_limit(limit: Limit, actor: User | None = None, reason: str = "") -> Limit:
    """Check and store a limit; its open windows follow. Who and why is kept; another amount needs a reason. Raises ValidationError."""
    limit.full_clean()
    if limit.amount > MOST_AMOUNT:
        raise ValidationError({"amount": "This is more than can be counted."})
    if limit._state.adding:
        limit.save(force_insert=True)
        trail.note(limit, BudgetChange.Kind.CREATED, {}, trail.facts(limit), actor, reason)
        return limit
    before = Limit.objects.select_for_update(no_key=True).get(pk=limit.pk)
    if (before.kind, before.project_id, before.key_id, before.business_unit_id) != (limit.kind, limit.project_id, limit.key_id, limit.business_unit_id):
        raise ValidationError("A limit keeps its kind and what it is for. Delete this one and make another.")
    reason = check_reason(reason) if before.amount != limit.amount else reason
    limit.save(update_fields=["amount"])
    trail.note(limit, BudgetChange.Kind.CHANGED, {"amount": before.amount}, {"amount": limit.amount}, actor, reason)
    names = lock(list(Window.objects.filter(limit=limit).values_list("id", flat=True)))
    Window.objects.filter(id__in=list(names)).update(base=limit.amount, recall=F("recall") + (1 if limit.amount < before.amount else 0))
    return limit


@audit.act()
def delete_limit(limit: Limit, actor: User | None = None, reason: str = "") -> None:
    """Delete a limit with its windows and leases; calls are no longer counted against it. Who and why is kept; raises ValidationError without a reason."""
    reason = check_reason(reason)
    locked = Limit.objects.select_for_update().filter(pk=limit.pk).first()
    if locked is not None:
        lock(list(Window.objects.filter(limit=locked).values_list("id", flat=True)))
        trail.note(locked, BudgetChange.Kind.DELETED, trail.facts(locked), {}, actor, reason)
        locked.delete()


def check_budget(budget: Budget) -> None:
    """Raise ValidationError unless the budget may be stored."""
    budget.full_clean()
    if budget.amount > MOST_AMOUNT:
        raise ValidationError({"amount": "This is more than can be counted."})
    thresholds: Any = budget.thresholds
    if not isinstance(thresholds, list) or not all(isinstance(one, int) and not isinstance(one, bool) and 0 < one <= 1000 for one in thresholds):
        raise ValidationError({"thresholds": "Give whole percentages between 1 and 1000, such as [50, 80, 100]."})
    if budget.period != Budget.Period.FIXED and (budget.starts_at or budget.ends_at):
        raise ValidationError({"period": "Only a budget from a day to a day has a start and an end. Leave them empty or choose that period."})


@audit.act()
def _set(budget: Budget, name: str, value: bool, kind: str, actor: User | None, reason: str) -> bool:
    locked = Budget.objects.select_for_update(no_key=True).get(pk=budget.pk)
    setattr(budget, name, value)
    if getattr(locked, name) == value:
        return False
    budget.save(update_fields=[name])
    trail.note(budget, kind, {name: not value}, {name: value}, actor, reason)
    _recall(_open_windows(budget))
    return True


def _open_windows(budget: Budget) -> dict[str, Window]:
    now = database_now()
    open_now = Window.objects.filter(Q(closes_at=None) | Q(closes_at__gt=now), budget=budget, closed_at=None)
    return lock(list(open_now.values_list("id", flat=True)))


def _recall(windows: dict[str, Window]) -> None:
    Window.objects.filter(id__in=list(windows)).update(recall=F("recall") + 1)


def _end_windows(budget: Budget, before: Budget) -> None:
    """End the windows of another period now; a fixed budget's window moves with its days."""
    now = database_now()
    windows = _open_windows(budget)
    for name, window in windows.items():
        if before.period == budget.period == Budget.Period.FIXED and before.per == budget.per:
            closes_at: datetime | None = budget.ends_at
            Window.objects.filter(id=name).update(opens_at=budget.starts_at, closes_at=closes_at)
        else:
            Window.objects.filter(id=name).update(closes_at=min(window.closes_at or now, now))
    _recall(windows)


def _adjust_windows(budget: Budget, actor: User | None, reason: str) -> None:
    windows = _open_windows(budget)
    movements: list[Movement] = []
    for name, window in windows.items():
        more = budget.amount - window.base
        free = ledger.free(name)
        movements.append(Movement(ledger.BUDGETS, free, more) if more > 0 else Movement(free, ledger.BUDGETS, -more))
        Window.objects.filter(id=name).update(base=budget.amount, recall=F("recall") + (1 if more < 0 else 0))
    if budget.unit == Unit.NANOUSD and any(move.amount_nanousd for move in movements):
        ledger.post(Posting.Kind.ADJUST, ledger.once(f"adjust:{budget.id}"), movements, actor, reason)
