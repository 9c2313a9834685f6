"""The endpoints of SCIM: who asks, what is asked, and the answer in the protocol's own shape. Every write is an action."""

import json
import re
from typing import Any, ClassVar

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from pydantic import ValidationError
from rest_framework.exceptions import APIException
from scim2_models import (
    Context,
    Error,
    InvalidFilterException,
    InvalidSyntaxException,
    InvalidValueException,
    NotFoundException,
    NotImplementedException,
    PayloadTooLargeException,
    PreconditionFailedException,
    ResponseParameters,
    SCIMException,
    SearchRequest,
    UniquenessException,
)

from accounts import audit
from accounts.api.bodies import Json
from accounts.api.credentials import ip_of
from accounts.models import ScimToken
from accounts.scim import patches
from accounts.scim.discovery import CONFIGURATION, RESOURCE_TYPES, SCHEMAS, listed
from accounts.scim.kinds import PEOPLE, Kind
from accounts.scim.resources import POLICY
from accounts.scim.searching import search
from accounts.scim.tokens import find_by_token
from accounts.scim.versions import is_named

log = structlog.get_logger("accounts.scim")
CONTENT_TYPE = "application/scim+json"
# A NUL as JSON writes it, and no backslash followed by letters that look like one.
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class Endpoint(View):
    """What every endpoint keeps to: a SCIM token as Bearer, and errors in the protocol's shape."""

    kind: ClassVar[Any] = None
    only_reads: ClassVar[bool] = False

    @method_decorator(csrf_exempt)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer who proves to be the directory."""
        try:
            token = self.token()
            if token is None:
                answer = told(Error(status=401, detail="Send Authorization: Bearer sgw_sc_<id>_<secret>, a SCIM token that is in force."))
                answer.headers["WWW-Authenticate"] = 'Bearer realm="scim"'
                return answer
            request.user = token  # type: ignore[assignment]  # the audit trail names it as who acts
            if self.scope and self.scope not in token.scopes:
                return told(Error(status=403, detail=f"This SCIM token lacks the scope {self.scope}."))
            with POLICY:
                return super().dispatch(request, *args, **kwargs)
        except SCIMException as error:
            return told(error.to_error())
        except ValidationError as error:
            return told(Error.from_validation_errors(error)[0])
        except PermissionDenied as refusal:
            return told(Error(status=403, detail=str(refusal)))
        except IntegrityError:  # another request was faster
            return told(UniquenessException().to_error())
        except (OperationalError, InterfaceError) as error:
            log.error("scim_without_database", reason=type(error).__name__, error=str(error))
            answer = told(Error(status=503, detail="The database cannot be asked at the moment. Repeat the request."))
            answer.headers["Retry-After"] = "1"
            return answer

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Say which methods there are."""
        allowed = ", ".join(name.upper() for name in self.http_method_names if hasattr(self, name))
        answer = told(Error(status=405, detail=f"Use {allowed} here."))
        answer.headers["Allow"] = allowed
        return answer

    def token(self) -> ScimToken | None:
        """Return the token the request proves, None without one."""
        scheme, _, text = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        agent = self.request.headers.get("User-Agent", "")
        return find_by_token(text.strip().encode("utf-8", "surrogateescape"), settings.KEY_PEPPERS, ip_of(self.request), agent)

    @property
    def scope(self) -> str:
        """Return the scope a token needs, "" for none: whoever is the directory may ask what this service is."""
        verb = "read" if self.request.method in ("GET", "HEAD") or self.only_reads else "write"
        return f"{self.kind.name}:{verb}" if self.kind else ""

    @property
    def origin(self) -> str:
        """Return the address this service has for the directory."""
        return settings.PUBLIC_URL or self.request.build_absolute_uri("/").rstrip("/")

    def body(self) -> Any:
        """Return the request's JSON. Raises InvalidSyntaxException, PayloadTooLargeException."""
        try:
            given = Json().parse(self.request)
            written = json.dumps(given, ensure_ascii=False)
            written.encode()
        except (UnicodeEncodeError, RecursionError) as error:
            raise InvalidSyntaxException(detail="The body holds half a character, or is nested too deeply.") from error
        except APIException as error:
            raise (PayloadTooLargeException if error.status_code == 413 else InvalidSyntaxException)(detail=str(error.detail)) from error
        if NUL.search(written):
            raise InvalidValueException(detail="A value holds a NUL, which nothing here can keep.")
        return given

    def parameters(self) -> ResponseParameters[Any]:
        """Return which attributes the answer may hold. Raises ValidationError."""
        return ResponseParameters.model_validate({name: self.request.GET[name] for name in ("attributes", "excludedAttributes") if name in self.request.GET})


class Many(Endpoint):
    """A collection: listing, searching, creating."""

    kind: ClassVar[Kind] = PEOPLE  # or another, by the address

    def get(self, request: HttpRequest) -> HttpResponse:
        """List or search."""
        names = ("filter", "startIndex", "count", "sortBy", "sortOrder", "attributes", "excludedAttributes")
        return self.found({name: request.GET[name] for name in names if name in request.GET})

    def post(self, request: HttpRequest) -> HttpResponse:
        """Create."""
        given = self.kind.model.model_validate(self.body(), scim_ctx=Context.RESOURCE_CREATION_REQUEST)
        row = self.kind.find(str(self.kind.create(given).pk))
        return resource(self.kind.resource_of(row, self.origin), Context.RESOURCE_CREATION_RESPONSE, self.parameters(), 201)

    def found(self, asked: Any) -> HttpResponse:
        """Return one page of what was asked for."""
        if len(str(asked.get("filter", "") if isinstance(asked, dict) else "")) > patches.MOST_CHARACTERS:
            raise InvalidFilterException(detail=f"A filter may have {patches.MOST_CHARACTERS} characters.")
        request: Any = SearchRequest[self.kind.model]  # type: ignore[name-defined]  # made for each kind as it is asked for
        wanted = request.model_validate(asked)
        page = search(self.kind, wanted, self.origin)
        return told(page.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=wanted))


class Search(Many):
    """A search by POST."""

    http_method_names = ["post"]
    only_reads = True

    def post(self, request: HttpRequest) -> HttpResponse:
        """Search."""
        return self.found(self.body())


class One(Endpoint):
    """One resource: reading, replacing, patching, deleting."""

    kind: ClassVar[Kind] = PEOPLE  # or another, by the address

    def get(self, request: HttpRequest, number: str) -> HttpResponse:
        """Read, unless it is as the directory knows it."""
        found = self.kind.resource_of(self.kind.find(number), self.origin)
        version = str(found.meta.version) if found.meta else ""
        if is_named(version, request.headers.get("If-None-Match", "")):
            return HttpResponse(status=304, headers={"ETag": version})
        return resource(found, Context.RESOURCE_QUERY_RESPONSE, self.parameters())

    def put(self, request: HttpRequest, number: str) -> HttpResponse:
        """Replace."""
        wanted = self.kind.model.model_validate(self.body(), scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST)
        with audit.act():
            row, present = self.held(number)
            wanted.replace(present)
            self.kind.save(row, wanted)
        return self.changed(number, Context.RESOURCE_REPLACEMENT_RESPONSE)

    def patch(self, request: HttpRequest, number: str) -> HttpResponse:
        """Change in parts, all or none."""
        wanted = patches.read(self.body(), self.kind.model)
        with audit.act():
            row, present = self.held(number)
            if patches.apply(wanted, present):
                self.kind.save(row, present)
        return self.changed(number, Context.RESOURCE_PATCH_RESPONSE)

    def delete(self, request: HttpRequest, number: str) -> HttpResponse:
        """Delete."""
        with audit.act():
            row, _ = self.held(number)
            self.kind.remove(row)
        return HttpResponse(status=204)

    def held(self, number: str) -> tuple[Any, Any]:
        """Return the row, locked, and the resource, if it is the version the directory means. Raises NotFoundException, PreconditionFailedException."""
        row = self.kind.find(number, lock=True)
        present = self.kind.resource_of(row, self.origin)
        wanted = self.request.headers.get("If-Match")
        if wanted is not None and not (present.meta and is_named(str(present.meta.version), wanted)):
            raise PreconditionFailedException(detail="It was changed meanwhile. Read it again.")
        return row, present

    def changed(self, number: str, context: Context) -> HttpResponse:
        """Return the resource as it is now."""
        return resource(self.kind.resource_of(self.kind.find(number), self.origin), context, self.parameters())


class Discovery(Endpoint):
    """What this service is: its configuration, resource types and schemas."""

    http_method_names = ["get"]
    what: ClassVar[str] = ""

    def get(self, request: HttpRequest, number: str = "") -> HttpResponse:
        """Describe. Raises NotFoundException."""
        if self.what == "config":
            return told(CONFIGURATION.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE))
        found: Any = RESOURCE_TYPES if self.what == "types" else SCHEMAS
        if not number:
            return told(listed(found))
        if number not in found:
            raise NotFoundException(detail="There is no such description.")
        return told(found[number].model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE))


class SearchEverything(Endpoint):
    """Searching all kinds at once, which is not done here."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        """Refuse."""
        raise NotImplementedException(detail="Search /Users/.search or /Groups/.search.")


class Nothing(Endpoint):
    """Every other address."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Say that there is nothing."""
        return told(Error(status=404, detail="There is nothing at this address. SCIM is at /scim/v2/Users and /scim/v2/Groups."))


def told(body: Error | dict[str, Any]) -> HttpResponse:
    """Return a message of the protocol as an answer."""
    status = (body.status or 500) if isinstance(body, Error) else 200
    shown = body.model_dump() if isinstance(body, Error) else body
    return HttpResponse(json.dumps(shown), status=status, content_type=CONTENT_TYPE)


def resource(found: Any, context: Context, parameters: ResponseParameters[Any], status: int = 200) -> HttpResponse:
    """Return a resource as an answer, with its address and version."""
    answer = told(found.model_dump(scim_ctx=context, response_parameters=parameters))
    answer.status_code = status
    answer.headers["ETag"], answer.headers["Location"] = found.meta.version, found.meta.location
    return answer
