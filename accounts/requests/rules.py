"""Every write to approval rules and delegations. Each is one transaction; callers check who may ask."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q
from django.utils import timezone

from accounts import audit, grants
from accounts.models import ApprovalRule, Approver, Delegation, NotificationChannel, RuleStep, User

MOST_STEPS = 10
MOST_DELEGATED_DAYS = 366


@dataclass(frozen=True)
class Step:
    """A step as it is given: whom it asks and how many must approve."""

    approver: str
    roles: Sequence[str] = ()
    people: Sequence[User] = ()
    channel: NotificationChannel | None = None
    quorum: int = 1


@dataclass
class Checked:
    """What is wrong with a rule, by field."""

    errors: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, said: str) -> None:
        """Note something wrong."""
        self.errors.setdefault(name, []).append(said)


@audit.act("approval-rule.save")
def save_rule(rule: ApprovalRule, steps: Sequence[Step] | None = None) -> ApprovalRule:
    """Check and store a rule, with its steps replaced by those given; requests under way keep the steps they have. Raises ValidationError."""
    given = steps if steps is not None else ([] if rule._state.adding else stored_steps(rule))
    check_rule(rule, given)
    rule.full_clean()
    rule.save()
    if steps is not None:
        for old in rule.steps.all():
            old.delete()
        for number, step in enumerate(steps, 1):
            row = RuleStep(rule=rule, position=number, approver=step.approver, roles=list(step.roles), channel=step.channel, quorum=step.quorum)
            row.full_clean()
            row.save()
            row.people.set(step.people)
    return rule


def stored_steps(rule: ApprovalRule) -> list[Step]:
    """Return the steps a rule has."""
    return [Step(row.approver, row.roles, list(row.people.all()), row.channel, row.quorum) for row in rule.steps.order_by("position")]


def check_rule(rule: ApprovalRule, steps: Sequence[Step]) -> None:
    """Raise ValidationError unless the rule makes sense with these steps."""
    wrong, known = Checked(), grants.kinds()
    kinds = rule.kinds
    if not isinstance(kinds, list) or not all(isinstance(kind, str) and kind in known for kind in kinds):
        wrong.add("kinds", f"Kinds are: {', '.join(sorted(known))}.")
    elif rule.is_automatic and not kinds:
        wrong.add("kinds", "Name the kinds that a rule approves by itself.")
    elif rule.is_automatic and any(known[kind].roles for kind in kinds):
        grave = ", ".join(kind for kind in kinds if known[kind].roles)
        wrong.add("kinds", f"No rule alone approves {grave}: that takes a second person.")
    if rule.is_automatic and steps:
        wrong.add("steps", "A rule that approves by itself has no steps.")
    if len(steps) > MOST_STEPS:
        wrong.add("steps", f"A rule has at most {MOST_STEPS} steps.")
    if steps and not wrong.errors and all(step.approver == Approver.EXTERNAL for step in steps) and any(known[kind].roles for kind in kinds):
        grave = ", ".join(kind for kind in kinds if known[kind].roles)
        wrong.add("steps", f"{grave} takes a second person, and another system is none: add a step that asks people.")
    for number, step in enumerate(steps, 1):
        for said in _wrong_with(step):
            wrong.add("steps", f"Step {number}: {said}")
    if wrong.errors:
        raise ValidationError(wrong.errors)


def _wrong_with(step: Step) -> list[str]:
    found = []
    if step.approver not in Approver.values:
        return [f"whom it asks is one of {', '.join(Approver.values)}."]
    platform = [value for value in User.PlatformRole.values if value]
    if (step.approver == Approver.ROLE) != bool(step.roles) or not all(role in platform for role in step.roles):
        found.append(f"a step that asks a role names some of {', '.join(platform)}, and no other step does.")
    if (step.approver == Approver.PEOPLE) != bool(step.people):
        found.append("a step that asks named people names some, and no other step does.")
    if step.approver == Approver.PEOPLE and len({person.pk for person in step.people}) < step.quorum:
        found.append("fewer people are named than must approve.")
    if (step.approver == Approver.EXTERNAL) != (step.channel is not None) or (step.channel is not None and step.channel.kind != "webhook"):
        found.append("a step of another system names a webhook channel, and no other step does.")
    elif step.channel is not None and (step.channel.project_id or step.channel.business_unit_id):
        found.append("the webhook belongs to a project or unit, whose people could answer for the system: name one of the whole platform.")
    return found


def switch_rule(rule: ApprovalRule, is_active: bool) -> bool:
    """Switch a rule on or off for new requests; return whether anything changed. Raises ValidationError for one that makes no sense any more."""
    with audit.act(f"approval-rule.{'enable' if is_active else 'disable'}"):
        locked = ApprovalRule.objects.select_for_update().get(pk=rule.pk)
        if locked.is_active == is_active:
            return False
        if is_active:
            check_rule(locked, stored_steps(locked))
        locked.is_active = is_active
        locked.save(update_fields=["is_active"])
        return True


@audit.act("approval-rule.delete")
def delete_rule(rule: ApprovalRule) -> None:
    """Delete a rule; requests under way keep the steps they have."""
    rule.delete()


@audit.act("delegation.create")
def delegate(delegator: User, to: User, starts_at: datetime, ends_at: datetime, reason: str = "") -> Delegation:
    """Have another decide in one's place for a while. Raises ValidationError for oneself, odd times, or a second delegation of the same days."""
    row = Delegation(delegator=delegator, delegate=to, starts_at=starts_at, ends_at=ends_at, reason=reason.replace("\0", "").strip())
    User.objects.select_for_update().get(pk=delegator.pk)
    check_delegation(row)
    row.save()
    return row


def check_delegation(row: Delegation) -> None:
    """Raise ValidationError unless the delegation may be made."""
    row.full_clean()
    if not row.delegate.is_active:
        raise ValidationError({"delegate": "This person cannot sign in."})
    if row.ends_at <= timezone.now() or (row.ends_at - row.starts_at).days > MOST_DELEGATED_DAYS:
        raise ValidationError({"ends_at": "Choose an end in the future, at most a year after the start."})
    if Delegation.objects.filter(delegator=row.delegator, ended_at=None, starts_at__lt=row.ends_at, ends_at__gt=row.starts_at).exists():
        raise ValidationError({"starts_at": "You delegate to somebody already in these days. End that first."})


@audit.act("delegation.end")
def end_delegation(delegation: Delegation, by: User) -> Delegation:
    """End a delegation now; both who gave and who got it may. Raises PermissionDenied for others, ValidationError when it has ended."""
    row = Delegation.objects.select_for_update().filter(Q(delegator=by) | Q(delegate=by), pk=delegation.pk).first()
    if row is None:
        raise PermissionDenied("This delegation is neither yours nor to you.")
    if row.ended_at is not None or row.ends_at <= timezone.now():
        raise ValidationError("This delegation has ended.")
    row.ended_at = timezone.now()
    row.save(update_fields=["ended_at"])
    return row
