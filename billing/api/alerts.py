"""alerts: what was noticed about budgets, credit and prices, and who has seen it."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.api.fields import Moment, Shown, look_up, shown_id
from accounts.api.resource import Resource
from accounts.models import Severity
from billing.access import visible_alerts
from billing.alerts.events import acknowledge
from billing.models import AlertEvent


class AlertShown(Shown):
    """An alert."""

    id = serializers.SerializerMethodField()
    kind = serializers.CharField()
    severity = serializers.ChoiceField(Severity.choices)
    title = serializers.CharField()
    text = serializers.CharField()
    facts = serializers.DictField()
    project = serializers.SerializerMethodField()
    business_unit = serializers.SerializerMethodField()
    at = Moment()
    acknowledged_at = Moment(allow_null=True)
    acknowledged_by = serializers.SerializerMethodField()

    def get_id(self, alert: AlertEvent) -> str:
        """Return the prefixed id."""
        return f"alt_{alert.pk}"

    def get_project(self, alert: AlertEvent) -> str | None:
        """Return the prefixed id of the project it is about."""
        return shown_id(alert.project) if alert.project else None

    def get_business_unit(self, alert: AlertEvent) -> str | None:
        """Return the prefixed id of the unit it is about."""
        return shown_id(alert.business_unit) if alert.business_unit else None

    def get_acknowledged_by(self, alert: AlertEvent) -> str | None:
        """Return the prefixed id of who has seen it."""
        return shown_id(alert.acknowledged_by) if alert.acknowledged_by else None


class Alerts(Resource):
    """Alerts, newest first."""

    resource, ordered_by = "alerts", "at"
    shows = AlertShown
    filters = {
        "project": "Alerts about this project (`prj_...`).",
        "business_unit": "Alerts about this unit (`bu_...`).",
        "kind": "Alerts of this kind.",
        "severity": "info, warning or critical.",
        "acknowledged": "true or false.",
    }

    def rows(self) -> QuerySet[AlertEvent]:
        """Return the alerts the caller sees."""
        return visible_alerts(self.actor)

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the alert of an id."""
        bare = text.removeprefix("alt_")
        return rows.filter(pk=int(bare)).first() if bare != text and bare.isascii() and bare.isdecimal() and len(bare) < 19 else None

    def narrowed(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the alerts that fit."""
        if name == "acknowledged":
            if value not in ("true", "false"):
                raise serializers.ValidationError({"acknowledged": "Write true or false."})
            return rows.filter(acknowledged_at__isnull=value == "false")
        if name in ("project", "business_unit"):
            visible: QuerySet[Any] = access.visible_projects(self.actor) if name == "project" else access.visible_business_units(self.actor)
            place = look_up(visible, value)
            return rows.filter(**{name: place}) if place else rows.none()
        return rows.filter(**{name: value}) if "\0" not in value else rows.none()

    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Note that you have seen it; who was first stays noted."""
        acknowledge([self.row(id)], self.human)
        return self.told(self.row(id))
