"""Every error of the management API as application/problem+json (RFC 9457), saying what to do. Never HTML."""

from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from accounts.requests.asking import OutOfTurn
from accounts.requests.deciding import Stale
from accounts.signin.stepup import StepUpNeeded

log = structlog.get_logger(__name__)
MEDIA_TYPE = "application/problem+json"
# Codes of ours for what the framework raises itself.
CODES = {"parse_error": "invalid_json", "not_authenticated": "not_authenticated", "permission_denied": "not_allowed", "invalid": "invalid_request"}
ADVICE = {
    "not_found": "There is no such object, or it is not yours to see. Check the id and the path; paths have no trailing slash.",
    "not_authenticated": "Send Authorization: Bearer sgw_sa_<id>_<secret>, or sign in to the portal.",
}


class Conflict(exceptions.APIException):
    """The state of the object does not allow it now."""

    status_code, default_code = status.HTTP_409_CONFLICT, "conflict"


class ChangedMeanwhile(exceptions.APIException):
    """`If-Match` names another version than the present one."""

    status_code, default_code = status.HTTP_412_PRECONDITION_FAILED, "changed_meanwhile"
    default_detail = "The object has changed since you read it. Read it again and repeat the change with the new ETag."


class TooLarge(exceptions.APIException):
    """The body is longer than the API reads."""

    status_code, default_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE, "request_too_large"


class DatabaseAway(exceptions.APIException):
    """The database is gone, too busy, or in the middle of a restart; `wait` is for Retry-After, in seconds."""

    status_code, default_code, wait = status.HTTP_503_SERVICE_UNAVAILABLE, "dependency_unavailable", 1
    default_detail = "The database cannot be asked at the moment. Repeat the request in a moment, with the same Idempotency-Key."


class KeyReused(exceptions.APIException):
    """An idempotency key came with another request than before."""

    status_code, default_code = status.HTTP_422_UNPROCESSABLE_ENTITY, "idempotency_key_reused"
    default_detail = "This Idempotency-Key was used for another request. Use a new key for a new request."


def answer(exc: Exception, context: dict[str, Any]) -> Response:
    """Return the problem of an exception; what nobody foresaw is logged whole and told as 500 without details."""
    if isinstance(exc, Stale):
        exc = ChangedMeanwhile(exc.messages[0])
    elif isinstance(exc, OutOfTurn):
        exc = Conflict(exc.messages[0])
    elif isinstance(exc, DjangoValidationError):
        exc = _refused_by_an_action(exc)
    elif isinstance(exc, RequestDataTooBig):
        exc = TooLarge("The body is too long.")
    elif isinstance(exc, OperationalError | InterfaceError):
        log.error("api_without_database", reason=type(exc).__name__, error=str(exc))
        exc = DatabaseAway()
    elif isinstance(exc, IntegrityError):
        log.info("api_conflict", error=str(exc))
        exc = Conflict("Another object stands in the way, made at the same moment or depending on this one. Read the list again.")
    found = exception_handler(exc, context)
    if found is None:
        log.error("api_failed", exc_info=exc, database=isinstance(exc, DatabaseError))
        return problem(500, "internal_error", "The gateway failed, and its log says how. Repeat the request with the same Idempotency-Key.")
    code, detail, errors = _told(exc, found.data)
    made = problem(found.status_code, code, detail, errors)
    for name in ("WWW-Authenticate", "Retry-After", "Allow"):
        if name in found.headers:
            made.headers[name] = found.headers[name]
    return made


def problem(status_code: int, code: str, detail: str, errors: list[dict[str, str]] | None = None) -> Response:
    """Return one problem; `errors` names fields."""
    title = code.replace("_", " ").capitalize()
    body: dict[str, Any] = {"type": f"urn:symbiosis:problem:{code}", "title": title, "status": status_code, "code": code, "detail": detail}
    if errors:
        body["errors"] = errors
    return Response(body, status_code, headers={"Cache-Control": "no-store"}, content_type=MEDIA_TYPE)


def _refused_by_an_action(refusal: DjangoValidationError) -> exceptions.ValidationError:
    if hasattr(refusal, "error_dict"):
        return exceptions.ValidationError({"" if name == "__all__" else name: said for name, said in refusal.message_dict.items()})
    return exceptions.ValidationError({"": refusal.messages})


def _told(exc: Exception, data: Any) -> tuple[str, str, list[dict[str, str]]]:
    if isinstance(exc, exceptions.ValidationError):
        errors = [{"field": name, "detail": said} for name, said in _flat("", data)]
        detail = " ".join(f"{error['field']}: {error['detail']}" if error["field"] else error["detail"] for error in errors)
        return "invalid_request", detail, [error for error in errors if error["field"]]
    if isinstance(exc, Http404):
        return "not_found", ADVICE["not_found"], []
    if isinstance(exc, StepUpNeeded):
        return "step_up_required", str(exc), []
    if isinstance(exc, PermissionDenied):
        return "not_allowed", str(exc) or "You may not do this.", []
    assert isinstance(exc, exceptions.APIException)
    code = str(exc.get_codes())
    code = CODES.get(code, code)
    return code, ADVICE.get(code, str(exc.detail)), []


def _flat(path: str, data: Any) -> list[tuple[str, str]]:
    """Return field paths with what is wrong there, one line each."""
    if isinstance(data, dict):
        return [pair for name, value in data.items() for pair in _flat("" if name in ("", "non_field_errors") else f"{path}{name}.", value)]
    if isinstance(data, list) and any(isinstance(value, dict | list) for value in data):
        return [pair for number, value in enumerate(data) for pair in _flat(f"{path}{number}.", value)]
    said = data if isinstance(data, list) else [data]
    return [(path.rstrip("."), str(value)) for value in said]
