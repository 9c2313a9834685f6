"""What requests have in common on the API, and access-requests and approvals: what is asked for, and what waits for one's decision."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import four_eyes, grants
from accounts.api.fields import Given, Moment, Shown, shown_id, uuid_of
from accounts.api.resource import Changes, Makes, Resource
from accounts.grants import Asking
from accounts.models import ApprovalStep, Decision, GrantRequest
from accounts.models.requests import MONEY_KINDS
from accounts.requests import access, asking, deciding
from accounts.requests.amounts import shown_usd
from accounts.requests.flags import flags
from accounts.signin import stepup

MOST_TEXT = 2000
PARAMETERS = {"type": "object", "additionalProperties": {"oneOf": [{"type": "string"}, {"type": "integer"}, {"type": "boolean"}]}}


@extend_schema_field(PARAMETERS)
class Parameters(serializers.DictField):
    """Texts, numbers and truth values by name."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the parameters; raises ValidationError for anything nested."""
        found = super().to_internal_value(data)
        if not all(isinstance(value, str | int | bool) for value in found.values()):
            raise serializers.ValidationError("Write a text, a whole number, true or false for each.")
        return found


class DecisionShown(Shown):
    """What one person decided."""

    verdict = serializers.ChoiceField(Decision.Verdict.choices)
    approver = serializers.SerializerMethodField(help_text="`usr_...`; null where another system decided.")
    system = serializers.SerializerMethodField(help_text="Name of the webhook of the system that decided, null where a person did.")
    on_behalf_of = serializers.SerializerMethodField(help_text="`usr_...` of whoever delegated; null where they decided themselves.")
    comment = serializers.CharField()
    at = Moment()

    def get_approver(self, decision: Decision) -> str | None:
        """Return the prefixed id."""
        return f"usr_{decision.approver_id.hex}" if decision.approver_id else None

    def get_system(self, decision: Decision) -> str | None:
        """Return the webhook's name."""
        return decision.channel.name if decision.channel else None

    def get_on_behalf_of(self, decision: Decision) -> str | None:
        """Return the prefixed id of whose seat it was."""
        return f"usr_{decision.seat_id.hex}" if decision.seat_id and decision.seat_id != decision.approver_id else None


class StepShown(Shown):
    """One step of the present version."""

    position = serializers.IntegerField()
    approver = serializers.CharField(help_text="manager, owner, role, people or external.")
    roles = serializers.ListField(child=serializers.CharField())
    quorum = serializers.IntegerField()
    state = serializers.ChoiceField(ApprovalStep.State.choices)
    decisions = DecisionShown(many=True)


class LineShown(Shown):
    """One thing that changes."""

    what = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()


class FactShown(Shown):
    """Something to know before deciding."""

    what = serializers.CharField()
    value = serializers.CharField()


class NoteShown(Shown):
    """A line of the history."""

    what = serializers.CharField()
    text = serializers.CharField()
    by = serializers.SerializerMethodField(help_text="`usr_...` or `sa_...`, null for the system.")
    version = serializers.IntegerField()
    at = Moment()

    def get_by(self, note: Any) -> str | None:
        """Return the prefixed id."""
        if note.author_id is not None:
            return f"usr_{note.author_id.hex}"
        return f"sa_{note.program.public_id}" if note.program_id is not None else None


class RequestShown(Shown):
    """A request. What changes, what to know and the history stand in the answers about one request and in `approvals`."""

    id = serializers.CharField(source="shown_id")
    kind = serializers.CharField()
    target = serializers.CharField()
    parameters = Parameters()
    title = serializers.CharField()
    reason = serializers.CharField()
    amount = serializers.SerializerMethodField(help_text="What was asked, in USD.")
    granted = serializers.SerializerMethodField(help_text="What an approver made of it, in USD.")
    currency = serializers.SerializerMethodField()
    until = Moment(allow_null=True, help_text="When it ends by itself.")
    requester = serializers.SerializerMethodField(help_text="`usr_...`")
    service_account = serializers.SerializerMethodField(help_text="`sa_...`")
    project = serializers.SerializerMethodField()
    business_unit = serializers.SerializerMethodField()
    environment = serializers.CharField()
    version = serializers.IntegerField(help_text="Rises with every edit; approvals count for one version.")
    state = serializers.ChoiceField(GrantRequest.State.choices)
    rule = serializers.SerializerMethodField(help_text="Name of the rule it falls under.")
    automatic = serializers.BooleanField(source="is_automatic")
    steps = serializers.SerializerMethodField()
    created_at = Moment()
    expires_at = Moment(help_text="When it ends if nobody decides.")
    runs_at = Moment(allow_null=True, help_text="When an act without a second person is carried out unless cancelled.")
    decided_at = Moment(allow_null=True)
    ended_at = Moment(allow_null=True)
    may_decide = serializers.BooleanField(required=False, help_text="Whether it waits for whoever asks.")
    preview = LineShown(many=True, required=False)
    facts = FactShown(many=True, required=False)
    flags = serializers.ListField(child=serializers.CharField(), required=False)
    notes = NoteShown(many=True, required=False)

    def get_amount(self, request: GrantRequest) -> str | None:
        """Return the amount asked."""
        return shown_usd(request.amount_nanousd)

    def get_granted(self, request: GrantRequest) -> str | None:
        """Return the amount as it stands."""
        return shown_usd(request.granted_nanousd)

    def get_currency(self, request: GrantRequest) -> str | None:
        """Return the currency of an amount."""
        return "USD" if request.amount_nanousd is not None else None

    def get_requester(self, request: GrantRequest) -> str | None:
        """Return the prefixed id of the person who asked."""
        return f"usr_{request.requester_id.hex}" if request.requester_id else None

    def get_service_account(self, request: GrantRequest) -> str | None:
        """Return the prefixed id of the program that asked."""
        return f"sa_{request.service_account.public_id}" if request.service_account else None

    def get_project(self, request: GrantRequest) -> str | None:
        """Return the prefixed id of its project."""
        return shown_id(request.project) if request.project else None

    def get_business_unit(self, request: GrantRequest) -> str | None:
        """Return the prefixed id of the unit that decides."""
        return shown_id(request.business_unit) if request.business_unit else None

    def get_rule(self, request: GrantRequest) -> str | None:
        """Return the rule's name."""
        return request.rule.name if request.rule else None

    @extend_schema_field(StepShown(many=True))
    def get_steps(self, request: GrantRequest) -> list[dict[str, Any]]:
        """Return the steps of the present version."""
        return [dict(StepShown(step).data) for step in request.steps.all() if step.version == request.version]


class AccessGiven(Given):
    """What is asked for and why."""

    kind = serializers.CharField(max_length=64, help_text="Such as join_project, create_project, model, production_key, limit, platform_role.")
    target = serializers.CharField(max_length=200, help_text="What it is about: an id, or a model's name.")
    reason = serializers.CharField(max_length=MOST_TEXT)
    parameters = Parameters(required=False, help_text="What else the kind takes.")
    until = Moment(required=False, allow_null=True, help_text="When it is taken back by itself.")


class AccessChange(Given):
    """What of a request can be edited; approvals so far are void then."""

    target = serializers.CharField(max_length=200)
    reason = serializers.CharField(max_length=MOST_TEXT)
    parameters = Parameters()
    until = Moment(allow_null=True)


class ApproveGiven(Given):
    """A word with the approval."""

    comment = serializers.CharField(max_length=1000, required=False, allow_blank=True)
    version = serializers.IntegerField(min_value=1, required=False, help_text="The version you read; another one answers 412.")


class DenyGiven(Given):
    """Why not."""

    reason = serializers.CharField(max_length=1000)
    version = serializers.IntegerField(min_value=1, required=False, help_text="The version you read; another one answers 412.")


class CommentGiven(Given):
    """What is said."""

    comment = serializers.CharField(max_length=MOST_TEXT)


class QuestionGiven(Given):
    """What is asked back."""

    question = serializers.CharField(max_length=MOST_TEXT)


class TakenBackGiven(Given):
    """Why."""

    reason = serializers.CharField(max_length=1000)


class RequestResource(Resource):
    """Requests as the caller sees them, and what can be done to one."""

    shows = RequestShown
    filters = {"state": "Requests in this state.", "kind": "Requests of this kind."}

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the request of an id."""
        wanted = uuid_of(text, "crq_") or uuid_of(text, "arq_")
        found = rows.filter(pk=wanted).first() if wanted else None
        return found if found is not None and found.shown_id == text else None

    def place_in(self, given: dict[str, Any]) -> None:
        """Return nothing: who may ask for what is for its grant to say."""

    def narrowed(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the requests of a state or kind."""
        return rows.filter(**{name: value}) if "\0" not in value else rows.none()

    def brief(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Return rows without what has to be worked out."""
        fetched = GrantRequest.objects.filter(pk__in=[row.pk for row in rows]).prefetch_related("steps__decisions__channel")
        whole = {row.pk: row for row in fetched.select_related("requester", "service_account", "project", "business_unit", "rule")}
        return [dict(RequestShown(whole[row.pk]).data) for row in rows]

    def shown(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Return rows briefly."""
        return self.brief(rows)

    def whole(self, row: GrantRequest) -> dict[str, Any]:
        """Return one row with everything there is to know."""
        grant, data = grants.grant_of(row.kind), self.brief([row])[0]
        data["may_decide"] = access.may_decide(self.actor, row)
        data["preview"] = [line._asdict() for line in grants.changes_of(row)] if row.is_open else []
        data["facts"] = [fact._asdict() for fact in grant.facts(row)] if row.is_open else []
        data["flags"] = flags(row) if row.is_open else []
        data["notes"] = [dict(NoteShown(note).data) for note in row.notes.select_related("program")]
        return data

    def told(self, row: Any, status: int = 200, waiting: GrantRequest | None = None) -> Response:
        """Answer with one row and its ETag."""
        data = self.whole(row)
        return Response(data, status, headers={"ETag": self.etag(data)})

    def etag(self, data: dict[str, Any]) -> str:
        """Return the version of a request: what it asks for, where it stands, and what was decided."""
        return super().etag({name: data[name] for name in ("id", "version", "state", "amount", "granted", "reason", "steps")})

    def _to_decide(self, request: Request, id: str) -> GrantRequest:  # noqa: A002  # the name in the path
        """Return a request; raises StepUpNeeded for a session without a fresh proof where one is needed."""
        row: GrantRequest = self.row(id)
        if four_eyes.is_grave(row):
            stepup.require(request)
        return row

    def _done(self, request: GrantRequest) -> Response:
        return self.told(self.row(request.shown_id))

    @action(detail=True, methods=["post"], takes=ApproveGiven)
    def approve(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Approve; the last approval that is needed carries it out at once."""
        return self._done(deciding.approve(self._to_decide(request, id), self.actor, **self.given(request, ApproveGiven)))

    @action(detail=True, methods=["post"], takes=DenyGiven)
    def deny(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Refuse for good."""
        return self._done(deciding.deny(self._to_decide(request, id), self.actor, **self.given(request, DenyGiven)))

    @action(detail=True, methods=["post"], takes=QuestionGiven)
    def ask(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Ask back; it waits for an answer, which is a comment of whoever asked."""
        return self._done(deciding.ask(self._to_decide(request, id), self.actor, self.given(request, QuestionGiven)["question"]))

    @action(detail=True, methods=["post"], takes=CommentGiven)
    def comment(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Say something; the asker's word answers an open question."""
        return self._done(asking.comment(self.row(id), self.actor, self.given(request, CommentGiven)["comment"]))

    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Take one's own request back before it is carried out."""
        return self._done(asking.withdraw(self.row(id), self.actor))

    @action(detail=True, methods=["post"], takes=TakenBackGiven)
    def revoke(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Take back what it gave, before its end."""
        return self._done(deciding.take_back(self.row(id), self.actor, self.given(request, TakenBackGiven)["reason"]))


class AccessRequests(Makes, Changes, RequestResource):
    """Requests for everything but money."""

    resource = "access-requests"
    makes, changes = AccessGiven, AccessChange

    def rows(self) -> QuerySet[GrantRequest]:
        """Return the requests the caller sees."""
        return access.visible_requests(self.actor).exclude(kind__in=MONEY_KINDS)

    def make(self, given: dict[str, Any]) -> GrantRequest:
        """File a request."""
        reason = given.pop("reason")
        if given["kind"] in MONEY_KINDS:
            raise serializers.ValidationError({"kind": "Ask for money by POST credit-requests."})
        return asking.submit(Asking(actor=self.actor, **given), reason)

    def change(self, row: GrantRequest, given: dict[str, Any]) -> GrantRequest:
        """Edit one's own request."""
        return asking.edit(row, self.actor, **given)
