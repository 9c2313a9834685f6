"""Which endpoint a path is, and on which wire its caller is answered. Knows nothing of keys and bodies."""

from collections.abc import Mapping

from gateway.terms import Frozen
from gateway.wire import ClientSide, Wire, by_endpoint, chat_endpoints, shelf


class Door(Frozen, frozen=True):
    """An endpoint ("" for a path that is none), the wire spoken there, and the model its path names."""

    endpoint: str
    wire: Wire
    model: str = ""

    @property
    def client(self) -> ClientSide:
        """Return the side of the wire that callers see."""
        side = self.wire.client
        assert side is not None
        return side


CHAT = chat_endpoints()
DOORS: Mapping[bytes, Door] = {b"/v1/" + endpoint.encode(): Door(endpoint=endpoint, wire=wire) for endpoint, wire in by_endpoint().items()}
KNOWN = frozenset(door.endpoint for door in DOORS.values())
# the headers that tell whose SDK asks where the path does not
TOLD_BY = ((b"anthropic-version", "anthropic_messages"), (b"x-goog-api-key", "gemini"), (b"x-goog-api-client", "gemini"))
ELSEWHERE = Door(endpoint="", wire=shelf()["openai_chat"])


def find(path: bytes, headers: Mapping[bytes, bytes]) -> Door:
    """Return the door a path leads to; for a path that is no endpoint one that answers as the caller's SDK expects."""
    door = DOORS.get(path)
    if door is not None:
        return door
    for header, name in TOLD_BY:
        if header in headers:
            wire = shelf().get(name)
            if wire is not None and wire.client is not None:
                return Door(endpoint="", wire=wire)
    return ELSEWHERE


def at(endpoint: str) -> Door:
    """Return the door of a known endpoint that was found another way, such as a provider path."""
    return Door(endpoint=endpoint, wire=by_endpoint()[endpoint])
