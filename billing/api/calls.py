"""calls: what was asked, by whom, and what it cost; read only."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts import access
from accounts.api.fields import Moment, Shown, look_up, moment
from accounts.api.resource import Resource
from billing.access import visible_calls
from billing.api.fields import Usd, shown_usd
from billing.attempts import accounted
from billing.models import UsageRecord
from billing.receipts import Attempted, Charge

NO_CHARGE = Charge("", "", "", "none", "", 0, 0, 0, 0, 0, 0, 0, 0)


class AttemptShown(Shown):
    """One try at one deployment, and what its vendor billed or may have billed for it."""

    deployment = serializers.CharField()
    account = serializers.CharField()
    provider = serializers.CharField(help_text="Empty where the attempt cost nothing.")
    outcome = serializers.CharField()
    status = serializers.IntegerField()
    elapsed_ms = serializers.IntegerField()
    quote_revision = serializers.IntegerField(allow_null=True, help_text="The revision of the configuration by whose prices the call was quoted.")
    price = serializers.UUIDField(allow_null=True, help_text="The price it was billed by.")
    usage_source = serializers.CharField()
    flags = serializers.ListField(child=serializers.CharField())
    input_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    reasoning_tokens = serializers.IntegerField()
    web_searches = serializers.IntegerField()
    cost_usd = Usd()


def shown_attempt(attempt: Attempted) -> dict[str, Any]:
    """Return an attempt as the API shows it; one that cost nothing shows zeros."""
    charge = attempt.charge or NO_CHARGE
    return {
        "deployment": attempt.deployment,
        "account": attempt.account,
        "provider": charge.provider,
        "outcome": attempt.outcome,
        "status": attempt.status,
        "elapsed_ms": attempt.elapsed_ms,
        "quote_revision": attempt.quote or None,
        "price": charge.price or None,
        "usage_source": charge.usage_source,
        "flags": [flag for flag in charge.flags.split(",") if flag],
        "input_tokens": charge.input_tokens,
        "cached_tokens": charge.cached_tokens,
        "output_tokens": charge.output_tokens,
        "reasoning_tokens": charge.reasoning_tokens,
        "web_searches": charge.web_searches,
        "cost_usd": shown_usd(charge.cost_nanousd),
    }


class CallShown(Shown):
    """A settled call."""

    id = serializers.CharField(source="call_id")
    started_at = Moment()
    key = serializers.SerializerMethodField()
    project = serializers.SerializerMethodField()
    business_unit = serializers.SerializerMethodField()
    person = serializers.SerializerMethodField(help_text="Whose personal key or access token the call was made by.")
    model = serializers.CharField()
    provider = serializers.CharField()
    account = serializers.CharField()
    deployment = serializers.CharField()
    upstream_model = serializers.CharField()
    endpoint = serializers.CharField()
    stream = serializers.BooleanField()
    status = serializers.IntegerField()
    outcome = serializers.CharField()
    error_code = serializers.CharField()
    input_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    reasoning_tokens = serializers.IntegerField()
    web_searches = serializers.IntegerField()
    cost_usd = Usd(source="cost_nanousd")
    quote_usd = Usd(source="quote_nanousd")
    usage_source = serializers.CharField()
    quote_id = serializers.SerializerMethodField(help_text="The quote it was held under; null when it was refused before.")
    attempts = serializers.SerializerMethodField(help_text="In order; together they are what the call cost.")
    guardrails = serializers.SerializerMethodField(help_text="Rules that acted on the call.")
    flags = serializers.SerializerMethodField()
    duration_ms = serializers.IntegerField()
    first_byte_ms = serializers.IntegerField()
    end_user = serializers.CharField()
    session = serializers.CharField()
    tags = serializers.CharField()
    client_request_id = serializers.CharField()

    def get_key(self, call: UsageRecord) -> str:
        """Return the prefixed id of its key."""
        return f"key_{call.key}"

    def get_person(self, call: UsageRecord) -> str | None:
        """Return the prefixed id of the person behind it."""
        return f"usr_{call.person.hex}" if call.person else None

    def get_project(self, call: UsageRecord) -> str | None:
        """Return the prefixed id of its project."""
        return f"prj_{call.project.hex}" if call.project else None

    def get_business_unit(self, call: UsageRecord) -> str | None:
        """Return the prefixed id of its unit."""
        return f"bu_{call.business_unit.hex}" if call.business_unit else None

    def get_quote_id(self, call: UsageRecord) -> str | None:
        """Return the id of its one quote, which bears the call's own."""
        return f"quo_{call.call_id.removeprefix('call_')}" if call.quote_nanousd else None

    @extend_schema_field(AttemptShown(many=True))
    def get_attempts(self, call: UsageRecord) -> list[dict[str, Any]]:
        """Return its attempts with what each cost."""
        return [shown_attempt(attempt) for attempt in accounted(call)]

    def get_guardrails(self, call: UsageRecord) -> list[str]:
        """Return the rules that acted; none are applied by this version."""
        return []

    def get_flags(self, call: UsageRecord) -> list[str]:
        """Return what is remarkable about the call."""
        return [flag for flag in call.flags.split(",") if flag]


# So far back from `until` (or now) a client's own request id is looked for.
CLIENT_ID_SPAN = timedelta(days=31)


class Calls(Resource):
    """Calls, newest first."""

    resource = "calls"
    ordered_by = "started_at"
    shows = CallShown
    filters = {
        "key": "Calls of this key (`key_...`).",
        "project": "Calls of this project (`prj_...`).",
        "request_id": "The call of this `x-request-id` (`call_...`), or calls of a client's own request id in the 31 days before `until` or now.",
        "model": "Calls of this model.",
        "outcome": "ok, refused, failed, aborted or unknown.",
        "since": "Calls that started at this moment or later.",
        "until": "Calls that started before this moment.",
    }

    def rows(self) -> QuerySet[UsageRecord]:
        """Return the calls the caller sees."""
        return visible_calls(self.actor)

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the call of an id."""
        return rows.filter(call_id=text).first() if "\0" not in text else None

    def narrowed(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the calls that fit."""
        if name in ("since", "until"):
            try:
                return rows.filter(**{"started_at__gte" if name == "since" else "started_at__lt": moment(value)})
            except serializers.ValidationError as error:
                raise serializers.ValidationError({name: error.detail}) from error
        if name == "key":
            key = look_up(access.visible_keys(self.actor), value)
            return rows.filter(key=key.public_id) if key else rows.none()
        if name == "project":
            project = look_up(access.visible_projects(self.actor), value)
            return rows.filter(project=project.id) if project else rows.none()
        if "\0" in value:
            return rows.none()
        if name == "request_id" and value.startswith("call_"):
            return rows.filter(call_id=value)
        if name == "request_id":
            # clients' ids bear no index: never more than a month of calls is read
            return rows.filter(started_at__gte=self._end() - CLIENT_ID_SPAN, client_request_id=value)
        return rows.filter(**{name: value})

    def _end(self) -> datetime:
        asked = self.request.query_params.get("until")
        try:
            return moment(asked) if asked else timezone.now()
        except serializers.ValidationError as error:
            raise serializers.ValidationError({"until": error.detail}) from error
