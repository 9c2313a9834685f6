"""Answers written straight to uvicorn's connection, as one piece of bytes. Leans on uvicorn's private parts, and knows nothing else.

uvicorn checks every header of every answer with two regular expressions, and we send fourteen; here all headers are checked at once.
Together with the rest of that commit it took a call from 163 to 148 µs. Servers other than our worker get plain ASGI: see consumers.Reply.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from gateway.terms import Header

EXTENSION = "sgw.connection"


class UnsafeHeader(ValueError):
    """A header holds a line break or a control character that would change the message around it."""


def head_of(status: int, headers: list[Header]) -> bytes:
    """Return the status line and headers, without the blank line; names must be lower-case. Raises UnsafeHeader."""
    lines = b"".join([b"%b: %b\r\n" % header for header in headers])
    # as many line breaks as lines: none can be hidden in a name or value
    if not lines.count(b"\r") == lines.count(b"\n") == len(headers) or b"\0" in lines:
        raise UnsafeHeader("a header holds a line break")
    return STATUS_LINE[status] + lines


class Connection:
    """The caller's connection for one answer; leaves uvicorn's request in progress exactly as its own `send` would."""

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    async def ready(self) -> bool:
        """Wait until the caller takes more bytes; False when they are gone."""
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        return not cycle.disconnected

    def take_body(self) -> bytes | None:
        """Return the request's body if all of it has arrived, else None: then it is read as ASGI says."""
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected:
            return None
        body, cycle.body = bytes(cycle.body), bytearray()
        cycle.message_event.clear()
        cycle.flow.resume_reading()
        return body

    @property
    def is_open(self) -> bool:
        """Whether bytes can be written at once."""
        cycle = self._cycle
        return not (cycle.flow.write_paused or cycle.disconnected)

    def whole(self, status: int, headers: list[Header], body: bytes) -> None:
        """Write a whole answer to a request that was not HEAD; headers must tell the content-length. Raises UnsafeHeader."""
        cycle = self._cycle
        head = self._begin(status, headers)
        cycle.transport.write(head + b"\r\n" + body)
        self._complete()

    def start(self, status: int, headers: list[Header]) -> None:
        """Write the head of an answer (not 204 or 304) whose body follows in chunks. Raises UnsafeHeader."""
        cycle = self._cycle
        head = self._begin(status, headers)
        cycle.chunked_encoding = True
        cycle.transport.write(head + b"transfer-encoding: chunked\r\n\r\n")

    def write(self, data: bytes) -> None:
        """Write a chunk; nothing is nothing. Raises RuntimeError after the end."""
        if self._cycle.response_complete:
            raise RuntimeError("the answer has ended already")
        if data:
            self._cycle.transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self, data: bytes) -> None:
        """Write the last chunk and the end of the answer. Raises RuntimeError after the end."""
        if self._cycle.response_complete:
            raise RuntimeError("the answer has ended already")
        self._cycle.transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n")
        self._complete()

    def _begin(self, status: int, headers: list[Header]) -> bytes:
        cycle = self._cycle
        if cycle.response_started:
            raise RuntimeError("the answer has begun already")
        head = head_of(status, [*cycle.default_headers, *headers])
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        if b"\r\nconnection: close\r\n" in head:
            cycle.keep_alive = False
        elif not cycle.keep_alive:
            head += b"connection: close\r\n"
        return head

    def _complete(self) -> None:
        cycle = self._cycle
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


def take_connection(scope: Any) -> Connection | None:
    """Take the connection our own worker put into an ASGI scope; None under any other server.

    Taken out, because scope and connection hold each other: otherwise every call would be left to the garbage collector.
    """
    extensions = scope.get("extensions")
    return extensions.pop(EXTENSION, None) if extensions else None
