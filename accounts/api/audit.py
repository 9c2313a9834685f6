"""audit-events: who did what, when and through what, and whether the trail is whole."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import exceptions, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access, audit
from accounts.api.fields import Moment, Shown, look_up, moment, uuid_of
from accounts.api.resource import Resource
from accounts.audit.export import FORMATS
from accounts.audit.verify import verify
from accounts.models import AuditEvent

MOST_EXPORTED = 10_000


class EventShown(Shown):
    """One event."""

    id = serializers.SerializerMethodField()
    seq = serializers.IntegerField(help_text="Its number, without gaps.")
    at = Moment()
    action = serializers.CharField(help_text="Such as `project.update`.")
    outcome = serializers.ChoiceField(AuditEvent.Outcome.choices)
    actor_kind = serializers.CharField(help_text="user, service_account, directory (a SCIM token), system or anonymous.")
    actor_id = serializers.CharField()
    on_behalf_of = serializers.CharField()
    face = serializers.CharField(help_text="admin, api, portal, scim, command or system.")
    object_kind = serializers.CharField()
    object_id = serializers.CharField()
    business_unit = serializers.SerializerMethodField()
    project = serializers.SerializerMethodField()
    transaction = serializers.UUIDField(help_text="The same for all events of one act.")
    request_id = serializers.CharField()
    texts = serializers.SerializerMethodField(help_text="What names people: actor, ip, agent, object, changes, reason; null where erased.")
    previous = serializers.CharField(help_text="Hash of the event before it.")
    hash = serializers.CharField()

    def get_id(self, event: AuditEvent) -> str:
        """Return the prefixed id."""
        return f"aud_{event.id.hex}"

    def get_business_unit(self, event: AuditEvent) -> str | None:
        """Return the prefixed id of the unit it belongs to."""
        return f"bu_{event.business_unit.hex}" if event.business_unit else None

    def get_project(self, event: AuditEvent) -> str | None:
        """Return the prefixed id of the project it belongs to."""
        return f"prj_{event.project.hex}" if event.project else None

    @extend_schema_field({"type": "object", "additionalProperties": {}})
    def get_texts(self, event: AuditEvent) -> dict[str, Any]:
        """Return the texts without their salts."""
        return {name: text["value"] if text is not None else None for name, text in event.texts.items()}


class VerdictShown(Shown):
    """Whether the trail is whole."""

    valid = serializers.BooleanField()
    checked = serializers.IntegerField(help_text="Events found good.")
    first_bad = serializers.IntegerField(allow_null=True, help_text="Number of the first bad event.")
    reason = serializers.CharField(help_text="What is wrong with it.")
    erased = serializers.IntegerField(help_text="Texts erased on record.")


class AuditEvents(Resource):
    """The audit trail, newest first."""

    resource = "audit-events"
    ordered_by = "at"
    shows, shown_by_verify = EventShown, VerdictShown
    filters = {
        "action": "Events of this action.",
        "actor": "Events of this person or program (`usr_...`, `sa_...`).",
        "object": "Events of this object, by its prefixed id.",
        "outcome": "done or refused.",
        "project": "Events of this project (`prj_...`).",
        "business_unit": "Events directly of this unit (`bu_...`).",
        "request_id": "Events of one request (`req_...`).",
        "since": "Events at this moment or later.",
        "until": "Events before this moment.",
    }

    def rows(self) -> QuerySet[AuditEvent]:
        """Return the events the caller sees."""
        return access.visible_audit_events(self.actor)

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the event of an id."""
        found = uuid_of(text, "aud_")
        return rows.filter(id=found).first() if found else None

    def narrowed(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the events that fit."""
        if name in ("since", "until"):
            try:
                return rows.filter(**{"at__gte" if name == "since" else "at__lt": moment(value)})
            except serializers.ValidationError as error:
                raise serializers.ValidationError({name: error.detail}) from error
        if name in ("project", "business_unit"):
            visible: QuerySet[Any] = access.visible_projects(self.actor) if name == "project" else access.visible_business_units(self.actor)
            place = look_up(visible, value)
            return rows.filter(**{name: place.pk}) if place else rows.none()
        column = {"actor": "actor_id", "object": "object_id"}.get(name, name)
        return rows.filter(**{column: value}) if "\0" not in value else rows.none()

    @action(detail=False, methods=["get"])
    def verify(self, request: Request) -> Response:
        """Check every event, the end of the chain and the checkpoints kept outside the database."""
        if not access.sees_everything(self.actor):
            raise exceptions.PermissionDenied("The whole trail is checked by platform roles and service accounts of the platform.")
        return Response(VerdictShown(verify()._asdict()).data)

    @extend_schema(
        parameters=[
            OpenApiParameter("as", enum=sorted(FORMATS), description="JSON lines (the default) prove themselves, CSV is for people."),
            OpenApiParameter("after", int, description="Only events with a number above this one."),
        ],
        responses={(200, media): str for _, media in FORMATS.values()},
    )
    @action(detail=False, methods=["get"])
    def export(self, request: Request) -> HttpResponse:
        """Give at most 10 000 events, oldest first, as a file; `x-next-after` says where the next file begins when there are more."""
        wanted, after = request.query_params.get("as", "jsonl"), request.query_params.get("after", "0")
        if wanted not in FORMATS:
            raise serializers.ValidationError({"as": f"Choose one of: {', '.join(sorted(FORMATS))}."})
        if not (after.isascii() and after.isdecimal() and len(after) <= 18):
            raise serializers.ValidationError({"after": "Write the number of an event."})
        found = list(self.fitting(request, "as", "after").filter(seq__gt=int(after)).order_by("seq")[: MOST_EXPORTED + 1])
        audit.record("audit.export", format=wanted, after=int(after), events=len(found[:MOST_EXPORTED]))
        write, media = FORMATS[wanted]
        answer = HttpResponse("".join(write(found[:MOST_EXPORTED])), content_type=f"{media}; charset=utf-8")
        answer.headers["Content-Disposition"] = f'attachment; filename="audit-events.{wanted}"'
        if len(found) > MOST_EXPORTED:
            answer.headers["X-Next-After"] = str(found[MOST_EXPORTED - 1].seq)
        return answer
