"""The data plane's own HTTP/1.1 client: one pool per endpoint, exact deadlines, instant cancel. Knows bytes and headers, not vendors."""

import asyncio
from typing import Self

import aiofastnet
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from gateway.errors import UpstreamFault
from gateway.plane.endpoint import Endpoint, endpoint_of, reach, tls_context
from gateway.plane.inflate import Inflater, inflater_for
from gateway.terms import Body, Deadlines, Frozen, Header, Upload

__all__ = ["Client", "Endpoint", "Exchange", "Limits", "endpoint_of"]

SWEEP_S = 0.05  # deadlines are kept to this grain; one timer per client instead of several per call
REST_S = 1.0  # the sweeper's pace while connections only rest in the pool
STALE_S = 2.0  # a pooled connection the vendor had already closed shows it within a round trip; later losses are the vendor's
JOIN_BYTES = 65_536  # below this a request is copied into one write, above it the body is written on its own

HEAD, BATCH, WHOLE = 0, 1, 2  # what the waiting task wants: the answer's head, any bytes, or all of them


class Limits(Frozen, frozen=True):
    """How much an answer may make this process hold, in bytes; `rest_ms` is how long an idle connection is kept."""

    header_bytes: int = 65_536
    buffer_bytes: int = 262_144
    body_bytes: int = 67_108_864
    decoded_bytes: int = 67_108_864
    rest_ms: int = 30_000


class Connection(asyncio.Protocol):
    """One socket to the endpoint: parses one answer at a time. Owned by its Client; an Exchange borrows it for one call."""

    __slots__ = (
        "_ends_at",
        "_first_byte_s",
        "_head_only",
        "_headers",
        "_idle_s",
        "_interim",
        "_limits",
        "_mark_bytes",
        "_parser",
        "_paused",
        "_pool",
        "_quiet_since",
        "_raw_bytes",
        "_room",
        "_stirred",
        "_transport",
        "_waiter",
        "_want",
        "busy",
        "complete",
        "fault",
        "headers",
        "keep",
        "on_body",
        "parts",
        "resting_since",
        "status",
    )

    def __init__(self, pool: "Client") -> None:
        self._pool = pool
        self._limits = pool.limits
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.parts: list[bytes] = []
        self.on_body = self.parts.append  # straight into the list: no Python frame per piece of body
        self.busy = False
        self._room = asyncio.Event()
        self._room.set()
        self.resting_since = 0.0
        self._parser: HttpResponseParser | None = HttpResponseParser(self)

    @property
    def usable(self) -> bool:
        """Whether a request can still be written."""
        return self._transport is not None and not self._transport.is_closing()

    def start(self, head: bytes, body: Body, deadlines: Deadlines, now: float, ends_at: float) -> None:
        """Write a request and make ready for its answer; `now` and `ends_at` are seconds of the loop's clock."""
        transport = self._transport
        if transport is None:  # lost between the look and the write: the caller of `start` sees an ordinary reset
            raise UpstreamFault("reset", "the connection was lost before the request", sent=False)
        self._head_only = head.startswith(b"HEAD ")
        self._headers: list[Header] = []
        self.headers = self._headers
        self.status = 0
        self._interim = self._paused = self._stirred = self.keep = self.complete = False
        self.fault: tuple[str, str] | None = None
        self._raw_bytes = self._mark_bytes = 0
        self._want = HEAD
        self._first_byte_s = deadlines.first_byte_ms / 1000
        self._idle_s = deadlines.idle_ms / 1000
        self._ends_at = ends_at
        self._quiet_since = now
        self.busy = True
        if body or not head.startswith((b"GET ", b"HEAD ")):
            head += b"content-length: %d\r\n\r\n" % len(body)
        else:
            head += b"\r\n"
        if not isinstance(body, bytes):
            transport.write(head)  # `pour` sends the rest
        elif len(body) < JOIN_BYTES:
            transport.write(head + body)
        else:
            transport.writelines((head, body))

    async def pour(self, upload: Upload) -> None:
        """Write an upload as fast as the vendor takes it, until all is written or the vendor has answered."""
        blocks = upload.blocks()
        while block := await self._pool.loop.run_in_executor(None, next, blocks, b""):
            if self.status or self.fault is not None or self._transport is None:
                # it answered without the rest
                self.keep = False
                return
            self._transport.write(block)
            # what the vendor takes is a sign of life
            self._stirred = True
            await self._room.wait()

    def wait(self, want: int) -> "asyncio.Future[None]":
        """Return a future that is done when what is wanted has arrived, or the connection has failed."""
        self._want = want
        waiter = self._waiter = self._pool.loop.create_future()
        return waiter

    def take(self) -> bytes:
        """Return every body byte that has arrived and let the socket be read again if it was held back."""
        parts = self.parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._mark_bytes = self._raw_bytes
        if self._paused:
            self._paused = False
            if self._transport is not None:
                self._transport.resume_reading()
        return data

    def release(self) -> None:
        """End the call: back to the pool if the answer is complete and the vendor keeps the connection, else abort at once."""
        self.busy = False
        self._wake()
        self.parts.clear()
        self.headers = self._headers = []
        if self.complete and self.keep and self.fault is None and self.usable:
            if self._paused and self._transport is not None:
                self._transport.resume_reading()
            self._pool.rest(self)
        else:
            self._pool.forget(self)
            self.abort()

    def abort(self) -> None:
        """Drop the socket without waiting for anything."""
        if self._transport is not None:
            self._transport.abort()

    def check(self, now: float) -> None:
        """Fail the call if one of its deadlines has passed; called by the sweeper."""
        if self.complete or self.fault is not None:
            return
        if self._stirred or self._paused:  # held back by our own reader is not the vendor's silence
            self._stirred = False
            self._quiet_since = now
        if now >= self._ends_at:
            self._fail("total_timeout", "the call's total time is used up")
        elif self.status == 0:
            if now - self._quiet_since >= self._first_byte_s:
                self._fail("first_byte_timeout", f"no answer within {self._first_byte_s:g} s")
        elif now - self._quiet_since >= self._idle_s:
            self._fail("idle_timeout", f"the answer stood still for {self._idle_s:g} s")

    # ---- called by the loop ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Parse what has come and wake the waiting task if it is what that task wants."""
        parser = self._parser
        if not self.busy or parser is None:
            self._pool.forget(self)  # bytes nobody asked for: the next answer could not be trusted
            self.abort()
            return
        self._stirred = True
        self._raw_bytes += len(data)
        try:
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self.keep = False
            if not self.complete:
                self._fail("protocol", f"not an HTTP answer: {error}")
            elif self._transport is not None:
                self._transport.abort()
        held_bytes = self._raw_bytes - self._mark_bytes
        if held_bytes > self._limits.header_bytes:
            self._bound(held_bytes)
        if self._waiter is not None:
            want = self._want
            if self.complete or (self.status if want == HEAD else self.parts and (want == BATCH or self._paused)):
                self._wake()

    def pause_writing(self) -> None:
        """Let an upload wait while the socket is full."""
        self._room.clear()

    def resume_writing(self) -> None:
        """Let an upload go on."""
        self._room.set()

    def connection_lost(self, error: Exception | None) -> None:
        """Settle the answer: complete if its end was to be the end of the connection, else reset."""
        self._transport = None
        self._room.set()
        self._parser = None  # the parser holds our methods: a cycle
        if not self.busy:
            self._pool.forget(self)
        elif not self.complete:
            if self.status and error is None and not any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers):
                self.complete = True
                self._wake()
            else:
                self._fail(
                    "reset",
                    "the connection was lost in the middle of the answer" if self.status else "the connection was lost before the answer",
                )

    # ---- called by the parser ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Stop the parser if a second answer follows the one that was asked for."""
        if self.complete:
            raise ValueError("bytes after the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers land in a list nobody reads."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Keep the status; interim answers are dropped, an answer to HEAD ends here."""
        parser = self._parser
        if parser is None:
            return
        status = parser.get_status_code()
        headers = self._headers
        self._headers = []
        if status < 200:
            self._interim = True
            return
        self.headers = headers
        self.status = status
        self.keep = parser.should_keep_alive()  # later it is always False
        if not self._room.is_set():  # the rest of an upload is not wanted any more
            self._room.set()
        if self._head_only:
            self.complete = True
            raise ValueError("an answer to HEAD has no body")

    def on_message_complete(self) -> None:
        """Mark the answer complete."""
        if self._interim:
            self._interim = False
        else:
            self.complete = True

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _bound(self, held_bytes: int) -> None:
        """Keep what is held within the limits: refuse a huge head or endless framing, hold the socket back when the reader is slow."""
        if self.fault is not None:
            return
        limits = self._limits
        if not self._mark_bytes and (
            not self.status or sum(len(name) + len(value) + 4 for name, value in self.headers) > limits.header_bytes
        ):
            self.status = 0  # such a head is never handed out
            self._fail("too_large", f"the answer's headers exceed {limits.header_bytes} bytes")
        elif held_bytes > limits.buffer_bytes and not self._paused and not self.complete:
            if not self.parts:
                self._fail("too_large", "the answer's framing exceeds its content")
            elif self._transport is not None:
                self._paused = True
                self._transport.pause_reading()

    def _fail(self, kind: str, message: str) -> None:
        """Record the fault, drop the socket and wake the waiting task. Kept as words: a kept exception would tie a cycle."""
        if self.fault is None:
            self.fault = (kind, message)
        self.keep = False
        self.abort()
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)


class Exchange:
    """One call's answer: status and headers are in, the body is read by `read` or `chunks`, and `close` must always be called."""

    __slots__ = ("_connection", "_inflater", "_limits", "_pieces", "_seen_bytes", "headers", "status")

    def __init__(self, connection: Connection, limits: Limits) -> None:
        self.status: int = connection.status
        self.headers: list[Header] = connection.headers
        self._connection: Connection | None = connection
        self._limits = limits
        self._seen_bytes = 0
        self._inflater: Inflater | None = None
        for name, value in self.headers:
            if name == b"content-encoding":
                self._inflater = inflater_for(value, limits.decoded_bytes)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def chunks(self) -> bytes:
        """Return everything that has arrived since the last call, waiting for at least one byte; b"" is the end.

        Raises UpstreamFault reset, idle_timeout, total_timeout, protocol or too_large, after what had arrived before was returned.
        A cancelled wait loses nothing and can be repeated.
        """
        return await self._next(BATCH)

    async def read(self, limit_bytes: int = 0) -> bytes:
        """Return the whole body, decoded; raises UpstreamFault as `chunks`, too_large past `limit_bytes` (0: the client's limit)."""
        limit_bytes = min(limit_bytes or self._limits.body_bytes, self._limits.body_bytes)
        connection = self._connection
        if connection is not None and connection.complete and self._inflater is None and connection.fault is None:
            data = connection.take() if connection.parts else b""
            if len(data) > limit_bytes:
                raise UpstreamFault("too_large", f"the answer exceeds {limit_bytes} bytes", sent=True)
            return data
        for name, value in self.headers:
            if name == b"content-length" and int(value) > limit_bytes and self.status not in (204, 304):
                raise UpstreamFault("too_large", f"the answer exceeds {limit_bytes} bytes", sent=True)
        pieces: list[bytes] = []
        self._pieces = pieces
        left_bytes = limit_bytes
        while piece := await self._next(WHOLE):
            left_bytes -= len(piece)
            if left_bytes < 0:
                raise UpstreamFault("too_large", f"the answer exceeds {limit_bytes} bytes", sent=True)
            pieces.append(piece)
        return b"".join(pieces)

    def heard(self) -> tuple[bytes, int]:
        """Return what came of a body that `read` did not finish, b"" if it is compressed, and its bytes as they came; to be asked before `close`."""
        connection = self._connection
        rest = b"".join(connection.parts) if connection is not None else b""
        if self._inflater is not None:
            return b"", self._seen_bytes + len(rest)
        body = b"".join((*getattr(self, "_pieces", ()), rest))
        return body, len(body)

    def close(self) -> None:
        """Give the connection back if the answer is complete, else abort it now; safe to call twice and while another task waits."""
        connection = self._connection
        if connection is not None:
            self._connection = None
            connection.release()

    async def _next(self, want: int) -> bytes:
        while True:
            connection = self._connection
            if connection is None:
                raise UpstreamFault("reset", "the exchange was closed on this side", sent=True)
            if connection.parts and (want == BATCH or connection.complete or connection.fault is None):
                data = connection.take()
                self._seen_bytes += len(data)
                if self._seen_bytes > self._limits.body_bytes:
                    raise UpstreamFault("too_large", f"the answer exceeds {self._limits.body_bytes} bytes", sent=True)
                if self._inflater is not None:
                    data = self._inflater.feed(data)
                if data:
                    return data
            elif connection.fault is not None:
                raise UpstreamFault(*connection.fault, sent=True)
            elif connection.complete:
                if self._inflater is not None and self._seen_bytes:
                    self._inflater.finish()
                return b""
            else:
                await connection.wait(want)


class Client:
    """A pool of connections to one endpoint, bound to the running loop. The freshest is used first, so that spare ones retire."""

    def __init__(self, endpoint: Endpoint, *, limits: Limits | None = None, max_idle: int = 256) -> None:
        """Open nothing yet; raises ssl.SSLError on a CA that is no PEM and RuntimeError without a running loop."""
        self.endpoint = endpoint
        self.limits = limits or Limits()
        self.loop = asyncio.get_running_loop()
        self.is_closed = False
        self._max_idle = max_idle
        self._tls = tls_context(endpoint.ca_pem) if endpoint.scheme == "https" else None
        self._idle: list[Connection] = []
        self._live: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._resting = False

    @property
    def idle(self) -> int:
        """Connections at rest in the pool."""
        return len(self._idle)

    @property
    def in_use(self) -> int:
        """Connections carrying a call."""
        return len(self._live)

    async def open(self, head: bytes, body: Body, deadlines: Deadlines | None = None) -> Exchange:
        """Send a request and return once the answer's status and headers are in.

        `head` is the request line and headers, each ended by CRLF, without content-length and the blank line. Redirects are
        returned as they are.
        Raises UpstreamFault; its `sent` says whether the vendor may have seen the request.
        A pooled connection that the vendor had already closed is replaced once by a fresh one.
        """
        deadlines = deadlines or self.endpoint.deadlines
        now = self.loop.time()
        ends_at = now + deadlines.total_ms / 1000
        while self._idle:
            connection = self._idle.pop()
            if not connection.usable:
                continue
            if (exchange := await self._ask(connection, head, body, deadlines, now, ends_at)) is not None:
                return exchange
            break
        connection = await self._connect(deadlines, ends_at)
        exchange = await self._ask(connection, head, body, deadlines, 0.0, ends_at)
        if exchange is None:  # only a pooled connection can be stale
            raise UpstreamFault("reset", "the connection was lost before the answer", sent=True)
        return exchange

    async def aclose(self) -> None:
        """Close idle connections now; those in use close when their exchange ends."""
        self.is_closed = True
        while self._idle:
            self._idle.pop().abort()
        if self._timer is not None and not self._live:
            self._timer.cancel()
            self._timer = None

    # ---- called by connections ---------------------------------------------------------------------------------------

    def rest(self, connection: Connection) -> None:
        """Take a connection back into the pool, or close it if the pool is full or closed."""
        self._live.discard(connection)
        if self.is_closed or len(self._idle) >= self._max_idle:
            connection.abort()
            return
        connection.resting_since = self.loop.time()
        self._idle.append(connection)

    def forget(self, connection: Connection) -> None:
        """Drop a connection from the books."""
        self._live.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    # ---- inside ------------------------------------------------------------------------------------------------------

    async def _ask(
        self, connection: Connection, head: bytes, body: Body, deadlines: Deadlines, pooled_at: float, ends_at: float
    ) -> Exchange | None:
        """Return the exchange, or None if a pooled connection (`pooled_at` > 0) proved stale; raises UpstreamFault."""
        connection.start(head, body, deadlines, pooled_at or self.loop.time(), ends_at)
        self._live.add(connection)
        if self._timer is None or self._resting:
            self._schedule(SWEEP_S)
        answered = False
        try:
            if not isinstance(body, bytes):
                await connection.pour(body)
            if not connection.status and connection.fault is None:
                await connection.wait(HEAD)
            if connection.status:
                exchange = Exchange(connection, self.limits)
                answered = True
                return exchange
        finally:
            if not answered:
                fault = connection.fault
                connection.release()
        kind, message = fault or ("reset", "the connection was closed on this side")
        if pooled_at and kind == "reset" and self.loop.time() - pooled_at < STALE_S:
            return None
        raise UpstreamFault(kind, message, sent=True)

    async def _connect(self, deadlines: Deadlines, ends_at: float) -> Connection:
        """Return a new connection to a checked address; raises UpstreamFault, nothing having been sent."""
        return await reach(self.loop, self.endpoint, deadlines, ends_at, self._connect_to)

    async def _connect_to(self, address: str) -> Connection:
        if self._tls is None:
            _, connection = await self.loop.create_connection(lambda: Connection(self), address, self.endpoint.port)
        else:
            _, connection = await aiofastnet.create_connection(
                self.loop, lambda: Connection(self), address, self.endpoint.port, ssl=self._tls, server_hostname=self.endpoint.host
            )
        return connection

    def _schedule(self, delay_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._resting = delay_s == REST_S
        self._timer = self.loop.call_later(delay_s, self._sweep)

    def _sweep(self) -> None:
        """Enforce the deadlines of calls and retire connections that have rested too long; stops itself when there is nothing to watch."""
        self._timer = None
        now = self.loop.time()
        for connection in tuple(self._live):
            connection.check(now)
        rested_since = now - self.limits.rest_ms / 1000
        while self._idle and self._idle[0].resting_since < rested_since:  # oldest first: the pool is used from the other end
            self._idle.pop(0).abort()
        if self._live:
            self._schedule(SWEEP_S)
        elif self._idle:
            self._schedule(REST_S)
