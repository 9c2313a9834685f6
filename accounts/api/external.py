"""approvals/external: where another system answers that decides a step. Open to all, because the signature is the proof."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from accounts.api.fields import Given, Shown, uuid_of
from accounts.api.problems import TooLarge
from accounts.api.schema import ProblemShown
from accounts.models import Decision, GrantRequest
from accounts.requests import external

MOST_BYTES = 64 * 1024


class ByAddress(SimpleRateThrottle):
    """At most a hundred answers a minute from one address."""

    scope, rate = "external-answers", "100/min"

    def get_cache_key(self, request: Request, view: Any) -> str:
        """Count by the visitor's address, which no header of theirs can change."""
        return f"external-answers:{request.META.get('REMOTE_ADDR', '')}"


class SaidGiven(Given):
    """The decision."""

    request = serializers.CharField(help_text="`crq_...` or `arq_...`, as in the address.")
    version = serializers.IntegerField(help_text="The version that was asked about; another one answers 412.")
    step = serializers.IntegerField(help_text="The step that was asked about.")
    verdict = serializers.ChoiceField(Decision.Verdict.choices)
    comment = serializers.CharField(required=False, allow_blank=True, help_text="Needed to deny.")
    decided_by = serializers.CharField(required=False, allow_blank=True, help_text="Who decided over there; refused when they asked here.")


class AnswerGiven(Given):
    """A Standard Webhooks message of the type `approval.answered`."""

    type = serializers.ChoiceField([external.ANSWER])
    timestamp = serializers.CharField(required=False)
    data = SaidGiven()  # type: ignore[assignment]  # DRF keeps fields elsewhere


class AnsweredShown(Shown):
    """Where the request stands now."""

    id = serializers.CharField(source="shown_id")
    version = serializers.IntegerField()
    state = serializers.ChoiceField(GrantRequest.State.choices)


class ExternalAnswers(APIView):
    """Answers of other systems."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (ByAddress,)

    def get_authenticate_header(self, request: Request) -> str:
        """Say that a refusal is 401: a signature is asked for."""
        return "Webhook-Signature"

    @extend_schema(
        operation_id="approvals_external_answer", tags=["approvals"], summary="Answer as the system that decides a step", auth=[],
        description="Signed with the secret of the step's webhook (headers `webhook-id`, `webhook-timestamp`, `webhook-signature`). The same message "
        "again changes nothing.\n\nScope: `none`",
        request=AnswerGiven, responses={200: AnsweredShown, ("default", "application/problem+json"): ProblemShown},
    )  # fmt: skip
    def post(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Take an answer."""
        body = request.body  # the very bytes: a signature is over them and nothing else
        if len(body) > MOST_BYTES:
            raise TooLarge(f"An answer has at most {MOST_BYTES} bytes.")
        headers = {name.lower(): value for name, value in request.headers.items()}
        wanted = uuid_of(id, "crq_") or uuid_of(id, "arq_")
        row = GrantRequest.objects.filter(pk=wanted).first() if wanted else None
        found = row if row is not None and row.shown_id == id else None
        try:
            return Response(AnsweredShown(external.answer(found, external.Incoming(id, headers, body))).data)
        except external.Unsigned as refusal:
            raise exceptions.AuthenticationFailed(str(refusal), "invalid_signature") from refusal
