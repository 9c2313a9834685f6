"""Which of a provider's endpoints serves a call, and whether that takes a translation. Knows no account and no request."""

from collections.abc import Callable, Iterable

from gateway.providers import Provider
from gateway.terms import Frozen, Usage
from gateway.wire import ClientSide, Embedding, Meter, UpstreamSide, Wire, by_endpoint, chat_endpoints, embedding_endpoints, plain_endpoints, shelf
from gateway.wire.made import Made


class Route(Frozen, frozen=True):
    """The provider's endpoint and wire for a call that came on the wire `client`; `is_same` if the bytes may pass unchanged.

    `meter` is for streams of an endpoint with rules of its own.
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

    @property
    def tells(self) -> Callable[[bytes], Iterable[Made]] | None:
        """Return what yields from an answer, or an event of it, what its vendor made; None where the caller is not told in the vendor's own words."""
        return self.client.client.made if self.is_same and self.client.client is not None else None

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
            return Route(endpoint, wire, client, True, plain.read_usage, plain.answers_bytes, plain.meter)
        return Route(endpoint=endpoint, wire=wire, client=client, is_same=wire is client, read_usage=wire.read_usage)
    embeddings = embedding_endpoints()
    if endpoint in embeddings:
        for name, wire_name in provider.wires.items():
            wire = wires[wire_name]
            if name in embeddings and embeddings[name].compose is not None:
                pair = (embeddings[endpoint], embeddings[name])
                return Route(endpoint=name, wire=wire, client=client, is_same=False, read_usage=wire.read_usage, embedding=pair)
    if endpoint in chat_endpoints():
        for name, wire_name in provider.wires.items():
            wire = wires[wire_name]
            if wire.upstream is not None and name not in wire.also and name not in wire.plain and name not in wire.counting and name not in wire.live:
                return Route(endpoint=name, wire=wire, client=client, is_same=False, read_usage=wire.read_usage)
    return None
