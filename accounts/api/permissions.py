"""May this caller use this route at all? Denied unless the access matrix declares the route and gives it to one of the caller's roles."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts import access
from accounts.models import ServiceAccount, User


class Declared(BasePermission):
    """Scopes are asked first. Lists are open to everybody and hold what the caller sees; for which object a route may be taken, the resource asks."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Say whether the caller may take the route for some object."""
        actor: Any = request.user
        if not isinstance(actor, User | ServiceAccount) or not access.is_usable(actor):
            return False
        if view.action in (None, "metadata"):
            return True  # no such method here: answered 405
        route: str = view.route
        if route not in access.ROUTES:
            return False
        lacking = access.lacks_scope(actor, route)
        if lacking:
            whose = "service account" if isinstance(actor, ServiceAccount) else "token"
            self.message = f"This {whose} lacks the scope {lacking}. Ask an IT administrator to add it."
            return False
        # what one may not see is not found, before anything is said about rights
        if view.detail or view.action == "list" or access.may(actor, route):
            return True
        self.message = refusal(route)
        return False


def refusal(route: str) -> str:
    """Return what somebody is told who may not take a route, with who may."""
    roles = [role.replace("_", " ") for role, cell in access.ROUTES[route].cells.items() if cell != "-" and role != "anyone"]
    people = " A service account never does this." if route in access.PEOPLE_ONLY else ""
    return f"Your role does not allow this here. It takes one of: {', '.join(roles)}.{people}"
