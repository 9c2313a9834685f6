"""Opens WebSockets to a vendor's endpoint under the rules of the data plane's client: checked addresses, its deadlines, no redirects, bounded buffers."""

import asyncio
import logging
import ssl

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.uri import WebSocketURI

from gateway.errors import UpstreamFault
from gateway.plane.endpoint import Endpoint, reach, tls_context
from gateway.terms import Body, Deadlines, Header
from gateway.wire.live import Message

# the longest message a vendor may send, as much as OpenAI takes of a caller
MESSAGE_BYTES = 16 * 1024 * 1024
# messages read ahead of the caller; beyond that the vendor has to wait
READ_AHEAD = 2
CLOSE_S = 1.0
# lines of a prepared head that a handshake does not have, or has of its own
LEFT_OUT = frozenset({b"host", b"content-type", b"accept-encoding"})

# the library tells every connection, and at its most talkative every message
quiet = logging.getLogger("gateway.sockets")
quiet.setLevel(logging.WARNING)


class Gone(Exception):
    """The vendor has closed the connection, with this code (1006: it was lost) and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed with {code}")
        self.code, self.reason = code, reason


def gone(closed: ConnectionClosed) -> Gone:
    """Return how a connection was closed by its other side."""
    return Gone(1006, "") if closed.rcvd is None else Gone(closed.rcvd.code, closed.rcvd.reason)


class Socket:
    """An open connection; to those who send requests it is an exchange that was answered well. `close` must always be called."""

    status = 200

    def __init__(self, connection: ClientConnection, headers: list[Header]) -> None:
        self._connection = connection
        self.headers = headers

    async def receive(self) -> Message:
        """Return the next message as it came. Raises Gone after the last."""
        try:
            return await self._connection.recv()
        except ConnectionClosed as closed:
            raise gone(closed) from None

    async def send(self, message: Message) -> None:
        """Send a message, waiting while the vendor reads slowly. Raises Gone."""
        try:
            await self._connection.send(message)
        except ConnectionClosed as closed:
            raise gone(closed) from None

    async def leave(self) -> None:
        """Close in good order, waiting for the vendor's answer for a second at most."""
        await self._connection.close()

    async def read(self, limit_bytes: int) -> bytes:
        """Return nothing: what comes is messages."""
        return b""

    async def chunks(self) -> bytes:
        """Return nothing: what comes is messages."""
        return b""

    def heard(self) -> tuple[bytes, int]:
        """Return nothing: what comes is messages."""
        return b"", 0

    def close(self) -> None:
        """Drop the connection without waiting for anything; idempotent."""
        self._connection.transport.abort()


class Refused:
    """A vendor's answer that is no handshake: an exchange whose body has come."""

    def __init__(self, refusal: InvalidStatus) -> None:
        response = refusal.response
        self.status: int = response.status_code
        self.headers = listed(response.headers)
        self._body = bytes(response.body)

    async def read(self, limit_bytes: int) -> bytes:
        """Return the body as far as it is wanted."""
        return self._body[:limit_bytes]

    async def chunks(self) -> bytes:
        """Return the body, then b""."""
        body, self._body = self._body, b""
        return body

    def heard(self) -> tuple[bytes, int]:
        """Return the body and its size."""
        return self._body, len(self._body)

    def close(self) -> None:
        """Do nothing: the connection is closed."""


class Sockets:
    """Opens connections to one endpoint; none is used twice."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Open nothing yet; raises ssl.SSLError on a CA that is no PEM."""
        self.endpoint = endpoint
        self._tls: ssl.SSLContext | None = tls_context(endpoint.ca_pem) if endpoint.scheme == "https" else None

    async def open(self, head: bytes, body: Body, deadlines: Deadlines | None = None) -> Socket | Refused:
        """Shake hands and return the connection, or the vendor's answer that is none; `head` is as for `client.Client.open`. Raises UpstreamFault."""
        loop, endpoint = asyncio.get_running_loop(), self.endpoint
        deadlines = deadlines or endpoint.deadlines
        request_line, *lines = head.rstrip(b"\r\n").split(b"\r\n")
        target = request_line.split(b" ", 2)[1].decode("ascii")
        headers = Headers()
        for line in lines:
            name, _, value = line.partition(b":")
            if name not in LEFT_OUT:
                headers[name.decode("ascii")] = value.strip().decode("latin-1")

        async def connect_to(address: str) -> ClientConnection:
            name = None if self._tls is None else endpoint.host
            _, made = await loop.create_connection(lambda: connection_to(endpoint, target), address, endpoint.port, ssl=self._tls, server_hostname=name)
            return made

        connection = await reach(loop, endpoint, deadlines, loop.time() + deadlines.total_ms / 1000, connect_to)
        has_shaken = False
        try:
            async with asyncio.timeout(deadlines.first_byte_ms / 1000):
                await connection.handshake(headers, None)
            has_shaken = True
        except InvalidStatus as refusal:
            if 200 <= refusal.response.status_code < 300:
                raise UpstreamFault("protocol", "the answer is no WebSocket handshake", sent=True) from None
            return Refused(refusal)
        except TimeoutError:
            raise UpstreamFault("first_byte_timeout", f"no answer within {deadlines.first_byte_ms / 1000:g} s", sent=True) from None
        except (InvalidHandshake, EOFError, OSError, ConnectionClosed) as error:
            is_lost = isinstance(error, EOFError | OSError | ConnectionClosed) or isinstance(error.__cause__, EOFError | OSError)
            kind, message = ("reset", "the connection was lost before the answer") if is_lost else ("protocol", "the answer is no WebSocket handshake")
            raise UpstreamFault(kind, message, sent=True) from None
        finally:
            if not has_shaken:
                connection.transport.abort()
        connection.start_keepalive()
        assert connection.response is not None
        return Socket(connection, listed(connection.response.headers))

    async def aclose(self) -> None:
        """Do nothing: sessions end by themselves."""


def connection_to(endpoint: Endpoint, target: str) -> ClientConnection:
    """Return a connection that is not made yet, for a path and query at an endpoint."""
    path, _, query = target.partition("?")
    # brackets are what a host has in a URL, and are put there when it is written
    uri = WebSocketURI(endpoint.scheme == "https", endpoint.host, endpoint.port, path, query, None, None)
    return ClientConnection(ClientProtocol(uri, max_size=MESSAGE_BYTES, logger=quiet), close_timeout=CLOSE_S, max_queue=(READ_AHEAD, 0))


def listed(headers: Headers) -> list[Header]:
    """Return headers with lower-case names, as every exchange has them."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.raw_items()]
