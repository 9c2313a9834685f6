"""Puts a call into the wire of the deployment that serves it and reads what comes back, metering on the way."""

import re
from collections.abc import Collection, Mapping

import msgspec

from gateway.errors import BadRequest, UnsupportedField, UpstreamFault
from gateway.plane.pieces import Pieces
from gateway.plane.route import Route
from gateway.providers import Provider
from gateway.terms import Account, Answer, Ask, Body, Call, Chunk, ChunkKind, Deployment, Frozen, Headers, PartKind, Usage
from gateway.wire import Buffer, ClientSide, Embedding, Told, UpstreamSide, Wire, WireError, by_endpoint, forms
from gateway.wire.cut import member
from gateway.wire.strict import LARGE_BYTES, add_first, lightened, replace_model, splice, with_data
from gateway.wire.strict import fields as fields_of
from gateway.wire.tokens import estimate

PLAIN_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
PLAIN_PARAM = re.compile(r"[A-Za-z][A-Za-z0-9_.\[\]]{0,127}")
# where in a list, and all behind it: messages[1].content, messages.[1].content, messages.1.content
PLACE = re.compile(r"\.?\[.*|\.\d.*")
STREAM_OPTIONS_WITH_USAGE = b'{"include_usage":true}'
# the wires whose streams tell their usage only on request
ASKED_FOR_USAGE = frozenset({"openai_chat", "openai_completions"})
ONE = msgspec.Raw(b"1")
# what upstream sides put into their requests themselves: no caller's loss where a provider does not take it
OURS = frozenset({"stream_options", "store"})


class Spoken(Frozen, frozen=True):
    """A request body in the upstream's wire, with the names of fields it could not carry, and headers of the caller's that go with it."""

    body: Body
    dropped: tuple[str, ...] = ()
    headers: Headers = ()


def request(call: Call, deployment: Deployment, provider: Provider, route: Route, output_cap_tokens: int = 0) -> Spoken:
    """Return the body for a deployment: untouched bytes wherever the wire is the same. Raises BadRequest, UnsupportedField.

    `output_cap_tokens`, if not 0, takes the place of the caller's own output limit, for all answers together.
    """
    if call.content_type and route.is_same:
        return _form(call, deployment)
    return (_said if len(call.body) < LARGE_BYTES else _said_once)(call, deployment, provider, route, output_cap_tokens)


def _said_once(call: Call, deployment: Deployment, provider: Provider, route: Route, output_cap_tokens: int) -> Spoken:
    """Return the body of a large request so that its pictures and files are in memory only once, unless they are put differently upstream."""
    given = call.text
    light, data = lightened(given)
    if not data:
        return _said(call, deployment, provider, route, output_cap_tokens)
    spoken = _said(msgspec.structs.replace(call, body=light), deployment, provider, route, output_cap_tokens)
    if spoken.body is light:
        return msgspec.structs.replace(spoken, body=given)
    assert isinstance(spoken.body, bytes)
    pieces = with_data(spoken.body, data)
    if pieces is None:
        return _said(call, deployment, provider, route, output_cap_tokens)
    return msgspec.structs.replace(spoken, body=Pieces(None, *pieces))


def _said(call: Call, deployment: Deployment, provider: Provider, route: Route, output_cap_tokens: int) -> Spoken:
    if not route.is_same:
        return _translated(call, deployment, provider, route, output_cap_tokens)
    spoken = _passed(call, deployment, provider, route, output_cap_tokens)
    return spoken if not call.headers else _with_headers(spoken, call, provider)


def _with_headers(spoken: Spoken, call: Call, provider: Provider) -> Spoken:
    told, left_out = provider.tells(call.headers) if provider.tells is not None else ((), ())
    return Spoken(spoken.body, (*spoken.dropped, *left_out), told)


def _passed(call: Call, deployment: Deployment, provider: Provider, route: Route, output_cap_tokens: int) -> Spoken:
    wire, given = route.wire, call.text
    asks_usage = call.stream and provider.asks_stream_usage and not call.wants_usage and wire.name in ASKED_FOR_USAGE
    # backwards takes half the time of `in`: 0.3 us a kB
    has_foreign = wire.without_foreign is not None and given.rfind(wire.sealed) >= 0
    renames = wire.rename_model is not None and call.model != deployment.upstream_model
    limits_output = output_cap_tokens and (wire.limit_output is not None or not wire.output_limits.isdisjoint(call.fields))
    if not (asks_usage or provider.drop or provider.rename or limits_output or has_foreign or renames):
        body: bytes | None = given
        if wire.names_model and call.model != deployment.upstream_model:
            body = replace_model(given, call.model, deployment.upstream_model)
        if body is not None and output_cap_tokens:
            body = add_first(body, _output_limit(provider, wire), b"%d" % _each(call, output_cap_tokens))
        if body is not None:
            return Spoken(body)
    changes: dict[str, bytes | None] = {}
    fields = fields_of(given)
    dropped: tuple[str, ...] = ()
    if has_foreign and wire.without_foreign is not None and (cleaned := wire.without_foreign(fields)):
        changes |= cleaned
        dropped = ("reasoning",) if wire.client is None else (wire.client.called("reasoning", fields),)
    if wire.rename_model is not None and renames:
        changes |= wire.rename_model(fields, deployment.upstream_model)
    if wire.names_model and call.model != deployment.upstream_model:
        changes["model"] = msgspec.json.encode(deployment.upstream_model)
    if output_cap_tokens:
        if wire.limit_output is not None:
            changes |= wire.limit_output(fields, output_cap_tokens)
        else:
            changes |= {**dict.fromkeys(wire.output_limits), _output_limit(provider, wire): b"%d" % _each(call, output_cap_tokens)}
    if asks_usage:
        changes["stream_options"] = _with_usage(fields.get("stream_options"))
    refused = tuple(name for name in fields if name in provider.drop)
    for name in refused:
        changes[name] = None
    for old, new in provider.rename.items():
        if old in fields and new not in fields:
            changes[new], changes[old] = bytes(fields[old]), None
    return Spoken(splice(fields, changes) if changes else given, (*dropped, *refused))


def _form(call: Call, deployment: Deployment) -> Spoken:
    if call.model == deployment.upstream_model:
        return Spoken(call.body)
    return Spoken(forms.with_text(call.body, call.content_type, "model", deployment.upstream_model))


def _each(call: Call, output_tokens: int) -> int:
    """Return what each answer may have of a limit for all that are wanted."""
    return max(1, output_tokens // call.answers)


def _output_limit(provider: Provider, wire: Wire) -> str:
    return provider.output_limit if provider.output_limit in wire.output_limits else wire.output_limit


def _translated(call: Call, deployment: Deployment, provider: Provider, route: Route, output_cap_tokens: int) -> Spoken:
    if route.embedding is not None:
        return _embedding(call, deployment, provider, route, *route.embedding)
    client, upstream = route.sides
    try:
        fields = fields_of(call.text)
        ask = client.read_ask(fields, call.model, call.stream)
        if output_cap_tokens:
            ask = capped(ask, _each(call, output_cap_tokens))
        body, dropped = composed(client, upstream, ask, deployment.upstream_model, fields)
        if call.headers:
            dropped += tuple(name.decode() for name, _ in call.headers if name in client.lost)
        spoken = _quirky(Spoken(body), provider, route.wire)
    except WireError as error:
        raise refusal_of(error) from None
    refused = [client.called(name, fields) for name in spoken.dropped if name not in OURS] if spoken.dropped else []
    return Spoken(spoken.body, tuple(dict.fromkeys([*dropped, *refused])) if dropped or refused else ())


def composed(client: ClientSide, upstream: UpstreamSide, ask: Ask, model: str, fields: Mapping[str, msgspec.Raw]) -> tuple[bytes, tuple[str, ...]]:
    """Return the upstream's request and what of the caller's it does not carry, as the caller calls it. Raises WireError in the caller's words."""
    try:
        body, dropped = upstream.compose(ask, model)
    except WireError as error:
        raise client.in_its_words(error, fields) from None
    return body, tuple(dict.fromkeys(name if name in ask.dropped else client.called(name, fields) for name in dropped)) if dropped else ()


def _embedding(call: Call, deployment: Deployment, provider: Provider, route: Route, caller: Embedding, asked: Embedding) -> Spoken:
    assert asked.compose is not None
    try:
        return _quirky(Spoken(*asked.compose(caller.read_ask(fields_of(call.text)), deployment.upstream_model)), provider, route.wire)
    except WireError as error:
        raise refusal_of(error) from None


def refusal_of(error: WireError) -> BadRequest:
    """Return the refusal of a request that its wire, or the provider's, finds wrong."""
    kind = UnsupportedField if error.code == "unsupported_field" else BadRequest
    return kind(error.message, param=error.param)


def _quirky(spoken: Spoken, provider: Provider, wire: Wire) -> Spoken:
    """Return a request we wrote ourselves as one provider of its wire wants it."""
    limit = _output_limit(provider, wire)
    renamed = provider.rename if limit == wire.output_limit else {**provider.rename, wire.output_limit: limit}
    hides_usage = not provider.asks_stream_usage and wire.name in ASKED_FOR_USAGE
    if not (renamed or provider.drop or hides_usage):
        return spoken
    assert isinstance(spoken.body, bytes)
    fields = fields_of(spoken.body)
    dropped = tuple(name for name in fields if name in provider.drop)
    changes: dict[str, bytes | None] = dict.fromkeys(dropped)
    if hides_usage and "stream_options" in fields:
        changes["stream_options"] = None
    for old, new in renamed.items():
        if old in fields and new not in fields:
            changes[new], changes[old] = bytes(fields[old]), None
    return Spoken(splice(fields, changes), (*spoken.dropped, *dropped)) if changes else spoken


def capped(ask: Ask, output_tokens: int) -> Ask:
    """Return an ask with an output limit in place of the caller's own."""
    return msgspec.structs.replace(ask, max_output_tokens=output_tokens)


def counted(call: Call) -> bytes:
    """Return our own estimate of a request's tokens, for a caller whose provider cannot count. Raises BadRequest, UnsupportedField."""
    wire = by_endpoint()[call.endpoint]
    assert wire.client is not None
    try:
        # requests to count name no limit, which some wires require
        limit = {wire.output_limit: ONE} if wire.output_limit else {}
        ask = wire.client.read_ask({**limit, **fields_of(call.text)}, call.model, False)
    except WireError as error:
        raise refusal_of(error) from None
    return wire.counting[call.endpoint](estimate(ask))


def told(call: Call, created_at_s: int) -> Told:
    """Return who is told the answer to a call."""
    return Told(call.model, call.id, created_at_s, call.wants_usage, call.text, call.keeps, call.resumed_from)


def _with_usage(given: msgspec.Raw | None) -> bytes:
    if given is None or bytes(given) == b"null":
        return STREAM_OPTIONS_WITH_USAGE
    options = msgspec.json.decode(given, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({**options, "include_usage": True})


class Whole(Frozen, frozen=True):
    """A whole answer in the caller's wire, with the vendor's usage or None and what was wrong with it, and what of it the wire has no place for."""

    body: bytes
    usage: Usage | None
    problem: str = ""
    text_bytes: int = 0
    dropped: tuple[str, ...] = ()


def whole(call: Call, body: bytes, route: Route, created_at_s: int) -> Whole:
    """Return the answer for the caller, dated `created_at_s` (Unix) if undated. Raises UpstreamFault when it is none."""
    try:
        if route.is_same:
            usage, problem = route.read_usage(body)
            return Whole(body, usage, problem, 0 if usage is not None else route.wire.text_bytes(body))
        if route.embedding is not None:
            caller, asked = route.embedding
            embedded = asked.read_answer(body)
            return Whole(caller.write_answer(embedded, told(call, created_at_s)), embedded.usage, embedded.problem)
        client, upstream = route.sides
        answer = upstream.read_answer(body)
        body = client.write_answer(answer, told(call, created_at_s))
        return Whole(body, answer.usage, answer.problem, _text_bytes(answer), client.left_out(answer))
    except WireError as error:
        raise UpstreamFault("protocol", error.message, sent=True) from None


def _text_bytes(answer: Answer) -> int:
    size = 0
    for part in answer.parts:
        if part.kind is not PartKind.IMAGE:
            size += len(part.text) if part.text.isascii() else len(part.text.encode("utf-8", "replace"))
    return size


class Heard(Frozen, frozen=True):
    """What a try told that served nobody: whether an answer `began`, the vendor's usage, whole or `partial`, and how much of the answer came."""

    began: bool = False
    usage: Usage | None = None
    partial: Usage | None = None
    problem: str = ""
    text_bytes: int = 0


NOTHING_HEARD = Heard()
ANSWERS = (b"application/json", b"text/event-stream")
# In a longer body no usage is looked for: that takes 10 ms for a MiB, and every call of the worker would wait.
SEARCHED_BYTES = 1024 * 1024


def heard(body: bytes, came_bytes: int, wire: Wire, content_type: bytes = ANSWERS[0]) -> Heard:
    """Return what is known of a whole answer that broke: of another type than an answer's, or without a byte, it had not begun."""
    if not came_bytes or content_type not in ANSWERS:
        return NOTHING_HEARD
    try:
        usage, problem = _usage_in(body, wire) if content_type == ANSWERS[0] else (None, "usage_missing")
    except WireError:
        # its numbers are what broke it, such as NaN
        usage, problem = None, "usage_invalid"
    return Heard(began=True, usage=usage, problem=problem, text_bytes=came_bytes)


def _usage_in(body: bytes, wire: Wire) -> tuple[Usage | None, str]:
    name = wire.usage_member
    found = member(body, name) if len(body) <= SEARCHED_BYTES else b""
    return wire.read_usage(b'{"%b":%b}' % (name.encode(), found)) if found else (None, "usage_missing")


def heard_of_stream(reader: "Reader", *, is_garbled: bool) -> Heard:
    """Return what is known of a stream that broke before any of it was passed on; an error or comments alone are no answer."""
    usage, partial, text_bytes = reader.usage, reader.partial, reader.text_bytes + reader.pending_bytes
    began = usage is not None or partial is not None or text_bytes > 0 or is_garbled
    problem = "" if usage is not None else reader.problem or "usage_missing"
    return Heard(began=began, usage=usage, partial=partial, problem=problem, text_bytes=text_bytes)


def pending_bytes(buffer: Buffer) -> int:
    """Return the size of an event that has begun and not ended, 0 for a comment."""
    pending = buffer.pending
    return 0 if pending.startswith(b":") else len(pending.strip())


class SameWire:
    """A stream in the caller's own wire: events pass byte for byte, those that tell usage alone only to callers who asked.

    `tail` is the terminal event, written once `done`.
    """

    __slots__ = ("_buffer", "_keep_usage", "_meter", "_says_last", "_terminal", "done", "error", "finished", "problem", "tail", "text_bytes", "usage")

    def __init__(self, route: Route, *, keep_usage: bool, limit_bytes: int) -> None:
        wire = route.wire
        self._buffer = wire.buffer(limit_bytes)
        self._meter = wire.meter() if route.meter is None else route.meter()
        self._keep_usage = keep_usage
        self._terminal = wire.terminal if route.meter is None else b""
        # of an endpoint with rules of its own: the last event is the answer itself
        self._says_last = route.meter is not None
        self.usage: Usage | None = None
        self.problem = ""
        self.text_bytes = 0
        self.error = ""
        self.finished = self.done = False
        self.tail = b""

    @property
    def partial(self) -> Usage | None:
        """Return what the vendor told of a stream that is cut."""
        return self.usage or self._meter.usage_so_far

    @property
    def pending_bytes(self) -> int:
        """Return how much of an event came that has not ended, comments apart."""
        return pending_bytes(self._buffer)

    def feed(self, data: bytes) -> bytes:
        """Return the bytes to pass on now; the terminal event goes to `tail`. Raises WireError on garbage."""
        return self._pass(self._buffer.feed(data))

    def ending(self) -> bytes:
        """Return what was left when the upstream ended; a stream that had finished gets the terminal event it lacked."""
        out = self._pass(self._buffer.end())
        if self._terminal is not None and (self.finished or self.done):
            self._end(self._terminal)
        return out

    def _pass(self, events: list[bytes]) -> bytes:
        out = []
        for event in events:
            seen = self._meter.feed(event)
            if seen.usage is not None or seen.problem:
                self._take(seen.usage, seen.problem)
            if seen.terminal:
                if self._says_last:
                    out.append(event)
                self._end(b"" if self._says_last else event)
                break
            if seen.error:
                self.error = seen.error
                break
            self.text_bytes += seen.text_bytes
            if seen.finish:
                self.finished = True
            if not seen.usage_only or self._keep_usage:
                out.append(event)
        return out[0] if len(out) == 1 else b"".join(out)

    def _end(self, event: bytes) -> None:
        self.tail, self.done = event, True
        if self.usage is None:
            self.problem = self.problem or "usage_missing"

    def _take(self, usage: Usage | None, problem: str) -> None:
        if usage is None:
            self.problem = problem
        elif self.usage is None or usage.input_tokens + usage.output_tokens >= self.usage.input_tokens + self.usage.output_tokens:
            self.usage = usage


class Translated:
    """A stream told to the caller on another wire than the provider's; `tail` is what ends it, written once `done`."""

    __slots__ = ("_buffer", "_reader", "_writer", "done", "error", "finished", "problem", "tail", "text_bytes", "usage")

    def __init__(self, call: Call, route: Route, created_at_s: int, *, limit_bytes: int) -> None:
        client, upstream = route.sides
        self._buffer = route.wire.buffer(limit_bytes)
        self._reader = upstream.chunk_reader()
        self._writer = client.chunk_writer(told(call, created_at_s))
        self.usage: Usage | None = None
        self.problem = ""
        self.text_bytes = 0
        self.error = ""
        self.finished = self.done = False
        self.tail = b""

    @property
    def partial(self) -> Usage | None:
        """Return what the vendor told of a stream that is cut: its input exactly, its output so far."""
        return self.usage or self._reader.usage_so_far

    @property
    def pending_bytes(self) -> int:
        """Return how much of an event came that has not ended, comments apart."""
        return pending_bytes(self._buffer)

    def feed(self, data: bytes) -> bytes:
        """Return the bytes to pass on now; what ends the stream goes to `tail`. Raises WireError on garbage."""
        return self._read(self._buffer.feed(data))

    def ending(self) -> bytes:
        """Return what was left when the upstream ended; where its wire has an event for the end and that did not come, it was cut."""
        out = self._read(self._buffer.end())
        return out if self.done or self.error else out + self._tell(self._reader.end())

    def _read(self, events: list[bytes]) -> bytes:
        if len(events) == 1:
            return self._tell(self._reader.feed(events[0]))
        return b"".join([self._tell(self._reader.feed(event)) for event in events if not (self.done or self.error)])

    def _tell(self, chunks: list[Chunk]) -> bytes:
        out: list[bytes] = []
        for chunk in chunks:
            kind = chunk.kind
            if kind is ChunkKind.ERROR:
                self.error = chunk.text or "the provider reported an error"
                break
            if chunk.usage is not None:
                self.usage = chunk.usage
            if kind is ChunkKind.FINISH:
                self.finished = True
            if kind is ChunkKind.END:
                self.tail, self.done = self._writer.write(chunk), True
                if self.usage is None:
                    self.problem = self._reader.problem or "usage_missing"
                break
            if kind in TEXTS:
                self.text_bytes += len(chunk.text)
            out.append(self._writer.write(chunk))
        return out[0] if len(out) == 1 else b"".join(out)


TEXTS = frozenset({ChunkKind.TEXT, ChunkKind.REASONING, ChunkKind.REFUSAL, ChunkKind.TOOL_ARGUMENTS})
Reader = SameWire | Translated


def reader(call: Call, route: Route, created_at_s: int, limit_bytes: int) -> Reader:
    """Return what reads this deployment's stream for this caller."""
    if route.is_same:
        return SameWire(route, keep_usage=call.wants_usage, limit_bytes=limit_bytes)
    return Translated(call, route, created_at_s, limit_bytes=limit_bytes)


def vendor_message(body: bytes, account: Account, wire: Wire) -> str:
    """Return the vendor's own words from an error body, without our credential should the vendor have repeated it."""
    message = wire.error_message(body)
    if account.credential and account.credential in message:
        message = message.replace(account.credential, "[credential]")
    return message[:2_000]


class _VendorError(msgspec.Struct):
    code: object = None
    param: object = None


class _VendorErrorBody(msgspec.Struct):
    error: _VendorError = msgspec.field(default_factory=_VendorError)


def vendor_code(body: bytes, account: Account) -> tuple[str, str | None]:
    """Return the code and the parameter a vendor's error names, which clients look for; invalid_request and None where it names none."""
    try:
        error = msgspec.json.decode(body, type=_VendorErrorBody).error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return "invalid_request", None
    code, param = _plain(error.code, PLAIN_CODE, account), _plain(error.param, PLAIN_PARAM, account)
    return code or "invalid_request", param or None


def callers_param(param: str | None, route: Route, fields: Collection[str]) -> str | None:
    """Return the field that a vendor's error names as the caller of a request with these fields calls it; of a translated one without its place, which
    may be another there."""
    client, vendor = route.client.client, route.wire.client
    if param is None or route.is_same or client is None or vendor is None:
        return param
    field = PLACE.sub("", param)
    return client.called(next((name for name, theirs in vendor.names.items() if theirs == field), field), fields)


def _plain(value: object, shape: "re.Pattern[str]", account: Account) -> str:
    """Return a word of the vendor's that looks like one and repeats no credential, else nothing."""
    if not isinstance(value, str) or not shape.fullmatch(value) or (account.credential and account.credential in value):
        return ""
    return value
