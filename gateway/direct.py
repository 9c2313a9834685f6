"""Requests taken from uvicorn's connection and answers written to it without ASGI between. Leans on uvicorn's private parts, and knows nothing else.

uvicorn makes a scope, an event and a bound `receive` for every request and checks every header of every answer with two regular expressions. A request
that has come whole needs none of the first, and our answers' lines are checked where they are made. Servers other than our worker get plain ASGI.
"""

import asyncio
from functools import lru_cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.wire.lines import lines

EXTENSION = "sgw.connection"
CLOSE = b"connection: close\r\n"

# what a server says in every answer, the date: the same for a second
own_lines = lru_cache(8)(lines)


class Nobody:
    """Stands where uvicorn rings an event that nobody waits for."""

    def set(self) -> None:
        """Ring."""


class Turn(RequestResponseCycle):
    """A POST request that has come whole, without a query and without `expect`; uvicorn's own `send` and our `receive` work on it as on any other."""

    scope: Any = {"method": "POST"}
    access_log = waiting_for_100_continue = more_body = disconnected = response_started = response_complete = False
    chunked_encoding: bool | None = None
    expected_content_length = 0
    message_event: Any = Nobody()
    task: asyncio.Task[object] | None = None

    def __init__(self, protocol: HttpToolsProtocol, body: bytes, version: str, keep_alive: bool) -> None:
        self.protocol = protocol
        self.loop, self.transport, self.flow, self.default_headers = protocol.loop, protocol.transport, protocol.flow, protocol.server_state.default_headers
        self.path, self.headers, self.client = protocol.url, protocol.headers, protocol.client
        self.body, self.version, self.keep_alive = body, version, keep_alive  # type: ignore[assignment]  # uvicorn collects into a bytearray

    def on_response(self) -> None:  # uvicorn keeps a function here
        """Tell the protocol that the answer is complete."""
        self.protocol.on_response_complete()

    async def receive(self) -> Any:
        """Wait until the caller has left or been answered."""
        if not (self.disconnected or self.response_complete):
            self.flow.resume_reading()
            self.message_event = asyncio.Event()
            await self.message_event.wait()
        return {"type": "http.disconnect"}

    def begin(self, task: asyncio.Task[object]) -> None:
        """Let the server wait for the task that serves this request when it stops."""
        self.task = task
        self.protocol.tasks.add(task)  # type: ignore[arg-type]

    def leave(self) -> None:
        """End the task's part: an answer that was not completed ends with its connection."""
        self.protocol.tasks.discard(self.task)
        # it holds the frame that holds us
        self.task = None
        if not (self.response_complete or self.disconnected):
            self.transport.close()


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

    def whole(self, status: int, head: bytes, body: bytes) -> None:
        """Write a whole answer to a request that was not HEAD; the head's lines tell the content-length, and `connection: close`, if there, comes last."""
        head = self._begin(status, head)
        self._cycle.transport.write(head + b"\r\n" + body)
        self._complete()

    def start(self, status: int, head: bytes) -> None:
        """Write the head of an answer (not 204 or 304) whose body follows in chunks."""
        head = self._begin(status, head)
        self._cycle.chunked_encoding = True
        self._cycle.transport.write(head + b"transfer-encoding: chunked\r\n\r\n")

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

    def _begin(self, status: int, head: bytes) -> bytes:
        cycle = self._cycle
        if cycle.response_started:
            raise RuntimeError("the answer has begun already")
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        if head.endswith(CLOSE):
            cycle.keep_alive = False
        elif not cycle.keep_alive:
            head += CLOSE
        return STATUS_LINE[status] + own_lines(tuple(cycle.default_headers)) + head

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
