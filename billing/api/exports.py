"""exports: files made in the background, of what the asker may see; nobody else gets them."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access, audit
from accounts.api.fields import Given, Moment, Reference, Shown, uuid_of
from accounts.api.problems import Conflict
from accounts.api.resource import Makes, Resource
from accounts.audit.watch import subject_of
from billing import exporting
from billing.exports import MEDIA
from billing.models import Export, ExportPart
from billing.reports.periods import MOST_DAYS


class ExportGiven(Given):
    """Which file."""

    kind = serializers.CharField(max_length=32, help_text="calls (csv, jsonl) or focus (csv).")
    format = serializers.CharField(max_length=8, default="csv")
    first = serializers.DateField(help_text="First day (UTC).")
    last = serializers.DateField(help_text=f"Last day (UTC), included; at most {MOST_DAYS} days.")
    project = Reference(access.visible_projects, required=False, help_text="`prj_...`; left out: of everything you see.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse days out of order or too many."""
        if attrs["first"].year < 1970 or attrs["last"].year > 9998 or not 0 <= (attrs["last"] - attrs["first"]).days < MOST_DAYS:
            raise serializers.ValidationError({"last": f"Write a day from `first` on, at most {MOST_DAYS} days."})
        return attrs


class ExportShown(Shown):
    """A file and how far it is."""

    id = serializers.SerializerMethodField()
    kind = serializers.CharField()
    format = serializers.CharField()
    first = serializers.DateField(source="first_day")
    last = serializers.DateField(source="last_day")
    project = serializers.SerializerMethodField()
    state = serializers.ChoiceField(Export.State.choices)
    rows = serializers.IntegerField()
    size_bytes = serializers.IntegerField()
    error = serializers.CharField(help_text="Why it failed, and what to do.")
    created_at = Moment()
    finished_at = Moment(allow_null=True)
    expires_at = Moment(allow_null=True, help_text="When the file is deleted.")

    def get_id(self, row: Export) -> str:
        """Return the prefixed id."""
        return f"exp_{row.pk.hex}"

    def get_project(self, row: Export) -> str | None:
        """Return the prefixed id of its project."""
        return f"prj_{row.project.hex}" if row.project else None


class Exports(Makes, Resource):
    """Exports, the newest first."""

    resource = "exports"
    shows, makes = ExportShown, ExportGiven
    filters = {"state": "waiting, running, done or failed."}
    live = frozenset({"state", "rows", "size_bytes", "error", "finished_at", "expires_at"})

    def rows(self) -> QuerySet[Export]:
        """Return the exports the caller asked for."""
        return exporting.visible_exports(self.actor)

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the export of an id."""
        found = uuid_of(text, "exp_")
        return rows.filter(pk=found).first() if found else None

    def narrowed(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the exports in a state."""
        return rows.filter(state=value) if value in Export.State.values else rows.none()

    def create(self, request: Request) -> Response:
        """Ask for a file; it is made within seconds and kept for seven days."""
        given = self.given(request, ExportGiven)
        row = exporting.ask(self.actor, given["kind"], given["format"], given["first"], given["last"], given.get("project"))
        answer = self.told(row, 201)
        answer.headers["Location"] = f"{request.path}/{answer.data['id']}"
        return answer

    def destroy(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Delete the file, or give it up."""
        exporting.delete(self.row(id))
        return Response(status=204)

    @extend_schema(responses={**{(200, media): OpenApiResponse(bytes) for media in MEDIA.values()}})
    @action(detail=True, methods=["get"])
    def file(self, request: Request, id: str) -> StreamingHttpResponse:  # noqa: A002  # the name in the path
        """Give the file once its state is done."""
        row = self.row(id)
        if row.state != Export.State.DONE:
            raise Conflict(row.error or f"The export is {row.state}. Ask for it again until its state is done.")
        audit.record("export.download", subject_of(row), rows=row.rows)
        # each server takes the kind of stream it can send piece by piece
        is_async = isinstance(request._request, ASGIRequest)  # noqa: SLF001  # DRF has no public name for it
        stream = _sent_later(row.pk) if is_async else _sent(row.pk)
        name = f"{row.kind}-{row.first_day}-{row.last_day}.{row.format}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store", "Content-Length": str(row.size_bytes)}
        return StreamingHttpResponse(stream, content_type=f"{MEDIA[row.format]}; charset=utf-8", headers=headers)


def _part(export: UUID, position: int) -> bytes | None:
    found = ExportPart.objects.filter(export=export, position=position).values_list("data", flat=True).first()
    return None if found is None else bytes(found)


def _sent(export: UUID) -> Iterator[bytes]:
    position = 0
    while (data := _part(export, position)) is not None:
        yield data
        position += 1


async def _sent_later(export: UUID) -> AsyncIterator[bytes]:
    position = 0
    while (data := await sync_to_async(_part)(export, position)) is not None:
        yield data
        position += 1
