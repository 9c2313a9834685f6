"""What every page of the portal keeps to: its visitor is signed in and past every gate, and what is not theirs is not found."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID

from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase

from accounts.models import User
from accounts.portal.gates import GATES

P = ParamSpec("P")
Row = TypeVar("Row", bound=Model)
ROWS_PER_PAGE = 50


def signed_in(view: Callable[Concatenate[HttpRequest, User, P], HttpResponseBase]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Show a page to who is signed in, handing them to it as its second argument; others are led to sign in, or to the gate they must pass."""

    def page(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        user = request.user
        if not isinstance(user, User) or not user.is_active:
            return redirect_to_login(request.get_full_path())
        for gate in GATES:
            held_up = gate(request, user)
            if held_up is not None:
                return held_up
        return view(request, user, *args, **kwargs)

    return update_wrapper(page, view)


def found(rows: QuerySet[Row], prefix: str, public_id: str) -> Row:
    """Return the row with a prefixed id out of the rows its visitor may see; raises Http404 for a foreign, unknown or malformed one."""
    start, _, rest = public_id.partition("_")
    try:
        number = UUID(hex=rest)
    except ValueError:
        raise Http404 from None
    row = rows.filter(pk=number).first() if start == prefix and len(rest) == 32 else None
    if row is None:
        raise Http404
    return row


def page_of(request: HttpRequest, rows: QuerySet[Row]) -> Page[Row]:
    """Return the page of a list that the address names by `page`; the nearest one when there is no such page."""
    return Paginator(rows, ROWS_PER_PAGE).get_page(request.GET.get("page"))
