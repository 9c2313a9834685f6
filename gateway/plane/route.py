"""Which of a provider's endpoints serves a call, and whether that takes a translation. Knows no account and no request."""

from collections.abc import Callable, Iterable

from gateway.plane.telling import SSE, stream_line
from gateway.providers import Provider
from gateway.terms import Frozen, Header, Usage
from gateway.wire import ClientSide, Embedding, Meter, UpstreamSide, Wire, by_endpoint, chat_endpoints, embedding_endpoints, plain_endpoints, shelf
from gateway.wire.made import Made


class Route(Frozen, frozen=True):
    """The provider's endpoint and wire for a call that came on the wire `client`; `is_same` if the bytes may pass unchanged.

    `meter` is for streams of an endpoint with rules of its own, `read_headers` for answers there whose body tells no usage.
    `stream_line` is the header line that says of what type the caller's stream is.
    `embedding` are the caller's and the provider's way to ask for embeddings, where that is what is translated.
    """

    endpoint: str
    wire: Wire
    client: Wire
    is_same: bool
    read_usage: Callable[[bytes], tuple[Usage | None, str]]
    answers_bytes: bool = False
    meter: Callable[[], Meter] | None = None
    embedding: tuple[Embedding, Embedding] | None = None
    read_headers: Callable[[Iterable[Header]], tuple[Usage | None, str]] | None = None
    stream_line: bytes = SSE

    @property
    def tells(self) -> Callable[[bytes], Iterable[Made]] | None:
        """Return what yields from an answer, or an event of it, what its vendor made; None where the caller is not told in the vendor's own words."""
        return callers.made if self.is_same and (callers := self.client.callers) is not None else None

    @property
    def sides(self) -> tuple[ClientSide, UpstreamSide]:
        """Return the two sides of a translation."""
        client, upstream = self.client.client, self.wire.upstream
        assert client is not None
        assert upstream is not None
        return client, upstream


def find(provider: Provider, endpoint: str) -> Route | None:
    """Return the way for calls of an endpoint: the provider's own if it has it, else its first of the kind we can translate to; None without any."""
    client, wires = by_endpoint()[endpoint], shelf()
    own = provider.wires.get(endpoint)
    if own is not None:
        plain = plain_endpoints().get(endpoint)
        wire = wires[own]
        if plain is not None:
            read_headers, line = plain.read_headers, stream_line(client)
            return Route(endpoint, wire, client, True, plain.read_usage, plain.answers_bytes, plain.meter, read_headers=read_headers, stream_line=line)
        return Route(endpoint=endpoint, wire=wire, client=client, is_same=wire is client, read_usage=wire.read_usage, stream_line=stream_line(client))
    embeddings = embedding_endpoints()
    if endpoint in embeddings:
        for name, wire_name in provider.wires.items():
            wire = wires[wire_name]
            if name in embeddings and embeddings[name].compose is not None:
                pair = (embeddings[endpoint], embeddings[name])
                return Route(endpoint=name, wire=wire, client=client, is_same=False, read_usage=wire.read_usage, embedding=pair)
    if endpoint in chat_endpoints() and client.client is not None:
        for name, wire_name in provider.wires.items():
            wire = wires[wire_name]
            if wire.upstream is not None and name not in wire.also and name not in wire.plain and name not in wire.counting and name not in wire.live:
                return Route(endpoint=name, wire=wire, client=client, is_same=False, read_usage=wire.read_usage)
    return None
