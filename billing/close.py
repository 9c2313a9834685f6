"""Closing a business unit's month: a locked statement whose lines add up to its usage rows, each row in exactly one statement."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Count, Max, Min, Q, QuerySet, Sum
from django.db.models.functions import TruncMonth
from django.utils import timezone

from accounts import audit
from accounts.models import BusinessUnit, Project, User, VirtualKey
from billing import rollups
from billing.models import Lease, Statement, StatementLine, UsageRecord
from billing.reports.periods import month_of, months_before
from billing.statements import as_csv, table

# Calls that began in the month may still be running, and journals are taken in within seconds.
GRACE = timedelta(hours=1)
GROUPS = ("project", "key", "model", "provider")


def close_month(unit: BusinessUnit, month: date, actor: User) -> Statement:
    """Write the locked statement of a business unit's own projects for the month of this day.

    What came in for earlier months since they were closed becomes late lines. Raises ValidationError while the month runs, while
    workers still hold amounts in it, when it is closed, or when an earlier month with calls is open.
    """
    period = month_of(month)
    _check_ended(period.ends_at)
    rollups.fold()
    with audit.act():
        earlier = _earlier(unit)
        if earlier.filter(kind=Statement.Kind.MONTH, month=period.first).exists():
            raise ValidationError(f"{unit} {period.first:%Y-%m} is closed. Post a correction for what came in since.")
        latest = earlier.aggregate(month=Max("month"), number=Max("number"), last=Max("last_usage"))
        if latest["month"] and latest["month"] > period.first:
            raise ValidationError(f"{latest['month']:%Y-%m} is closed already. What belongs to {period.first:%Y-%m} is in its statement as late.")
        start = _first_open(unit, latest["month"])
        if start is not None and start < period.first:
            raise ValidationError(f"Close {start:%Y-%m} first: it has calls and no statement.")
        last = rollups.settled_up_to()
        wanted = Q(started_at__gte=period.starts_at, started_at__lt=period.ends_at)
        if latest["month"]:
            wanted |= Q(started_at__lt=_ends_at(latest["month"]), id__gt=latest["last"])
        statement = Statement(kind=Statement.Kind.MONTH, month=period.first, number=(latest["number"] or 0) + 1, last_usage=last)
        return _written(statement, unit, actor, UsageRecord.objects.filter(wanted, business_unit=unit.pk, id__lte=last))


def correct_statement(unit: BusinessUnit, actor: User, reason: str) -> Statement:
    """Write a statement of what came in for the unit's closed months since the last one; raises ValidationError when nothing did."""
    if not reason.strip():
        raise ValidationError("Say why the month is opened again.")
    rollups.fold()
    with audit.act():
        latest = _earlier(unit).aggregate(month=Max("month"), number=Max("number"), last=Max("last_usage"))
        if latest["month"] is None:
            raise ValidationError(f"No month of {unit} is closed.")
        last = rollups.settled_up_to()
        usage = UsageRecord.objects.filter(business_unit=unit.pk, started_at__lt=_ends_at(latest["month"]), id__gt=latest["last"], id__lte=last)
        if not usage.exists():
            raise ValidationError(f"Nothing has come in for the closed months of {unit} since its last statement.")
        statement = Statement(kind=Statement.Kind.CORRECTION, month=latest["month"], number=latest["number"] + 1, last_usage=last, reason=reason.strip())
        return _written(statement, unit, actor, usage)


def _check_ended(ends_at: datetime) -> None:
    if timezone.now() < ends_at + GRACE:
        raise ValidationError(f"The month can be closed from {ends_at + GRACE:%Y-%m-%d %H:%M} UTC on.")
    held = Lease.objects.filter(outstanding__gt=0, window__closes_at__lte=ends_at, window__budget__isnull=False).values_list("worker", flat=True)
    workers = sorted(set(held))
    if workers:
        raise ValidationError(f"Calls of that month are not all taken in: {', '.join(workers[:5])} still hold amounts. Try again when they are.")


def _earlier(unit: BusinessUnit) -> QuerySet[Statement]:
    """The unit's statements, with the unit locked so that two people cannot close at once."""
    BusinessUnit.objects.select_for_update().get(pk=unit.pk)
    return Statement.objects.filter(business_unit=unit.pk)


def _first_open(unit: BusinessUnit, closed: date | None) -> date | None:
    """The first month with calls after the last closed one."""
    usage = UsageRecord.objects.filter(business_unit=unit.pk)
    if closed:
        usage = usage.filter(started_at__gte=_ends_at(closed))
    first: datetime | None = usage.aggregate(first=Min("started_at"))["first"]
    return first.date().replace(day=1) if first else None


def _ends_at(month: date) -> datetime:
    return datetime.combine(months_before(month, -1), time.min, UTC)


def _written(statement: Statement, unit: BusinessUnit, actor: User, usage: QuerySet[UsageRecord]) -> Statement:
    """Store the statement and its lines, hash and totals made from these lines alone."""
    lines = _lines(statement, usage)
    statement.business_unit, statement.unit_name, statement.chargeback_code = unit.pk, unit.name, unit.code
    statement.closed_at, statement.closed_by = timezone.now(), actor
    statement.calls = sum(line.calls for line in lines)
    statement.total_nanousd = sum(line.cost_nanousd for line in lines)
    statement.late_nanousd = sum(line.cost_nanousd for line in lines if line.is_late)
    statement.content_hash = as_csv.content_hash([*(table.row_of(statement, line) for line in lines), table.total(statement)])
    statement.full_clean()
    statement.save(force_insert=True)
    StatementLine.objects.bulk_create(lines, batch_size=500)
    return statement


def _lines(statement: Statement, usage: QuerySet[UsageRecord]) -> list[StatementLine]:
    groups = usage.order_by().annotate(month=TruncMonth("started_at", tzinfo=UTC)).values_list("month", *GROUPS)
    of_calls = Q(kind=UsageRecord.Kind.CALL)
    sums = groups.annotate(
        calls=Count("id", filter=of_calls),
        input_sum=Sum("input_tokens", filter=of_calls, default=0),
        output_sum=Sum("output_tokens", filter=of_calls, default=0),
        cost=Sum("cost_nanousd"),
    )
    found: list[tuple[Any, ...]] = list(sums)
    projects = dict(Project.objects.filter(pk__in={row[1] for row in found if row[1]}).values_list("pk", "name"))
    keys = _key_names({row[2] for row in found})
    is_correction = statement.kind == Statement.Kind.CORRECTION
    lines = [
        StatementLine(
            statement=statement, month=at.date(), is_late=is_correction or at.date() < statement.month, project=project,
            project_name=projects.get(project, ""), key=key, key_name=keys.get(key, ""), model=model, provider=provider, calls=calls,
            input_tokens=int(input_tokens), output_tokens=int(output_tokens), cost_nanousd=int(cost),
        )
        for at, project, key, model, provider, calls, input_tokens, output_tokens, cost in found
    ]  # fmt: skip
    lines.sort(key=lambda line: (line.is_late, line.month, line.project_name, str(line.project), line.key_name, line.key, line.model, line.provider))
    for position, line in enumerate(lines, 1):
        line.position = position
    return lines


def _key_names(ids: Iterable[str]) -> dict[str, str]:
    return dict(VirtualKey.objects.filter(public_id__in=list(ids)).values_list("public_id", "name"))
