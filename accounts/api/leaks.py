"""leaked-keys: where secret scanners tell what they found. Open to all, because the secret itself is the proof; answers tell nothing."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from accounts import leaks
from accounts.api.fields import Shown
from accounts.api.schema import ProblemShown

MOST_FOUND = 100


class ByAddress(SimpleRateThrottle):
    """At most thirty reports a minute from one address."""

    scope, rate = "leaked-keys", "30/min"

    def get_cache_key(self, request: Request, view: Any) -> str:
        """Count by the visitor's address, which no header of theirs can change."""
        return f"leaked-keys:{request.META.get('REMOTE_ADDR', '')}"


class FoundGiven(serializers.Serializer[Any]):
    """One secret, as GitHub's secret scanning tells it; names besides these are let pass."""

    token = serializers.CharField(max_length=200)
    type = serializers.CharField(max_length=200, required=False, allow_blank=True)
    url = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    source = serializers.CharField(max_length=200, required=False, allow_blank=True)  # type: ignore[assignment]  # DRF keeps fields elsewhere


class ReceivedShown(Shown):
    """How many were read; whether any of them was good is told to its owner alone."""

    received = serializers.IntegerField()


class LeakedKeys(APIView):
    """Reports of secrets found in public."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (ByAddress,)

    @extend_schema(
        operation_id="leaked_keys_report", tags=["leaked-keys"], summary="Report secrets found in public", auth=[],
        description="A whole key or token proves its own leak and is revoked as compromised. The answer is the same whatever was reported.\n\nScope: `none`",
        request=FoundGiven(many=True),
        responses={202: ReceivedShown, ("default", "application/problem+json"): ProblemShown},
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """Take a list of found secrets, at most a hundred."""
        if not isinstance(request.data, list) or len(request.data) > MOST_FOUND:
            raise exceptions.ValidationError(f'Send a list of at most {MOST_FOUND} findings, such as [{{"token": "sgw_vk_...", "url": "https://..."}}].')
        body = FoundGiven(data=request.data, many=True)
        body.is_valid(raise_exception=True)
        found = [(item["token"], item.get("url") or item.get("source") or "") for item in body.validated_data]
        leaks.report(found, settings.KEY_PEPPERS)
        return Response({"received": len(found)}, 202)
