"""What callers are told beside answers: prepared header lines, what a vendor refuses, the last events of streams."""

from email.utils import formatdate
from urllib.parse import quote

from gateway.errors import Refusal, UpstreamFailed, UpstreamFault, UpstreamTimeout
from gateway.terms import Model
from gateway.wire import Wire, by_endpoint, shelf
from gateway.wire.lines import lines

JSON = b"content-type: application/json\r\n"
SSE = b"content-type: text/event-stream; charset=utf-8\r\n"
SAFE = b"x-content-type-options: nosniff\r\ncontent-security-policy: sandbox\r\ncache-control: no-store\r\n"
CACHE_OFF = b"x-sgw-cache: off\r\n"
# of streams that are no events of a browser's kind
STREAM_LINES = {wire.stream_type: lines([(b"content-type", wire.stream_type)]) for wire in shelf().values() if wire.stream_type != b"text/event-stream"}
# endpoints whose waiting streams get nothing
SILENT = frozenset(name for name, wire in by_endpoint().items() if wire.callers is not None and not wire.callers.keep_alive)


class VendorError(Refusal):
    """A vendor's 4xx about the request itself, passed on with its own message."""

    kind = "invalid_request_error"

    def __init__(self, message: str, status: int, code: str, param: str | None) -> None:
        super().__init__(message, param=param, detail={"from_provider": True})
        self.status, self.code = status, code


def stream_line(wire: Wire) -> bytes:
    """Return the header line that says of what type a wire's streams are."""
    return STREAM_LINES.get(wire.stream_type, SSE)


def keep_alive(endpoint: str) -> bytes:
    """Return what a waiting stream of an endpoint gets."""
    client = by_endpoint()[endpoint].callers
    assert client is not None
    return client.keep_alive


def error_event(refusal: Refusal, endpoint: str) -> bytes:
    """Return a refusal as the last event of a stream, in the shape of the wire that is spoken at an endpoint."""
    client = by_endpoint()[endpoint].callers
    assert client is not None
    return client.error_event(refusal.status, refusal.code, refusal.kind, refusal.message, refusal.param, refusal.detail)


def deprecation(model: Model) -> bytes:
    """Return the header lines of a model that will be served no more (RFC 9745, RFC 8594)."""
    told = [(b"deprecation", b"@%d" % model.deprecated_at_s)]
    if model.retires_at_s:
        told.append((b"sunset", formatdate(model.retires_at_s, usegmt=True).encode()))
    if model.successor:
        told.append((b"link", f'</v1/models/{quote(model.successor, safe="")}>; rel="successor-version"'.encode()))
    return lines(told)


def refusal_of(fault: UpstreamFault) -> Refusal:
    """Return what a caller is told about a fault in mid-stream."""
    if fault.kind.endswith("_timeout"):
        return UpstreamTimeout("The provider stopped sending in the middle of the answer. Try again.")
    return UpstreamFailed("The provider's answer broke off or was damaged. Try again.")
