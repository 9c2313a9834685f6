"""What an endpoint that is a WebSocket tells the gateway: how much each message weighs, and what a response cost. Knows no wire."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from gateway.terms import Frozen, Headers, Usage

Message = str | bytes
BYTES_PER_TEXT_TOKEN = 4


class Weight(Frozen, frozen=True):
    """What a message comes to in tokens: an estimate, how many of those are sound, and a bound no vendor's count goes beyond."""

    tokens: int = 0
    audio_tokens: int = 0
    most_tokens: int = 0

    def __add__(self, other: "Weight") -> "Weight":
        return Weight(tokens=self.tokens + other.tokens, audio_tokens=self.audio_tokens + other.audio_tokens, most_tokens=self.most_tokens + other.most_tokens)


NOTHING = Weight()


def text(size_bytes: int) -> Weight:
    """Return the weight of a text: about four bytes a token, and never less than one."""
    return Weight(tokens=-(-size_bytes // BYTES_PER_TEXT_TOKEN), most_tokens=size_bytes)


def sound(size_bytes: int, bytes_per_token: int) -> Weight:
    """Return the weight of sound in base64; vendors round up and pad, so the bound is twice the estimate."""
    tokens = -(-size_bytes // bytes_per_token)
    return Weight(tokens=tokens, audio_tokens=tokens, most_tokens=2 * tokens)


class Asked(Frozen, frozen=True):
    """A caller's message: what it weighs, and the message to pass on.

    `transcriber` is a further model that it wants to hear what is said, by the vendor's name; "" for none, None where it says nothing of that.
    """

    weight: Weight
    message: Message
    transcriber: str | None = None


class Said(Frozen, frozen=True):
    """A vendor's message: what it weighs of a response, whether a response `begins` or `ends` with it, and what that one cost.

    `has_failed` is whether the response ended without being one, `is_transcript` whether what is told was done by the transcriber; `problem` says why
    there is no usage.
    """

    weight: Weight = NOTHING
    begins: bool = False
    ends: bool = False
    has_failed: bool = False
    is_transcript: bool = False
    usage: Usage | None = None
    problem: str = ""


class Meter(Protocol):
    """Reads the messages of one session."""

    @property
    def is_speaking(self) -> bool:
        """Whether a response is under way."""
        ...

    def asked(self, message: Message) -> Asked:
        """Return what a caller's message asks; raises WireError for one that must not pass."""
        ...

    def said(self, message: Message) -> Said:
        """Return what a vendor's message says; raises WireError("garbage")."""
        ...


class Live(Frozen, frozen=True):
    """An endpoint that is a WebSocket, for models of a `kind` of their own; a meter is made from the model's names: the caller's and the vendor's.

    `path` is where it stands below the root, `takes` are the names a query may have, of which the first two name the model. `read_setup` finds the model
    in a session's first message instead and raises WireError; None where the address names it, here and at the vendor. `error_event` takes status, code,
    type, message, field and detail; None where errors are told by closing alone. `tells` picks what the vendor is told of the caller's headers and
    subprotocols. `transcribes_as` is the endpoint that transcribers are models of.
    """

    kind: str
    path: "re.Pattern[str]"
    takes: tuple[str, ...]
    meter: Callable[[str, str], Meter]
    read_setup: Callable[[Message], str] | None = None
    error_event: Callable[[int, str, str, str, str | None, Mapping[str, Any]], str] | None = None
    tells: Callable[[Mapping[bytes, bytes], frozenset[str]], Headers] = lambda headers, subprotocols: ()
    transcribes_as: str = ""
