"""May this caller use this resource at all? Denied unless the resource is declared and the scope or role allows it."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts import access
from accounts.models import ServiceAccount, User


class ScopeOrRole(BasePermission):
    """Service accounts need `resource:read` or `resource:write`; people need a role that writes, and see what they may see."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Say whether the caller may; which rows is decided by accounts.access."""
        actor: Any = request.user
        if not isinstance(actor, User | ServiceAccount):
            return False
        verb = "read" if request.method in SAFE_METHODS else "write"
        resource = getattr(view, "resource", "")
        if access.may(actor, resource, verb):
            return True
        self.message = (
            f"This service account lacks the scope {resource}:{verb}. Ask an IT administrator to add it."
            if isinstance(actor, ServiceAccount)
            else "Your role does not allow this. Ask an IT administrator."
        )
        return False
