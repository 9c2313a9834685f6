"""usage: calls, tokens and cost by any dimension, over days or hours."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.api import pages
from accounts.api.fields import Moment, Shown, look_up
from accounts.api.resource import Resource
from accounts.models import Project
from billing.api.fields import shown_usd
from billing.api.periods import DAYS, PLACES, period_of, projects_of
from billing.reports.periods import Period
from billing.reports.spend import DIMENSIONS, LABEL_DIMENSIONS, Measured, Point, by_day, by_hour, spend, total

TIMES = ("day", "hour")
MOST_HOURLY_DAYS = 31
NARROWING = ("key", "model", "upstream_model", "provider", "account", "deployment")
PREFIXES = {"project": "prj_", "business_unit": "bu_", "key": "key_"}


@extend_schema_field({"type": "string", "pattern": r"^-?[0-9]+\.[0-9]{2,9}$", "example": "12.50"})
class Cost(serializers.Field[int, Any, str, Any]):
    """An amount in USD as a decimal string; corrections can make it negative."""


class MeasuredShown(Shown):
    """What was added up."""

    calls = serializers.IntegerField()
    errors = serializers.IntegerField(help_text="Refused, failed or of unknown outcome.")  # type: ignore[assignment]  # DRF keeps fields elsewhere
    input_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField(help_text="Part of the input.")
    output_tokens = serializers.IntegerField()
    cost_usd = Cost()
    saved_usd = Cost(help_text="What cached input saved.")
    mean_duration_ms = serializers.IntegerField()


class UsageLine(MeasuredShown):
    """One value of the dimension."""

    value = serializers.CharField(help_text="Id, name, day or hour.")
    name = serializers.CharField(help_text="How people call it.")
    before_usd = Cost(allow_null=True, help_text="Cost in the period before; null by day and hour.")


class UsagePage(Shown):
    """Lines by cost, dearest first; days and hours in order. By tag, a call counts under each of its tags."""

    by = serializers.ChoiceField([(name, name) for name in (*DIMENSIONS, *TIMES)])
    first = serializers.DateField()
    last = serializers.DateField()
    total = MeasuredShown()
    before = MeasuredShown(help_text="The period before: as many days, or for whole months as many months.")
    data = UsageLine(many=True)  # type: ignore[assignment]  # a name the base class has as a property
    has_more = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True)


class Usage(Resource):
    """Usage added up."""

    resource = "usage"
    shows = shown_by_list = UsagePage
    filters = {
        "by": f"One of {', '.join((*DIMENSIONS, *TIMES))}; left out: project. By hour at most {MOST_HOURLY_DAYS} days.",
        **DAYS,
        **PLACES,
        "key": "Of this key (`key_...`).",
        **{name: f"Of this {name.replace('_', ' ')}." for name in NARROWING[1:]},
    }

    def rows(self) -> QuerySet[Project]:
        """Return the projects whose usage the caller sees."""
        return access.visible_projects(self.actor)

    def list(self, request: Request) -> Response:
        """Add up calls, tokens and cost by a dimension; figures follow calls within about a minute."""
        self.check_known(request, "limit", "cursor")
        asked = request.query_params.dict()
        by, period, projects, only = asked.get("by", "project"), period_of(asked), projects_of(self.actor, asked), self._only(asked)
        if by not in (*DIMENSIONS, *TIMES):
            raise exceptions.ValidationError({"by": f"Choose one of: {', '.join((*DIMENSIONS, *TIMES))}."})
        if by in LABEL_DIMENSIONS and only:
            raise exceptions.ValidationError({name: f"Usage by {by.replace('_', ' ')} is narrowed by project and business_unit only." for name in only})
        if only.get("key") == "":
            projects = projects.none()
        lines = _points(projects, by, period, only) if by in TIMES else _lines(projects, by, period, only)
        found, following = _page(lines, asked.get("limit"), asked.get("cursor"))
        return Response(
            {
                "by": by,
                "first": period.first.isoformat(),
                "last": period.last.isoformat(),
                "total": measured(total(projects, period, **only)),
                "before": measured(total(projects, period.before, **only)),
                "data": found,
                "has_more": following is not None,
                "next_cursor": following,
            }
        )

    def _only(self, asked: dict[str, str]) -> dict[str, str]:
        only = {name: asked[name].replace("\0", "") for name in NARROWING if name in asked}
        if "key" in only:
            key = look_up(access.visible_keys(self.actor), only["key"])
            only["key"] = key.public_id if key else ""
        return only


def measured(found: Measured) -> dict[str, Any]:
    """Return figures as the API shows them."""
    return {
        "calls": found.calls,
        "errors": found.errors,
        "input_tokens": found.input_tokens,
        "cached_tokens": found.cached_tokens,
        "output_tokens": found.output_tokens,
        "cost_usd": shown_usd(found.cost_nanousd),
        "saved_usd": shown_usd(found.saved_nanousd),
        "mean_duration_ms": found.mean_duration_ms,
    }


def _lines(projects: QuerySet[Project], by: str, period: Period, only: dict[str, str]) -> list[tuple[Any, dict[str, Any]]]:
    found = spend(projects, by, period, **only)
    return [
        (
            [-line.now.cost_nanousd, line.value],
            {"value": _shown_value(by, line.value), "name": line.name, **measured(line.now), "before_usd": shown_usd(line.before.cost_nanousd)},
        )
        for line in found.lines
    ]


def _shown_value(by: str, value: str) -> str:
    return PREFIXES[by] + value.replace("-", "") if by in PREFIXES and value else value


def _points(projects: QuerySet[Project], by: str, period: Period, only: dict[str, str]) -> list[tuple[Any, dict[str, Any]]]:
    if by == "hour" and period.days > MOST_HOURLY_DAYS:
        raise exceptions.ValidationError({"last": f"By hour at most {MOST_HOURLY_DAYS} days are told at once."})
    points = by_hour(projects, period, **only) if by == "hour" else by_day(projects, period, **only)
    return [([_at(point)], {"value": _at(point), "name": _at(point), **measured(point.measured), "before_usd": None}) for point in points]


def _at(point: Point) -> str:
    return Moment().to_representation(point.at) if isinstance(point.at, datetime) else point.at.isoformat()


def _page(lines: Sequence[tuple[Any, dict[str, Any]]], limit: str | None, cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
    """Return one page of lines in the order of their keys, and the cursor of the next; raises ValidationError."""
    count = pages.count_of(limit)
    if cursor:
        after = _opened(cursor, lines[0][0] if lines else [])
        lines = [line for line in lines if line[0] > after]
    following = base64.urlsafe_b64encode(json.dumps(lines[count - 1][0]).encode()).decode().rstrip("=") if len(lines) > count else None
    return [line for _, line in lines[:count]], following


def _opened(cursor: str, like: list[Any]) -> list[Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
        if isinstance(found, list) and [type(one) for one in found] == [type(one) for one in like]:
            return found
    except (ValueError, binascii.Error, RecursionError):
        pass  # told below
    raise exceptions.ValidationError({"cursor": "Send back next_cursor of the page before, unchanged, or no cursor."})

