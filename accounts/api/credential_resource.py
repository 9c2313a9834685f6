"""What the resources of keys, service accounts and personal tokens have in common: what they show, and their actions."""

from datetime import timedelta
from typing import Any

from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access, credentials
from accounts.api.fields import Given, Moment, Shown
from accounts.models import Credential

State = Credential.State
# Fields that change by use and are no part of an ETag.
LIVE = frozenset({"last_used_at", "last_used_ip", "last_used_agent"})


class CredentialShown(Shown):
    """What every credential tells about itself; never its secret."""

    state = serializers.ChoiceField(State.choices)
    state_reason = serializers.CharField(help_text="Why it was suspended or revoked.")
    compromised = serializers.BooleanField(source="is_compromised", help_text="Revoked as compromised.")
    expires_at = Moment()
    created_at = Moment()
    rotated_at = Moment(allow_null=True)
    previous_until = Moment(allow_null=True, help_text="So long the secret from before the last rotation is good too.")
    rotate_by = Moment(allow_null=True, help_text="Rotate it until then: somebody who left knows the secret.")
    last_used_at = Moment(allow_null=True)
    last_used_ip = serializers.CharField(allow_null=True)
    last_used_agent = serializers.CharField()


class RotateGiven(Given):
    """How long the old secret stays good."""

    overlap_hours = serializers.IntegerField(min_value=0, max_value=87600, default=24, help_text="0: it ends at once. Bound by policy.")


class StateGiven(Given):
    """Why."""

    reason = serializers.CharField(max_length=400, required=False, default="")


class RevokeGiven(StateGiven):
    """Why, and whether somebody else may have it."""

    compromised = serializers.BooleanField(default=False, help_text="Ends the calls it is making now.")


class ChangesState:
    """The actions every credential has; the resource shows its rows, and says how a new secret is told."""

    def told_once(self, row: Any, text: str, status: int = 200) -> Response:
        """Answer with a row and its new text, this once."""
        raise NotImplementedError

    def pepper(self) -> dict[str, Any]:
        """Return the newest pepper with its version, as actions take them."""
        raise NotImplementedError

    @action(detail=True, methods=["post"], url_path="end-overlap")
    def end_overlap(self: Any, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Let the secret from before the last rotation be good no more."""
        row = self.row(id)
        credentials.end_overlap(row)
        return self.told(self.row(id))  # type: ignore[no-any-return]

    @action(detail=True, methods=["post"], takes=StateGiven)
    def suspend(self: Any, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Refuse it until it is resumed; those below whoever suspends it cannot resume it."""
        return self.set_state(request, id, State.SUSPENDED, StateGiven)  # type: ignore[no-any-return]

    @action(detail=True, methods=["post"], takes=StateGiven)
    def resume(self: Any, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Take it again."""
        return self.set_state(request, id, State.ACTIVE, StateGiven)  # type: ignore[no-any-return]

    @action(detail=True, methods=["post"], takes=RevokeGiven)
    def revoke(self: Any, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Refuse it for good."""
        return self.set_state(request, id, State.REVOKED, RevokeGiven)  # type: ignore[no-any-return]

    def set_state(self: Any, request: Request, text: str, state: str, form: type[StateGiven]) -> Response:
        """Change the state of the credential of an id."""
        row = self.row(text)
        given = self.given(request, form)
        level = access.level(self.actor, self.place_of(row))
        credentials.set_state(row, state, reason=given["reason"], compromised=given.get("compromised", False), level=level)
        return self.told(self.row(text))  # type: ignore[no-any-return]

    def turned(self: Any, request: Request, text: str) -> Response:
        """Give the credential of an id a new secret."""
        row = self.row(text)
        hours = self.given(request, RotateGiven)["overlap_hours"]
        turned, secret = credentials.rotate(row, overlap=timedelta(hours=hours), **self.pepper())
        return self.told_once(turned, secret)  # type: ignore[no-any-return]
