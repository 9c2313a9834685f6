"""Which of a provider's endpoints serves a call, and whether that takes a translation. Knows no account and no request."""

from gateway.providers import Provider
from gateway.terms import Frozen
from gateway.wire import ClientSide, UpstreamSide, Wire, by_endpoint, chat_endpoints, shelf


class Route(Frozen, frozen=True):
    """The provider's endpoint and wire for a call that came on the wire `client`; `is_same` if the bytes may pass unchanged."""

    endpoint: str
    wire: Wire
    client: Wire
    is_same: bool

    @property
    def sides(self) -> tuple[ClientSide, UpstreamSide]:
        """Return the two sides of a translation."""
        client, upstream = self.client.client, self.wire.upstream
        assert client is not None
        assert upstream is not None
        return client, upstream


def find(provider: Provider, endpoint: str) -> Route | None:
    """Return the way for calls of an endpoint: the provider's own if it has it, else its first chat endpoint we can translate to; None without any."""
    client, wires = by_endpoint()[endpoint], shelf()
    own = provider.wires.get(endpoint)
    if own is not None:
        return Route(endpoint=endpoint, wire=wires[own], client=client, is_same=wires[own] is client)
    if endpoint in chat_endpoints():
        for name, wire_name in provider.wires.items():
            wire = wires[wire_name]
            if wire.upstream is not None and name not in wire.also:
                return Route(endpoint=name, wire=wire, client=client, is_same=False)
    return None
