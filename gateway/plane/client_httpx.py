"""The second transport: the data plane client's interface on httpx, for egress proxies and TLS stacks the own client does not suit."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self

import httpx

from gateway.errors import UpstreamFault
from gateway.plane.client import Limits
from gateway.plane.endpoint import Endpoint, resolve, tls_context
from gateway.plane.inflate import Inflater, inflater_for
from gateway.terms import Body, Deadlines, Header, Upload


class HttpxExchange:
    """One call's answer over httpx; the same promises as `client.Exchange`."""

    __slots__ = (
        "_client",
        "_ends_at",
        "_finished",
        "_idle_s",
        "_inflater",
        "_iterator",
        "_limits",
        "_pieces",
        "_response",
        "_seen_bytes",
        "headers",
        "status",
    )

    def __init__(self, client: "HttpxClient", response: httpx.Response, deadlines: Deadlines, ends_at: float) -> None:
        self.status: int = response.status_code
        self.headers: list[Header] = [(name.lower(), value) for name, value in response.headers.raw]
        self._client = client
        self._limits = client.limits
        self._response: httpx.Response | None = response
        self._iterator = response.aiter_raw()
        self._idle_s = deadlines.idle_ms / 1000
        self._ends_at = ends_at
        self._seen_bytes = 0
        self._pieces: list[bytes] = []
        self._finished = False
        self._inflater: Inflater | None = None
        for name, value in self.headers:
            if name == b"content-encoding":
                self._inflater = inflater_for(value, client.limits.decoded_bytes)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def chunks(self) -> bytes:
        """Return the next bytes, b"" at the end; raises UpstreamFault as `client.Exchange.chunks`. A cancelled wait ends the answer."""
        while True:
            if self._response is None:
                raise UpstreamFault("reset", "the exchange was closed on this side", sent=True)
            if self._finished:
                return b""
            data = await self._more()
            self._seen_bytes += len(data)
            if self._seen_bytes > self._limits.body_bytes:
                raise UpstreamFault("too_large", f"the answer exceeds {self._limits.body_bytes} bytes", sent=True)
            if not data:
                self._finished = True
                if self._inflater is not None and self._seen_bytes:
                    self._inflater.finish()
                return b""
            if self._inflater is not None:
                data = self._inflater.feed(data)
            if data:
                return data

    async def read(self, limit_bytes: int = 0) -> bytes:
        """Return the whole body, decoded; raises UpstreamFault as `chunks`, too_large past `limit_bytes` (0: the client's limit)."""
        limit_bytes = min(limit_bytes or self._limits.body_bytes, self._limits.body_bytes)
        pieces = self._pieces
        left_bytes = limit_bytes
        while piece := await self.chunks():
            left_bytes -= len(piece)
            if left_bytes < 0:
                raise UpstreamFault("too_large", f"the answer exceeds {limit_bytes} bytes", sent=True)
            pieces.append(piece)
        return b"".join(pieces)

    def heard(self) -> tuple[bytes, int]:
        """Return what came of a body that `read` did not finish, b"" if it is compressed, and its bytes as they came; to be asked before `close`."""
        return b"" if self._inflater is not None else b"".join(self._pieces), self._seen_bytes

    def close(self) -> None:
        """Give the connection back if the answer was read to its end, else cut its socket now; safe to call twice."""
        response = self._response
        if response is None:
            return
        self._response = None
        if not self._finished:
            stream = response.extensions.get("network_stream")
            wire = stream.get_extra_info("socket") if stream is not None else None
            if wire is not None:
                try:
                    os_socket = socket.socket(fileno=os.dup(wire.fileno()))
                    with os_socket:
                        os_socket.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # already gone
        self._client.dispose(response)

    async def _more(self) -> bytes:
        """Return the next raw bytes within the idle and total deadlines."""
        left_s = self._ends_at - self._client.loop.time()
        try:
            async with asyncio.timeout(min(self._idle_s, left_s)):
                return await anext(self._iterator, b"")
        except TimeoutError:
            if left_s <= self._idle_s:
                raise UpstreamFault("total_timeout", "the call's total time is used up", sent=True) from None
            raise UpstreamFault("idle_timeout", f"the answer stood still for {self._idle_s:g} s", sent=True) from None
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise fault_of(error) from None


class LostAtRest(Exception):
    """A connection that had rested in the pool was gone before any byte of the answer; `fault` says so to the caller."""

    def __init__(self, fault: UpstreamFault) -> None:
        self.fault = fault


class Progress:
    """What httpcore reports of one request; its sending ends the time for connecting and begins that for the first byte."""

    __slots__ = ("_ends_at", "_first_byte_s", "_timeout", "is_reused", "is_sent")

    def __init__(self, timeout: asyncio.Timeout, first_byte_s: float, ends_at: float) -> None:
        self._timeout = timeout
        self.is_reused = True
        self.is_sent = False
        self._first_byte_s = first_byte_s
        self._ends_at = ends_at

    async def note(self, event: str, facts: Mapping[str, Any]) -> None:
        """Take one of httpcore's trace events."""
        if event == "connection.connect_tcp.started":
            self.is_reused = False
        elif event == "http11.send_request_headers.started" and facts["request"].method != b"CONNECT":
            self.is_sent = True
            self.wait_on()

    def wait_on(self) -> None:
        """Begin the time for the first byte anew."""
        self._timeout.reschedule(min(asyncio.get_running_loop().time() + self._first_byte_s, self._ends_at))


class Poured(httpx.AsyncByteStream):
    """An upload on its way; what the vendor takes of it is a sign of life."""

    def __init__(self, upload: Upload, progress: Progress) -> None:
        self._upload, self._progress = upload, progress

    async def __aiter__(self) -> AsyncIterator[bytes]:
        blocks = self._upload.blocks()
        while block := await asyncio.get_running_loop().run_in_executor(None, next, blocks, b""):
            yield block
            self._progress.wait_on()


class HttpxClient:
    """The own client's interface on `httpx.AsyncClient`. The checked address is the one connected to, unless `proxy`, an egress proxy's URL, connects."""

    def __init__(self, endpoint: Endpoint, *, limits: Limits | None = None, max_idle: int = 256, proxy: str = "") -> None:
        """Open nothing yet; raises ssl.SSLError on a CA that is no PEM and RuntimeError without a running loop."""
        self.endpoint = endpoint
        self.limits = limits or Limits()
        self.loop = asyncio.get_running_loop()
        self.is_closed = False
        self._in_use = 0
        self._proxied = bool(proxy)
        self._disposals: set[asyncio.Task[None]] = set()
        self._http = httpx.AsyncClient(
            verify=tls_context(endpoint.ca_pem) if endpoint.scheme == "https" else False,
            follow_redirects=False,
            trust_env=False,
            timeout=httpx.Timeout(None),  # every wait below has its own deadline
            proxy=proxy or None,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=max_idle, keepalive_expiry=self.limits.rest_ms / 1000),
        )

    @property
    def in_use(self) -> int:
        """Connections carrying a call."""
        return self._in_use

    async def open(self, head: bytes, body: Body, deadlines: Deadlines | None = None) -> HttpxExchange:
        """Send a request and return once status and headers are in; head, deadlines and faults as for `client.Client.open`."""
        deadlines = deadlines or self.endpoint.deadlines
        ends_at = self.loop.time() + deadlines.total_ms / 1000
        request_line, *lines = head.rstrip(b"\r\n").split(b"\r\n")
        method, target, _ = request_line.split(b" ", 2)
        headers = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
        address = await self._address(deadlines, ends_at)
        url = httpx.URL(scheme=self.endpoint.scheme, host=address, port=self.endpoint.port, raw_path=target)
        # not the client's build_request: it would add headers of httpx's own
        if not isinstance(body, bytes):
            headers.append((b"content-length", b"%d" % len(body)))
        request = httpx.Request(method.decode("ascii"), url, headers=headers, content=body if isinstance(body, bytes) and body else None)
        try:
            response = await self._send(request, body, deadlines, ends_at)
        except LostAtRest:
            try:
                response = await self._send(request, body, deadlines, ends_at)
            except LostAtRest as again:
                raise again.fault from None
        self._in_use += 1
        try:
            if sum(len(name) + len(value) + 4 for name, value in response.headers.raw) > self.limits.header_bytes:
                raise UpstreamFault("too_large", f"the answer's headers exceed {self.limits.header_bytes} bytes", sent=True)
            return HttpxExchange(self, response, deadlines, ends_at)
        except UpstreamFault:
            self.dispose(response)
            raise

    async def _send(self, request: httpx.Request, body: Body, deadlines: Deadlines, ends_at: float) -> httpx.Response:
        """Send once; raises UpstreamFault, or LostAtRest when a connection from the pool turned out to be gone."""
        timeout = asyncio.timeout_at(min(self.loop.time() + deadlines.connect_ms / 1000, ends_at))
        progress = Progress(timeout, deadlines.first_byte_ms / 1000, ends_at)
        request.extensions = {"sni_hostname": self.endpoint.host, "trace": progress.note}
        if not isinstance(body, bytes):
            request.stream = Poured(body, progress)
        try:
            async with timeout:
                return await self._http.send(request, stream=True)
        except TimeoutError:
            if timeout.when() == ends_at:
                raise UpstreamFault("total_timeout", "the call's total time is used up", sent=progress.is_sent) from None
            if progress.is_sent:
                raise UpstreamFault("first_byte_timeout", f"no answer within {deadlines.first_byte_ms / 1000:g} s", sent=True) from None
            raise UpstreamFault("connect_timeout", "no connection in time", sent=False) from None
        except (httpx.HTTPError, httpx.StreamError) as error:
            fault = fault_of(error)
            if fault.kind == "reset" and progress.is_reused:
                raise LostAtRest(fault) from None
            raise fault from None

    async def aclose(self) -> None:
        """Close idle connections now; those in use close when their exchange ends."""
        self.is_closed = True
        if not self._in_use:
            await self._http.aclose()

    def dispose(self, response: httpx.Response) -> None:
        """Close an answer in the background (httpx closes only asynchronously); called by its exchange."""
        self._in_use -= 1
        task = self.loop.create_task(self._close(response))
        self._disposals.add(task)
        task.add_done_callback(self._disposals.discard)

    async def _close(self, response: httpx.Response) -> None:
        await response.aclose()
        if self.is_closed and not self._in_use:
            await self._http.aclose()

    async def _address(self, deadlines: Deadlines, ends_at: float) -> str:
        """Return where to connect to: the first checked address, or the checked name where a proxy connects. Raises UpstreamFault, nothing sent."""
        try:
            async with asyncio.timeout(min(deadlines.connect_ms / 1000, ends_at - self.loop.time())):
                addresses = await resolve(self.loop, self.endpoint)
                # httpcore holds a certificate that comes through a proxy against this very host
                return self.endpoint.host if self._proxied else addresses[0]
        except TimeoutError:
            raise UpstreamFault("connect_timeout", f"no address for {self.endpoint.host} in time", sent=False) from None


def fault_of(error: Exception) -> UpstreamFault:
    """Return the fault an httpx error stands for; the error's own text may hold addresses but never headers or bodies."""
    if isinstance(error, httpx.ConnectTimeout):
        return UpstreamFault("connect_timeout", "no connection in time", sent=False)
    if isinstance(error, httpx.ConnectError | httpx.ProxyError | httpx.UnsupportedProtocol):
        tls = "ssl" in str(error).lower() or "certificate" in str(error).lower()
        return UpstreamFault("tls" if tls else "connect", str(error) or type(error).__name__, sent=False)
    if isinstance(error, httpx.RemoteProtocolError) and "disconnected" not in str(error) and "peer closed" not in str(error):
        return UpstreamFault("protocol", f"not an HTTP answer: {error}", sent=True)
    return UpstreamFault("reset", str(error) or type(error).__name__, sent=True)
