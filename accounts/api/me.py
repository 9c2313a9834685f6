"""me: who calls, and what they may do."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.api.fields import Moment, Shown
from accounts.api.memberships import MembershipShown
from accounts.api.resource import Resource
from accounts.models import Membership, ServiceAccount


class MeShown(Shown):
    """The caller: a person, or a service account."""

    id = serializers.CharField()
    kind = serializers.ChoiceField([("user", "person"), ("service_account", "service account")])
    name = serializers.CharField(help_text="E-mail address of a person.")
    role = serializers.CharField(help_text="Platform role, empty for none.")
    memberships = MembershipShown(many=True)
    scopes = serializers.ListField(child=serializers.CharField(), allow_null=True, help_text="What the token is narrowed to; null for a session.")
    expires_at = Moment(allow_null=True, help_text="When the token ends; null for a session.")
    routes = serializers.ListField(child=serializers.CharField(), help_text="Routes of this API the caller may take, for some object.")


class Me(Resource):
    """Who calls."""

    resource, is_list = "me", False
    shows = shown_by_list = MeShown

    def rows(self) -> QuerySet[Any]:
        """Return nothing: it is no list of rows."""
        return Membership.objects.none()

    def list(self, request: Request) -> Response:
        """Show who calls and what they may do."""
        actor = self.actor
        scopes = access.scopes_of(actor)
        held = Membership.objects.filter(user=self.person).select_related("user", "project", "business_unit") if self.person else []
        told = {
            "id": f"sa_{actor.public_id}" if isinstance(actor, ServiceAccount) else f"usr_{actor.pk.hex}",
            "kind": "service_account" if isinstance(actor, ServiceAccount) else "user",
            "name": actor.name if isinstance(actor, ServiceAccount) else actor.email,
            "role": "" if isinstance(actor, ServiceAccount) else access.role_of(actor),
            "memberships": held,
            "scopes": None if scopes is None else sorted(scopes),
            "expires_at": access.rights_end(actor),
            "routes": [route for route in access.ROUTES if access.may(actor, route)],
        }
        return Response(MeShown(told).data)
