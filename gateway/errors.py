"""The tree of refusals. Each says status, code, whether a retry can help and whether it is billable; the door turns it into a response."""

from collections.abc import Mapping


class Refusal(Exception):
    """A call that ends here, with a message that tells the caller what to do next."""

    status = 500
    code = "internal_error"
    kind = "api_error"
    retryable = False
    billable = False
    # the kind of request, accounts.grants knows them, that would let the call pass, and which details its form is filled in with
    remedy = ""
    remedy_fields: tuple[str, ...] = ()

    def __init__(self, message: str, *, param: str | None = None, retry_after_s: int | None = None, detail: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.detail = dict(detail or {})


class BadRequest(Refusal):
    status, code, kind = 400, "invalid_request", "invalid_request_error"


class UnsupportedField(BadRequest):
    code = "unsupported_field"


class BadKey(Refusal):
    status, code, kind = 401, "invalid_api_key", "authentication_error"


class KeyExpired(BadKey):
    code = "key_expired"


class KeyRevoked(BadKey):
    code = "key_revoked"


class WrongCredentialKind(BadKey):
    code = "wrong_credential_kind"


class OverBudget(Refusal):
    """A budget above the call has nothing left; `detail` says which, its limit, what is spent and held, and when it resets (Unix seconds)."""

    status, code, kind = 402, "budget_exceeded", "insufficient_quota"
    remedy, remedy_fields = "credit", ("budget",)

    def __init__(self, name: str, reason: str, detail: Mapping[str, object]) -> None:
        held = reason == "held"
        words = "is held by calls under way. Try again in a moment" if held else "is used up" if reason != "frozen" else "is frozen"
        super().__init__(f"The budget {name!r} {words}. Ask its owner for more.", retry_after_s=1 if held else None, detail=detail)
        self.retryable = held


class Forbidden(Refusal):
    status, kind = 403, "permission_error"


class NotAllowed(Forbidden):
    code, remedy, remedy_fields = "model_not_allowed", "model", ("key", "model")


class ProjectNotAllowed(Forbidden):
    code, remedy = "project_not_allowed", "join_project"


class KeySuspended(Forbidden):
    code = "key_suspended"


class IpNotAllowed(Forbidden):
    code = "ip_not_allowed"


class ProjectSuspended(Forbidden):
    code = "project_suspended"


class DataClassNotAllowed(Forbidden):
    code, remedy = "data_class_not_allowed", "data_class"


class PriceUnknown(Forbidden):
    code = "price_unknown"


class NoSuchModel(Refusal):
    status, code, kind = 404, "model_not_found", "invalid_request_error"


class UnknownEndpoint(Refusal):
    status, code, kind = 404, "unknown_endpoint", "invalid_request_error"


class MethodNotAllowed(Refusal):
    """The path is served, by the methods that are `allowed` alone."""

    status, code, kind = 405, "method_not_allowed", "invalid_request_error"

    def __init__(self, *allowed: str, place: str = "here") -> None:
        *others, last = allowed
        super().__init__(f"Use {', '.join(others)} or {last} {place}." if others else f"Use {last} {place}.")
        self.allowed = allowed


class SlowSender(Refusal):
    status, code, kind, retryable = 408, "request_timeout", "invalid_request_error", True


class SessionExpired(Refusal):
    status, code, kind, retryable = 408, "session_expired", "invalid_request_error", True


class TooLarge(Refusal):
    status, code, kind = 413, "request_too_large", "invalid_request_error"


class WrongContentType(Refusal):
    status, code, kind = 415, "unsupported_media_type", "invalid_request_error"


class TooFast(Refusal):
    status, code, kind, retryable = 429, "rate_limited", "rate_limit_error", True


class UpstreamFailed(Refusal):
    status, code, kind, retryable = 502, "upstream_error", "api_error", True


class Overloaded(Refusal):
    status, code, kind, retryable = 503, "overloaded", "overloaded_error", True


class DependencyUnavailable(Refusal):
    status, code, kind, retryable = 503, "dependency_unavailable", "api_error", True


class UpstreamTimeout(Refusal):
    status, code, kind, retryable = 504, "upstream_timeout", "timeout_error", True


class LoopDetected(Refusal):
    status, code, kind = 508, "loop_detected", "invalid_request_error"


class UpstreamFault(Exception):
    """What went wrong with an upstream exchange below the level of an HTTP answer.

    `kind` is one of connect, tls, address_refused, reset, connect_timeout, first_byte_timeout, idle_timeout,
    total_timeout, protocol, too_large, redirect. `sent` is True once any byte of the request may have reached the vendor.
    """

    def __init__(self, kind: str, message: str, *, sent: bool) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message
        self.sent = sent
