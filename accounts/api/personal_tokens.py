"""personal-tokens: how a person uses this API without a browser. They are made in a session, never by a token."""

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from rest_framework import exceptions, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access, credentials
from accounts.api.credential_resource import LIVE, CredentialShown, RevokeGiven
from accounts.api.fields import Given, Moment, shown_id
from accounts.api.resource import Makes, Resource
from accounts.models import CredentialPolicy, PersonalToken
from accounts.personal_tokens import make_personal_token


class TokenGiven(Given):
    """A new personal token."""

    name = serializers.CharField(max_length=200)
    scopes = serializers.ListField(
        child=serializers.CharField(max_length=80), allow_empty=False, max_length=100, help_text="Such as `keys:write`; your own rights bind it too."
    )
    expires_at = Moment(required=False, help_text="Left out: as late as policy allows.")


class TokenShown(CredentialShown):
    """A personal token, without its text."""

    id = serializers.SerializerMethodField()
    name = serializers.CharField()
    user = serializers.SerializerMethodField()
    scopes = serializers.ListField(child=serializers.CharField())

    def get_id(self, row: PersonalToken) -> str:
        """Return the prefixed id."""
        return f"pt_{row.public_id}"

    def get_user(self, row: PersonalToken) -> str:
        """Return the prefixed id of its person."""
        return shown_id(row.user)


class TokenMade(TokenShown):
    """A new personal token with its text, told this once."""

    token = serializers.CharField(help_text="The whole token. It is not kept and cannot be shown again.")


class PersonalTokens(Makes, Resource):
    """Personal tokens."""

    resource = "personal-tokens"
    shows, makes, shown_by_create = TokenShown, TokenGiven, TokenMade
    live = LIVE

    def rows(self) -> QuerySet[PersonalToken]:
        """Return the tokens the caller sees."""
        return access.visible_personal_tokens(self.actor)

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the token of an id."""
        bare = text.removeprefix("pt_")
        return rows.filter(public_id=bare).first() if bare != text and bare.isascii() and bare.isalnum() else None

    def create(self, request: Request) -> Response:
        """Create a token of one's own; the answer holds its text, this once. Takes a session: a token makes no tokens."""
        person = self.person
        if person is None or access.scopes_of(person) is not None:
            raise exceptions.PermissionDenied("Personal tokens are made by people who are signed in: a token makes no tokens.")
        given = self.given(request, TokenGiven)
        self.check(None, person, given)
        given.setdefault("expires_at", credentials.latest_expiry(credentials.policy(CredentialPolicy.Kind.PERSONAL_TOKEN)))
        version = max(settings.KEY_PEPPERS)
        row, text = make_personal_token(user=person, pepper=settings.KEY_PEPPERS[version], pepper_version=version, **given)
        answer = self.told(row, 201)
        answer.data["token"] = text
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["Location"] = f"{request.path}/{answer.data['id']}"
        return answer

    @action(detail=True, methods=["post"], takes=RevokeGiven)
    def revoke(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Refuse it for good."""
        row = self.row(id)
        given = self.given(request, RevokeGiven)
        credentials.set_state(row, PersonalToken.State.REVOKED, reason=given["reason"], compromised=given["compromised"])
        return self.told(self.row(id))
