"""config: the governance state as a document; what another document would change, and changing it."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access, audit
from accounts.api.fields import Given, Shown
from accounts.api.resource import Resource
from accounts.models import Membership
from gateway.governance import Hand, carry
from gateway.governance.document import MOST_BYTES, Refused, read
from gateway.governance.export import export


class DocumentGiven(Given):
    """A document; secrets in it are references that only the command `apply` follows, so here there are none."""

    document = serializers.CharField(max_length=MOST_BYTES, trim_whitespace=False, help_text="YAML, as `export` writes it.")
    prune = serializers.BooleanField(default=False, help_text="Also remove what is not stated.")


class ApplyGiven(DocumentGiven):
    """A document to be carried out."""

    reason = serializers.CharField(max_length=500, help_text="Kept with every change.")


class PlanStepShown(Shown):
    """One difference."""

    verb = serializers.ChoiceField(["make", "change", "remove", "keep"])
    section = serializers.CharField()
    name = serializers.ListField(child=serializers.CharField())
    fields_changed = serializers.ListField(child=serializers.CharField())


class PlanShown(Shown):
    """What differs, in the order of carrying out."""

    steps = PlanStepShown(many=True)


class Config(Resource):
    """The governance state of the whole platform."""

    resource, is_list = "config", False
    shows, shown_by_plan, shown_by_apply = PlanShown, PlanShown, PlanShown

    def rows(self) -> QuerySet[Any]:
        """Return nothing: it is no list of rows."""
        return Membership.objects.none()

    @extend_schema(responses={(200, "application/yaml"): OpenApiResponse(str)})
    def list(self, request: Request) -> HttpResponse:  # type: ignore[override]  # one document, no page of rows
        """Give the document."""
        self._for_the_platform()
        audit.record("config.export")
        return HttpResponse(export(), content_type="application/yaml; charset=utf-8")

    @action(detail=False, methods=["post"], takes=DocumentGiven)
    def plan(self, request: Request) -> Response:
        """Show what carrying a document out would do, without doing it."""
        self._for_the_platform()
        given = self.given(request, DocumentGiven)
        return self._told(carry.plan, given, "plan")

    @action(detail=False, methods=["post"], takes=ApplyGiven)
    def apply(self, request: Request) -> Response:
        """Carry a document out, all or nothing."""
        self._for_the_platform()
        given = self.given(request, ApplyGiven)
        return self._told(carry.apply, given, given["reason"])

    def _for_the_platform(self) -> None:
        if not access.sees_everything(self.actor):
            raise exceptions.PermissionDenied("The document is about the whole platform.")

    def _told(self, run: Any, given: dict[str, Any], reason: str) -> Response:
        try:
            steps = run(read(given["document"]), Hand(self.person, reason, follows_references=False), prune=given["prune"])
        except Refused as refused:
            raise serializers.ValidationError({"document": [str(mistake) for mistake in refused.mistakes]}) from refused
        return Response({"steps": [{"verb": s.verb, "section": s.section, "name": s.name, "fields_changed": sorted(s.changes)} for s in steps]})
