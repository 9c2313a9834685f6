"""reports: closed months as locked statements with their files, the forecast, and days that were unlike their history."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.api.fields import Given, Moment, Reference, Shown, look_up, uuid_of
from accounts.api.resource import Makes, Resource
from accounts.models import BusinessUnit
from billing.access import visible_statements
from billing.api.fields import shown_usd
from billing.api.periods import DAYS, PLACES, period_of, projects_of
from billing.api.usage import PREFIXES, Cost
from billing.close import close_month, correct_statement
from billing.models import Statement
from billing.reports.anomalies import Anomaly, anomalies
from billing.reports.forecast import forecast
from billing.reports.periods import month_of
from billing.statements import MEDIA, render, table


class ReportGiven(Given):
    """Which month of which unit to close, or why closed ones are corrected."""

    business_unit = Reference(access.visible_business_units, help_text="`bu_...`; its own projects, units below have statements of their own.")
    kind = serializers.ChoiceField(Statement.Kind.choices, default=Statement.Kind.MONTH, help_text="correction: what came in since months were closed.")
    month = serializers.DateField(input_formats=["%Y-%m"], required=False, help_text="As 2026-10; for `month`.")
    reason = serializers.CharField(max_length=500, required=False, help_text="For `correction`.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a body that does not say what its kind needs."""
        wanted, other = ("month", "reason") if attrs["kind"] == Statement.Kind.MONTH else ("reason", "month")
        if wanted not in attrs or other in attrs:
            raise serializers.ValidationError({wanted: f"A report of kind {attrs['kind']} takes {wanted} and no {other}."})
        return attrs


class ReportShown(Shown):
    """A statement. Names are as they were when it was closed; it never changes."""

    id = serializers.SerializerMethodField()
    kind = serializers.ChoiceField(Statement.Kind.choices)
    business_unit = serializers.SerializerMethodField()
    unit_name = serializers.CharField()
    chargeback_code = serializers.CharField()
    month = serializers.SerializerMethodField()
    number = serializers.IntegerField(help_text="Counts the statements of a unit.")
    calls = serializers.IntegerField()
    total_usd = serializers.SerializerMethodField()
    late_usd = serializers.SerializerMethodField(help_text="Part of the total that belongs to months closed before.")
    content_hash = serializers.CharField(help_text="SHA-256 of the CSV file.")
    reason = serializers.CharField()
    closed_at = Moment()
    closed_by = serializers.SerializerMethodField(help_text="`usr_...`")

    def get_id(self, row: Statement) -> str:
        """Return the prefixed id."""
        return f"stm_{row.pk.hex}"

    def get_business_unit(self, row: Statement) -> str:
        """Return the prefixed id of its unit."""
        return f"bu_{row.business_unit.hex}"

    def get_month(self, row: Statement) -> str:
        """Return the month as 2026-10."""
        return f"{row.month:%Y-%m}"

    def get_total_usd(self, row: Statement) -> str:
        """Return the total."""
        return shown_usd(row.total_nanousd)

    def get_late_usd(self, row: Statement) -> str:
        """Return the late part."""
        return shown_usd(row.late_nanousd)

    def get_closed_by(self, row: Statement) -> str:
        """Return the prefixed id of who closed it."""
        return f"usr_{row.closed_by_id.hex}"


class ForecastShown(Shown):
    """What will have been spent by the end of this month, in USD."""

    month = serializers.CharField()
    spent_usd = Cost()
    expected_usd = Cost()
    low_usd = Cost(help_text="Four of five days stayed within the band.")
    high_usd = Cost()
    history_days = serializers.IntegerField(help_text="Days it is made from; without any, nothing more is expected.")


class CauseShown(Shown):
    """What moved the day's cost most."""

    dimension = serializers.CharField()
    value = serializers.CharField()
    name = serializers.CharField()
    cost_usd = Cost()
    usual_usd = Cost()


class AnomalyShown(Shown):
    """A day outside the band of its weekday's history."""

    day = serializers.DateField()
    cost_usd = Cost()
    usual_usd = Cost()
    low_usd = Cost()
    high_usd = Cost()
    cause = CauseShown(allow_null=True)


class AnomaliesShown(Shown):
    """The latest first."""

    data = AnomalyShown(many=True)  # type: ignore[assignment]  # a name the base class has as a property


def _parameters(said: dict[str, str]) -> list[OpenApiParameter]:
    return [OpenApiParameter(name, str, description=text) for name, text in said.items()]


class Reports(Makes, Resource):
    """Statements of closed months, the newest first."""

    resource, ordered_by = "reports", "closed_at"
    shows, makes, shown_by_forecast, shown_by_anomalies = ReportShown, ReportGiven, ForecastShown, AnomaliesShown
    filters = {"business_unit": "Statements of this unit (`bu_...`).", "month": "Statements of this month, as 2026-10.", "kind": "month or correction."}

    def rows(self) -> QuerySet[Statement]:
        """Return the statements the caller sees."""
        return visible_statements(self.actor)

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the statement of an id."""
        found = uuid_of(text, "stm_")
        return rows.filter(pk=found).first() if found else None

    def narrowed(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the statements that fit."""
        if name == "kind":
            return rows.filter(kind=value) if value in Statement.Kind.values else rows.none()
        if name == "business_unit":
            unit = look_up(access.visible_business_units(self.actor), value)
            return rows.filter(business_unit=unit.pk) if unit else rows.none()
        try:
            return rows.filter(month=serializers.DateField(input_formats=["%Y-%m"]).run_validation(value))
        except serializers.ValidationError as error:
            raise serializers.ValidationError({name: error.detail}) from error

    def place_of(self, row: Any) -> access.Place:
        """Return the unit of a statement, which knows it by its id only."""
        return BusinessUnit.objects.filter(pk=row.business_unit).first()

    def place_in(self, given: dict[str, Any]) -> access.Place:
        """Return the unit."""
        unit: BusinessUnit = given["business_unit"]
        return unit

    def make(self, given: dict[str, Any]) -> Statement:
        """Close a month for good, or state what came in for closed ones."""
        if given["kind"] == Statement.Kind.MONTH:
            return close_month(given["business_unit"], given["month"], self.human)
        return correct_statement(given["business_unit"], self.human, given["reason"])

    @extend_schema(
        parameters=[OpenApiParameter("as", enum=sorted(MEDIA), description="Left out: csv.")],
        responses={(200, media.partition(";")[0]): bytes for media in MEDIA.values()},
    )
    @action(detail=True, methods=["get"])
    def file(self, request: Request, id: str) -> HttpResponse:  # noqa: A002  # the name in the path
        """Give the statement as a file."""
        row, wanted = self.row(id), request.query_params.get("as", "csv")
        if wanted not in MEDIA:
            raise exceptions.ValidationError({"as": f"Choose one of: {', '.join(sorted(MEDIA))}."})
        headers = {"Content-Disposition": f'attachment; filename="{table.file_name(row, wanted)}"', "Cache-Control": "no-store"}
        return HttpResponse(render(row, wanted), content_type=MEDIA[wanted], headers=headers)

    @extend_schema(parameters=_parameters(PLACES))
    @action(detail=False, methods=["get"])
    def forecast(self, request: Request) -> Response:
        """Tell what this month will have cost by its end, from the last eight weeks."""
        today = timezone.now().date()
        found = forecast(projects_of(self.actor, request.query_params.dict()), month_of(today), today)
        amounts = {"spent_usd": found.spent, "expected_usd": found.expected, "low_usd": found.low, "high_usd": found.high}
        shown = {name: shown_usd(amount) for name, amount in amounts.items()}
        return Response({"month": f"{today:%Y-%m}", **shown, "history_days": found.history_days})

    @extend_schema(parameters=_parameters({**DAYS, **PLACES}))
    @action(detail=False, methods=["get"])
    def anomalies(self, request: Request) -> Response:
        """List days that cost much more or less than their weekday used to, and what caused it."""
        asked = request.query_params.dict()
        return Response({"data": [_shown(one) for one in anomalies(projects_of(self.actor, asked), period_of(asked))]})


def _shown(one: Anomaly) -> dict[str, Any]:
    cause = one.cause
    return {
        "day": one.day.isoformat(),
        **{f"{name}_usd": shown_usd(getattr(one, name)) for name in ("cost", "usual", "low", "high")},
        "cause": None
        if cause is None
        else {
            "dimension": cause.dimension,
            "value": PREFIXES.get(cause.dimension, "") + (cause.value.replace("-", "") if cause.dimension in PREFIXES else cause.value),
            "name": cause.name,
            "cost_usd": shown_usd(cause.cost),
            "usual_usd": shown_usd(cause.usual),
        },
    }
