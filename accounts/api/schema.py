"""How the OpenAPI document describes a resource: from what the resource states, so that nothing is told twice."""

import re
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, inline_serializer
from rest_framework import serializers

from accounts.access import ROUTES


class ProblemShown(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField(help_text="What a program looks at.")
    detail = serializers.CharField(help_text="What a person reads: what is wrong and what to do.")
    errors = serializers.ListField(  # type: ignore[assignment]  # a name the base class has as a property
        child=serializers.DictField(child=serializers.CharField()), required=False, help_text="Field by field."
    )


# Summaries of what most resources have.
USUAL = {"list": "List {several}", "create": "Create {one}", "retrieve": "Show {one}", "partial_update": "Change {one}"}


# What turns the pages of a list.
PAGE = (
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 200}, description="Rows of a page, 50 when left out."),
    OpenApiParameter("cursor", str, description="`next_cursor` of the page before."),
)


class ResourceSchema(AutoSchema):
    """Requests, answers, filters and headers of a Resource."""

    view: Any

    def get_tags(self) -> list[str]:
        """Group by resource."""
        return [self.view.resource]

    def get_operation_id(self) -> str:
        """Name an operation after its resource and verb."""
        return f"{self.view.resource.replace('-', '_')}_{self.view.action}"

    def get_summary(self) -> str:
        """Say it in the first clause of the docstring; what every resource has in the same way, with the resource's name."""
        one = self.view.resource.removesuffix("s").replace("-", " ")
        if getattr(self.view, self.view.action).__qualname__.startswith(("Resource.", "Makes.", "Changes.")):
            several = self.view.resource.replace("-", " ")
            return USUAL[self.view.action].format(one=f"{'an' if one[0] in 'aeiou' else 'a'} {one}", several=several)
        said = str(getattr(self.view, self.view.action).__doc__ or "").strip().partition("\n")[0]
        return re.split(r"[.;:] ", said, maxsplit=1)[0].rstrip(".")

    def map_parsers(self) -> list[str]:
        """Return what a body may be; merge patches are for changes."""
        return ["application/json", *(["application/merge-patch+json"] if self.method == "PATCH" else [])]

    def get_description(self) -> str:  # type: ignore[override]  # as the base class here has it
        """Say which scope it takes."""
        said = (getattr(self.view, self.view.action).__doc__ or "").strip()
        scope = ROUTES[f"{self.method} {self.path.removeprefix('/api/v1/')}"].scope
        return f"{said}\n\nScope: `{scope or 'none'}`"

    def get_request_serializer(self) -> Any:
        """Return what the body may hold."""
        view = self.view
        return {"create": view.makes, "partial_update": view.changes}.get(view.action, view.takes)

    def get_response_serializers(self) -> Any:
        """Return the answer, and the one shape of every error."""
        shows = getattr(self.view, f"shown_by_{self.view.action}", self.view.shows)
        answers: dict[Any, Any] = {201 if self.view.action == "create" else 200: shows}
        if self.view.action == "list" and not hasattr(self.view, "shown_by_list"):
            name = "".join(part.capitalize() for part in self.view.resource.split("-")) + "Page"
            answers = {
                200: inline_serializer(
                    name,
                    {
                        "data": shows(many=True),
                        "has_more": serializers.BooleanField(),
                        "next_cursor": serializers.CharField(allow_null=True),
                    },
                )
            }
        if self.method in ("POST", "PATCH"):
            answers[202] = OpenApiResponse(shows, description="Part of it waits for a second person: the request in `X-Sgw-Waits-For`.")
        if self.method == "DELETE":
            answers = {204: OpenApiResponse(description="Deleted.")}
        if self.view.action == "retrieve":
            answers[304] = OpenApiResponse(description="Unchanged since the ETag of If-None-Match.")
        answers[("default", "application/problem+json")] = OpenApiResponse(ProblemShown, description="What is wrong and what to do.")
        return answers

    def _is_list_view(self, serializer: Any = None) -> bool:
        return False  # lists are pages, described as such

    def get_override_parameters(self) -> list[Any]:
        """Return filters, page parameters and the headers that guard writes."""
        found = []
        if self.view.action == "list":
            found += [OpenApiParameter(name, str, description=said) for name, said in self.view.filters.items()]
            found += PAGE if self.view.is_list else []
        else:
            if self.path.endswith("}") or "{id}/" in self.path:
                found.append(OpenApiParameter("id", str, "path", description="Prefixed id."))
            if self.method == "POST" and self.view.action not in self.view.reaches_out:
                found.append(
                    OpenApiParameter(
                        "Idempotency-Key",
                        {"type": "string", "maxLength": 255},
                        "header",
                        description="Makes a repeated request act once; the answer is kept 24 hours.",
                    )
                )
            if self.method == "DELETE" and self.view.needs_reason:
                found.append(OpenApiParameter("reason", {"type": "string", "maxLength": 400}, description="Why; or in a JSON body.", required=True))
            if self.method == "PATCH":
                found.append(OpenApiParameter("If-Match", str, "header", description="ETag of the version you read; another one answers 412."))
        return found
