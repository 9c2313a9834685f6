"""Which endpoint a path is, and on which wire its caller is answered. Knows nothing of keys and bodies."""

from collections.abc import Mapping

from gateway.terms import Frozen
from gateway.wire import ClientSide, Wire, by_endpoint, chat_endpoints, shelf


class Door(Frozen, frozen=True):
    """An endpoint ("" for a path that is none), the wire spoken there, and the model its path names, with whether that path asks for a stream."""

    endpoint: str
    wire: Wire
    model: str = ""
    stream: bool = False

    @property
    def client(self) -> ClientSide:
        """Return the side of the wire that callers see."""
        side = self.wire.client
        assert side is not None
        return side


CHAT = chat_endpoints()
KNOWN = frozenset(by_endpoint())
# wires whose paths name the model, with all their endpoints
NAMING = [
    (wire, wire.client.read_path, frozenset(name for name, spoken in by_endpoint().items() if spoken is wire))
    for wire in shelf().values()
    if wire.client is not None and wire.client.read_path is not None
]
DOORS: Mapping[bytes, Door] = {
    b"/v1/" + endpoint.encode(): Door(endpoint=endpoint, wire=wire)
    for endpoint, wire in by_endpoint().items()
    if wire.client is None or wire.client.read_path is None
}
# the wire that is spoken below these paths, whatever stands there
SPOKEN_AT = ((b"/v1beta/", "gemini"), (b"/v1alpha/", "gemini"))
# the headers that tell whose SDK asks where the path does not
TOLD_BY = ((b"anthropic-version", "anthropic_messages"), (b"x-goog-api-key", "gemini"), (b"x-goog-api-client", "gemini"))
ELSEWHERE = Door(endpoint="", wire=shelf()["openai_chat"])


def find(path: bytes, headers: Mapping[bytes, bytes]) -> Door:
    """Return the door a path leads to; for a path that is no endpoint one that answers as the caller's SDK expects."""
    door = DOORS.get(path)
    if door is not None:
        return door
    if b":" in path or b"%3" in path:
        named = at(path[1:].decode("latin-1"))
        if named is not None:
            return named
    for start, name in SPOKEN_AT:
        if path.startswith(start):
            return Door(endpoint="", wire=shelf()[name])
    for header, name in TOLD_BY:
        if header in headers:
            wire = shelf().get(name)
            if wire is not None and wire.client is not None:
                return Door(endpoint="", wire=wire)
    return ELSEWHERE


def at(path: str) -> Door | None:
    """Return the door of a path that names a model, its first slash left out; None for one that is no such path."""
    for wire, read_path, others in NAMING:
        named = read_path(path, others)
        if named is not None:
            return Door(endpoint=named.endpoint, wire=wire, model=named.model, stream=named.stream)
    return None


def behind(endpoint: str, rest: str) -> Door:
    """Return the door of a known endpoint that was found as a provider's, at `rest` of its path."""
    wire = by_endpoint()[endpoint]
    return Door(endpoint=endpoint, wire=wire) if wire.names_model else at(rest) or Door(endpoint=endpoint, wire=wire)
