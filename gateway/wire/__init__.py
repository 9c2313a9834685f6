"""How wires speak: bytes to terms and back. Each package on this shelf exports WIRE and knows only gateway.terms; what goes wrong is a WireError.

A wire that applications speak has an `endpoint`; one that providers speak has what reads their answers. A call whose wire its provider speaks too
passes byte for byte; every other goes through the neutral conversation of gateway.terms.
"""

import importlib
import pkgutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Protocol

import msgspec

from gateway.terms import Answer, Ask, Besides, Chunk, EmbedAsk, Embedded, Frozen, Header, Ties, Usage
from gateway.wire.live import Live
from gateway.wire.made import Made


class WireError(Exception):
    """Bytes that do not make sense on a wire: a code, a message that says what to do, and the field it is about."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


class Head(Frozen, frozen=True):
    """What the gateway itself reads of a request: the model ("" where the path names it), whether it streams, its output limit, its end user.

    `wants_usage` is whether the caller's stream tells its usage. `most_input_tokens` bounds the input where the body's bytes say little, 0 where they do.
    `ties` is what it has to do with stored calls. `answers` is how many are wanted; the output limit is for all of them together.
    `besides` is what else it asks for that costs.
    """

    model: str = ""
    stream: bool = False
    max_output_tokens: int = 0
    wants_usage: bool = True
    end_user: str = ""
    most_input_tokens: int = 0
    ties: Ties | None = None
    answers: int = 1
    besides: Besides | None = None


class Plain(Frozen, frozen=True):
    """An endpoint of a wire that is never translated and has a `kind` of models of its own; models of kinds in `kinds` are served there too.

    `is_form` is whether requests are multipart forms, `answers_bytes` whether answers may be something else than JSON. A token of input is at least
    `bytes_per_token` of the body, a byte where it is a text. Answers consist of items of at most `item_tokens`, 0 for no such thing. `meter` is for its
    streams, whose last event ends them; None where it has none. `may_name` is what a Surface's is, None where a request names nothing.
    `read_headers` returns the usage that an answer's headers tell, where its body tells none.
    """

    kind: str
    read_head: Callable[[Mapping[str, Any]], Head]
    read_usage: Callable[[bytes], tuple[Usage | None, str]]
    is_form: bool = False
    answers_bytes: bool = False
    bytes_per_token: int = 1
    item_tokens: int = 0
    meter: "Callable[[], Meter] | None" = None
    may_name: Callable[[Mapping[str, Any]], bool] | None = None
    kinds: frozenset[str] = frozenset()
    read_headers: "Callable[[Iterable[Header]], tuple[Usage | None, str]] | None" = None


class Embedding(Frozen, frozen=True):
    """How an endpoint for embeddings is understood and told, where the provider has another wire's, and how a provider's is asked and read for those.

    `compose` is None where an endpoint cannot be asked for whatever others are. All raise WireError.
    """

    read_ask: Callable[[Mapping[str, msgspec.Raw]], EmbedAsk]
    write_answer: Callable[[Embedded, "Told"], bytes]
    read_answer: Callable[[bytes], Embedded]
    compose: Callable[[EmbedAsk, str], tuple[bytes, tuple[str, ...]]] | None = None


class Named(Frozen, frozen=True):
    """What a path says on a wire whose paths name models: the endpoint, the model, and whether the answer streams."""

    endpoint: str
    model: str
    stream: bool = False


class Told(Frozen, frozen=True):
    """Who is told an answer: the model as the caller named it, the call's id, when it was (Unix seconds), and whether its stream tells usage.

    `body` is the request, for wires whose answers repeat it; `keeps` is whether the answer is kept for later calls to go on from, `resumed_from` the
    response this one went on from.
    """

    model: str
    call_id: str
    created_at_s: int
    wants_usage: bool = True
    body: bytes = b""
    keeps: bool = False
    resumed_from: str = ""


class Seen(msgspec.Struct, frozen=True, gc=False):
    """What one event of a stream said. `text_bytes` counts UTF-8 bytes of text, reasoning and tool arguments; `problem` says why usage is None."""

    text_bytes: int = 0
    usage: Usage | None = None
    problem: str = ""
    usage_only: bool = False
    finish: bool = False
    terminal: bool = False
    error: str | None = None


class Buffer(Protocol):
    """Cuts a stream's bytes into whole events."""

    @property
    def pending(self) -> bytes:
        """Bytes of an event that has not ended yet."""
        ...

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events completed by `data`; raises WireError when one is too large or none."""
        ...

    def end(self) -> list[bytes]:
        """Return what is left when the stream ends."""
        ...


class Meter(Protocol):
    """Meters the events of a stream that passes unchanged."""

    @property
    def usage_so_far(self) -> Usage | None:
        """What the vendor told before the end."""
        ...

    def feed(self, event: bytes) -> Seen:
        """Return what a raw event says; raises WireError("garbage")."""
        ...


class ChunkReader(Protocol):
    """Reads a provider's stream. After END or ERROR nothing comes."""

    @property
    def usage_so_far(self) -> Usage | None:
        """Tokens reported up to now: for streams that are cut."""
        ...

    @property
    def problem(self) -> str:
        """Say why no usage came."""
        ...

    def feed(self, event: bytes) -> list[Chunk]:
        """Return the chunks a raw event stands for; raises WireError("garbage")."""
        ...

    def end(self) -> list[Chunk]:
        """Return what the end of the provider's body stands for: END where that is how a finished stream ends, nothing where it was cut."""
        ...


class ChunkWriter(Protocol):
    """Writes a stream for a caller. After END or ERROR it writes nothing more."""

    def write(self, chunk: Chunk) -> bytes:
        """Return the chunk's bytes; b"" for what this caller does not get."""
        ...


class Surface(Frozen, frozen=True):
    """How callers are understood and told on a wire, whether or not it can be translated: `endpoint` is where they call, `error_body` and `error_event`
    take status, code, type, message, field, detail.

    `read_path` finds what a path names, where it names models (the path without its first slash, the wire's other endpoints); `keep_alive` is what a
    waiting stream gets, nothing to the wire's SDKs, b"" where they know no such thing.
    `may_name`, if there is one, says at a glance whether a parsed request may name things that its vendor keeps, or have it make some; `made` then yields
    what an answer of the same wire, or an event of its stream, says was made.
    `answer_lines`, if there is one, returns an answer's header lines with those its SDKs look for, at a Unix time. `passed` are headers that a provider
    of the same wire may be told. `streams_arrays` is whether a stream is one JSON array unless the query asks for events.
    """

    endpoint: str
    read_head: Callable[[Mapping[str, Any]], Head]
    error_body: Callable[[int, str, str, str, str | None, Mapping[str, Any]], bytes]
    error_event: Callable[[int, str, str, str, str | None, Mapping[str, Any]], bytes]
    read_path: Callable[[str, frozenset[str]], Named | None] | None = None
    keep_alive: bytes = b": keep-alive\n\n"
    answer_lines: Callable[[bytes, float], bytes] | None = None
    passed: frozenset[bytes] = frozenset()
    may_name: Callable[[Mapping[str, Any]], bool] | None = None
    made: Callable[[bytes], Iterator[Made]] | None = None
    streams_arrays: bool = False


class ClientSide(Surface, frozen=True, kw_only=True):
    """How applications are understood and told whose calls can be translated to other wires.

    `read_ask` takes a request's raw fields, the model and whether it streams. Raises WireError. `lost` are those of the `passed` headers that a provider of
    another wire should have been told.
    `untold` names what of an answer this wire has no place for. `names` gives what this wire calls the fields that upstream sides name (messages, stop,
    reasoning_effort), where it calls them otherwise; of several names the first counts whose top-level field the request has, or else the last.
    """

    read_ask: Callable[[Mapping[str, msgspec.Raw], str, bool], Ask]
    write_answer: Callable[[Answer, Told], bytes]
    chunk_writer: Callable[[Told], ChunkWriter]
    lost: frozenset[bytes] = frozenset()
    untold: Callable[[Answer], tuple[str, ...]] | None = None
    names: Mapping[str, str | tuple[str, ...]] = {}

    def left_out(self, answer: Answer) -> tuple[str, ...]:
        """Return what of an answer its caller does not get: what nobody here can read, and what this wire has no place for."""
        return answer.untold if self.untold is None else (*answer.untold, *self.untold(answer))

    def called(self, name: str, fields: Collection[str]) -> str:
        """Return what the caller of a request with these fields calls what an upstream side names."""
        head, dot, rest = name.partition(".")
        found = self.names.get(name)
        if found is None and dot and (found := self.names.get(head)) is not None:
            return f"{self.called(head, fields)}.{rest}"
        if not isinstance(found, tuple):
            return found or name
        return next((each for each in found if each.partition(".")[0] in fields), found[-1])

    def in_its_words(self, error: WireError, fields: Mapping[str, Any]) -> WireError:
        """Return an upstream side's error about a field as the caller of a request with these fields knows it."""
        name = self.called(error.param or "", fields)
        if name == (error.param or ""):
            return error
        rest = error.message.removeprefix(error.param or "")
        return WireError(error.code, error.message if rest == error.message else name + rest, name)


class UpstreamSide(Frozen, frozen=True):
    """How providers are asked and understood: `compose` returns the body for an upstream model and the names of the caller's fields it does not carry."""

    compose: Callable[[Ask, str], tuple[bytes, tuple[str, ...]]]
    read_answer: Callable[[bytes], Answer]
    chunk_reader: Callable[[], ChunkReader]


class BatchAsk(Frozen, frozen=True):
    """One request of a batch: the id its caller knows it by, the endpoint it is for, and the body a call there would have, as it stands and `parsed`."""

    custom_id: str
    endpoint: str
    body: bytes
    parsed: Mapping[str, Any]


class BatchResult(Frozen, frozen=True):
    """What became of one request of a batch: the status and body a call would have got; status 0 and a word where the vendor never answered it."""

    custom_id: str
    status: int
    body: bytes = b""
    error_code: str = ""


class BatchTold(Frozen, frozen=True):
    """What a vendor says about work: its id, whether nothing more will happen to it, and its results where they are files or stand in what is said."""

    object_id: str
    is_over: bool
    files: tuple[str, ...] = ()
    results: tuple[BatchResult, ...] = ()


class Working(Frozen, frozen=True):
    """How a wire tells of work that goes on when its call is answered: `kind` is what an object of it is called, `read_told` takes an answer about one.

    What is done is billed in the `tier`, "" for the one the answer names.
    """

    kind: str
    read_told: Callable[[bytes], BatchTold]
    tier: str = ""


class Batching(Working, frozen=True, kw_only=True):
    """How a wire speaks of batches; `endpoints` are those whose calls it batches.

    `read_asks` takes the file or request that holds a batch's calls, `rewrite` returns it with some of their bodies, by their place, replaced; `read_result`
    takes a line of its results, found in files or (`results`) at a path of the batch's own. All raise WireError.
    `find` takes a page of a vendor's list of batches and a file's id; it returns the batches made of that file, and where the next page begins, "" behind the
    last. `with_results_at` returns an answer about a batch with the address of its results, where it has one, below another base URL.
    """

    endpoints: frozenset[str]
    read_asks: Callable[[bytes], Iterator[BatchAsk]]
    rewrite: Callable[[bytes, Mapping[int, bytes]], bytes]
    read_result: Callable[[bytes], BatchResult]
    results: str = ""
    find: Callable[[bytes, str], tuple[tuple[str, ...], str]] | None = None
    with_results_at: Callable[[bytes, str], bytes] | None = None
    # vendors serve batches at rates of their own
    tier: str = "batch"


class Wire(Frozen, frozen=True):
    """One wire.

    `surface` names the SDKs whose shape its errors have. `client` is for applications on any provider's models, `own` for the vendor's own SDK on a wire that
    applications do not speak: on provider paths alone. `also` are endpoints with its usage that are never translated, `plain` those with rules of their own,
    `embedding` those of both for embeddings, which are translated among themselves, `live` those that are WebSockets.
    `output_limits` are the top-level request fields that bound an answer's tokens, `output_limit` the one to set;
    `limit_output` returns the changes that set such a bound, where it
    is no top-level field. `usage_member` is the answer's field that holds the usage. `names_model` is whether the body does.
    `terminal` ends a stream whose provider sent everything but its last event; None where such a stream counts as cut.
    `counting` are endpoints that count a request's tokens free of charge, each with how a count is told.
    `batching` are its endpoints for batches, `working` those whose calls may be answered before they are done.
    `text_bytes` tells how much of a whole answer is text, to estimate tokens from. `without_foreign` returns the changes that take other vendors'
    sealed reasoning out of a request that else passes unchanged; it is asked where `sealed` stands in one. `rename_model` returns the changes where a
    body repeats the model that its path names.
    """

    name: str
    surface: str
    buffer: Callable[[int], Buffer]
    error_message: Callable[[bytes], str]
    read_usage: Callable[[bytes], tuple[Usage | None, str]]
    meter: Callable[[], Meter]
    client: ClientSide | None = None
    own: Surface | None = None
    upstream: UpstreamSide | None = None
    also: tuple[str, ...] = ()
    embedding: Mapping[str, Embedding] = {}
    plain: Mapping[str, Plain] = {}
    live: Mapping[str, Live] = {}
    counting: Mapping[str, Callable[[int], bytes]] = {}
    names_model: bool = True
    output_limits: frozenset[str] = frozenset()
    output_limit: str = ""
    limit_output: Callable[[Mapping[str, msgspec.Raw], int], Mapping[str, bytes | None]] | None = None
    usage_member: str = "usage"
    terminal: bytes | None = None
    stream_type: bytes = b"text/event-stream"
    text_bytes: Callable[[bytes], int] = len
    batching: Mapping[str, Batching] = {}
    working: Mapping[str, Working] = {}
    without_foreign: Callable[[Mapping[str, msgspec.Raw]], Mapping[str, bytes | None]] | None = None
    sealed: bytes = b'"sgw1.'
    rename_model: Callable[[Mapping[str, msgspec.Raw], str], Mapping[str, bytes | None]] | None = None

    @property
    def callers(self) -> Surface | None:
        """Return how its callers are understood and told, None for a wire that only providers speak."""
        return self.client or self.own


@cache
def shelf() -> Mapping[str, Wire]:
    """Return every wire by name, found by looking, not by a list."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        if module.ispkg:
            spoken: Wire = importlib.import_module(f"{__name__}.{module.name}").WIRE
            found[spoken.name] = spoken
    return found


@cache
def chat_endpoints() -> frozenset[str]:
    """Return the endpoints for chat: those whose calls can be translated to another wire, and what they are called by a vendor's own SDK."""
    return frozenset(callers.endpoint for wire in shelf().values() if (callers := wire.callers) is not None)


@cache
def by_endpoint() -> Mapping[str, Wire]:
    """Return the wire applications speak at each endpoint."""
    found = {endpoint: wire for wire in shelf().values() for endpoint in (*wire.also, *wire.plain, *wire.counting)}
    return found | {callers.endpoint: wire for wire in shelf().values() if (callers := wire.callers) is not None}


@cache
def plain_endpoints() -> Mapping[str, Plain]:
    """Return the endpoints with rules of their own."""
    return {endpoint: plain for wire in shelf().values() for endpoint, plain in wire.plain.items()}


@cache
def batching_endpoints() -> Mapping[str, Batching]:
    """Return the endpoints for batches."""
    return {endpoint: batching for wire in shelf().values() for endpoint, batching in wire.batching.items()}


@cache
def working_endpoints() -> Mapping[str, Working]:
    """Return the endpoints whose work goes on when its call is answered: those for batches, and those that work in the background."""
    return {endpoint: working for wire in shelf().values() for endpoint, working in (*wire.batching.items(), *wire.working.items())}


@cache
def usage_readers() -> Mapping[str, Callable[[bytes], tuple[Usage | None, str]]]:
    """Return what reads the usage of a whole answer, by the endpoint it is from."""
    return {name: wire.read_usage for name, wire in by_endpoint().items()} | {name: plain.read_usage for name, plain in plain_endpoints().items()}


@cache
def live_endpoints() -> Mapping[str, tuple[Wire, Live]]:
    """Return the endpoints that are WebSockets, with the wires they belong to."""
    return {endpoint: (wire, live) for wire in shelf().values() for endpoint, live in wire.live.items()}


@cache
def counting_endpoints() -> frozenset[str]:
    """Return the endpoints that count a request's tokens."""
    return frozenset(endpoint for wire in shelf().values() for endpoint in wire.counting)


@cache
def embedding_endpoints() -> Mapping[str, Embedding]:
    """Return the endpoints for embeddings."""
    return {endpoint: embedding for wire in shelf().values() for endpoint, embedding in wire.embedding.items()}
