"""What a resource of the management API is: who may see which rows, how they are shown, and the one road every write takes."""

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework import exceptions, serializers
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from accounts import access, four_eyes
from accounts.access import Actor
from accounts.api import idempotency, pages
from accounts.api.bodies import MOST_BODY_BYTES
from accounts.api.permissions import refusal
from accounts.api.problems import ChangedMeanwhile, TooLarge
from accounts.api.schema import ResourceSchema
from accounts.models import BusinessUnit, GrantRequest, Project, User, VirtualKey


class Resource(ViewSet):
    """A list and its objects. Members state `resource` (its scopes), what is visible, and how a row is shown."""

    schema = ResourceSchema()
    lookup_url_kwarg = "id"
    lookup_value_regex = "[^/]+"
    resource: ClassVar[str] = ""
    ordered_by: ClassVar[str] = "created_at"
    shows: ClassVar[type[serializers.Serializer[Any]]]
    makes: ClassVar[type[serializers.Serializer[Any]] | None] = None
    changes: ClassVar[type[serializers.Serializer[Any]] | None] = None
    # What an action of an object takes; set by @action.
    takes: type[serializers.Serializer[Any]] | None = None
    # Query parameters that narrow the list, and what they mean.
    filters: ClassVar[dict[str, str]] = {}
    # Actions that ask a far side and may take seconds: they hold no transaction meanwhile, and a repetition asks again.
    reaches_out: ClassVar[frozenset[str]] = frozenset()
    # Whether a GET of the resource itself is a list in pages.
    is_list: ClassVar[bool] = True
    # Whether a deletion has to say why.
    needs_reason: ClassVar[bool] = False
    # Fields that change by themselves and are no part of the ETag.
    live: ClassVar[frozenset[str]] = frozenset()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse who may not and what is too long, then lead writes through one transaction and the idempotency record."""
        super().initial(request, *args, **kwargs)
        length = request.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > MOST_BODY_BYTES:
            raise TooLarge(f"A body may have {MOST_BODY_BYTES} bytes.")
        name = str(request.method).lower()
        if request.method not in SAFE_METHODS and hasattr(self, name) and self.action not in self.reaches_out:
            setattr(self, name, self._in_one_transaction(getattr(self, name)))

    def _in_one_transaction(self, act: Callable[..., Response]) -> Callable[..., Response]:
        return lambda request, *args, **kwargs: idempotency.once(request, lambda: act(request, *args, **kwargs))

    @property
    def route(self) -> str:
        """Return the route being taken, as the access matrix names it."""
        method = "GET" if self.request.method == "HEAD" else str(self.request.method)
        verb = getattr(getattr(self, self.action or "", None), "url_path", "")
        return f"{method} " + "/".join(part for part in (self.resource, "{id}" if self.detail else "", verb) if part)

    @property
    def actor(self) -> Actor:
        """Return who calls."""
        actor: Actor = self.request.user  # type: ignore[assignment]  # only our two credentials sign in here
        return actor

    @property
    def person(self) -> User | None:
        """Return the person who calls, None for a program."""
        return self.actor if isinstance(self.actor, User) else None

    @property
    def human(self) -> User:
        """Return the person who calls; raises PermissionDenied for a program."""
        if self.person is None:
            raise exceptions.PermissionDenied("This is done by people, not by service accounts.")
        return self.person

    def rows(self) -> QuerySet[Any]:
        """Return the rows the caller may see."""
        raise NotImplementedError

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the row of a prefixed id, or None."""
        raise NotImplementedError

    def narrowed(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the rows that fit one of `filters`; none for an id the caller cannot see."""
        raise NotImplementedError

    def row(self, text: str, *, lock: bool = False) -> Any:
        """Return the row of a prefixed id; raises NotFound for one the caller cannot see, as for one that is not."""
        rows = self.rows()
        found = self.find(rows.select_for_update(of=("self",)) if lock else rows, text)
        if found is None:
            raise exceptions.NotFound
        if self.request.method not in SAFE_METHODS:
            self.check(self.place_of(found), row=found)
        return found

    def place_of(self, row: Any) -> access.Place:
        """Return where a row belongs: rights over that place are rights over the row."""
        places = (row, *(getattr(row, name, None) for name in ("scope", "project", "business_unit")))
        return next((place for place in places if isinstance(place, VirtualKey | Project | BusinessUnit)), None)

    def place_in(self, given: dict[str, Any]) -> access.Place:
        """Return where a new row would belong."""
        raise NotImplementedError

    def check(self, place: access.Place, row: Any = None, fields: Collection[str] = (), route: str = "") -> None:
        """Raise PermissionDenied unless the caller may take a route, this one by default, for what belongs to a place.

        Raises ValidationError for fields of the body that none of the caller's roles there may write.
        """
        route = route or self.route
        if not access.allows(self.actor, route, place, row):
            raise exceptions.PermissionDenied(refusal(route))
        refused = access.refused_fields(self.actor, route, place, fields, row)
        if refused:
            raise exceptions.ValidationError({name: ["Your role may not set this field. Leave it out."] for name in refused})

    def shown(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Return rows as the API shows them."""
        return [dict(self.shows(row, context={"request": self.request}).data) for row in rows]

    def told(self, row: Any, status: int = 200, waiting: GrantRequest | None = None) -> Response:
        """Answer with one row and its ETag; 202 and the request's id in `X-Sgw-Waits-For` where something waits for a second person."""
        data = self.shown([row])[0]
        waiting = waiting or four_eyes.held(row)
        headers = {"ETag": self.etag(data)} | ({"X-Sgw-Waits-For": waiting.shown_id} if waiting else {})
        return Response(data, 202 if waiting else status, headers=headers)

    def etag(self, data: dict[str, Any]) -> str:
        """Return the version of what is shown, apart from what changes by itself."""
        lasting = {name: value for name, value in data.items() if name not in self.live}
        return f'"{hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()[:24]}"'

    def given(self, request: Request, form: type[serializers.Serializer[Any]], **options: Any) -> dict[str, Any]:
        """Return the checked body; raises ValidationError."""
        body = form(data=request.data, context={"request": request}, **options)
        body.is_valid(raise_exception=True)
        return dict(body.validated_data)

    def list(self, request: Request) -> Response:
        """List, newest first, in pages."""
        asked = request.query_params
        rows = self.fitting(request, "limit", "cursor")
        found, following = pages.page(rows, self.ordered_by, asked.get("limit"), asked.get("cursor"))
        return Response({"data": self.shown(found), "has_more": following is not None, "next_cursor": following})

    def fitting(self, request: Request, *others: str) -> QuerySet[Any]:
        """Return the rows that fit the filters asked for; raises ValidationError for a parameter that is neither a filter nor one of `others`."""
        self.check_known(request, *others)
        asked, rows = request.query_params, self.rows()
        for name in self.filters:
            if name in asked:
                rows = self.narrowed(rows, name, asked[name])
        return rows

    def check_known(self, request: Request, *others: str) -> None:
        """Raise ValidationError for a parameter that is neither a filter nor one of `others`."""
        known = (*others, *self.filters)
        unknown = {name: [f"There is no such filter. Filters are: {', '.join(known)}."] for name in request.query_params if name not in known}
        if unknown:
            raise exceptions.ValidationError(unknown)

    def retrieve(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Show one."""
        answer = self.told(self.row(id))
        if answer.headers["ETag"] in [tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")]:
            return Response(status=304, headers={"ETag": answer.headers["ETag"]})
        return answer


class Makes:
    """A resource that can be added to."""

    def make(self, given: dict[str, Any]) -> Any:
        """Make a row by its action."""
        raise NotImplementedError

    def create(self: Any, request: Request) -> Response:
        """Create."""
        given = self.given(request, self.makes)
        self.check(self.place_in(given), fields=given)
        answer: Response = self.told(self.make(given), 201)
        answer.headers["Location"] = f"{request.path}/{answer.data['id']}"
        return answer


class Changes:
    """A resource whose fields can be changed."""

    def change(self, row: Any, given: dict[str, Any]) -> Any:
        """Change a row by its action."""
        raise NotImplementedError

    def partial_update(self: Any, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Change the fields given; with `If-Match` only if nobody changed it meanwhile."""
        row = self.row(id, lock=True)
        wanted = request.headers.get("If-Match")
        if wanted not in (None, "*") and self.etag(self.shown([row])[0]) not in [tag.strip() for tag in wanted.split(",")]:
            raise ChangedMeanwhile
        given = self.given(request, self.changes, partial=True)
        self.check(self.place_of(row), row, given)
        answer: Response = self.told(self.change(row, given))
        return answer
