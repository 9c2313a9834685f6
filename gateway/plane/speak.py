"""Puts a call into the wire of the deployment that serves it and reads what comes back, metering on the way."""

import re

import msgspec

from gateway.errors import BadRequest, UnsupportedField, UpstreamFault
from gateway.providers import Provider
from gateway.terms import Account, Call, ChunkKind, Deployment, Frozen, Usage
from gateway.wire import WireError, anthropic_messages, openai_chat
from gateway.wire.cut import member
from gateway.wire.sse import EventBuffer
from gateway.wire.strict import add_first, replace_model, splice
from gateway.wire.strict import fields as fields_of

CLIENT_WIRE = "openai_chat"
PLAIN_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
PLAIN_PARAM = re.compile(r"[A-Za-z][A-Za-z0-9_.\[\]]{0,127}")
OUTPUT_LIMITS = frozenset({"max_tokens", "max_completion_tokens"})
STREAM_OPTIONS_WITH_USAGE = b'{"include_usage":true}'


class Spoken(Frozen, frozen=True):
    """A request body in the upstream's wire, with the names of fields it could not carry."""

    body: bytes
    dropped: tuple[str, ...] = ()


def request(call: Call, deployment: Deployment, provider: Provider, output_cap_tokens: int = 0) -> Spoken:
    """Return the body for a deployment: untouched bytes wherever the wire is the same. Raises BadRequest, UnsupportedField.

    `output_cap_tokens`, if not 0, takes the place of the caller's own output limit.
    """
    wire = provider.wires[call.endpoint]
    if wire != CLIENT_WIRE:
        try:
            ask = openai_chat.read_ask(fields_of(call.body))
            if output_cap_tokens:
                ask = msgspec.structs.replace(ask, max_output_tokens=output_cap_tokens)
            told, dropped = anthropic_messages.compose(ask, deployment.upstream_model)
            return Spoken(told, dropped)
        except WireError as error:
            kind = UnsupportedField if error.code == "unsupported_field" else BadRequest
            raise kind(error.message, param=error.param) from None
    asks_usage = call.stream and provider.asks_stream_usage and not call.wants_usage
    limits_output = output_cap_tokens and not OUTPUT_LIMITS.isdisjoint(call.fields)
    if not (asks_usage or provider.drop or provider.rename or limits_output):
        body: bytes | None = call.body
        if call.model != deployment.upstream_model:
            body = replace_model(call.body, call.model, deployment.upstream_model)
        if body is not None and output_cap_tokens:
            body = add_first(body, provider.output_limit, b"%d" % output_cap_tokens)
        if body is not None:
            return Spoken(body)
    changes: dict[str, bytes | None] = {}
    fields = fields_of(call.body)
    if call.model != deployment.upstream_model:
        changes["model"] = msgspec.json.encode(deployment.upstream_model)
    if output_cap_tokens:
        changes |= {**dict.fromkeys(OUTPUT_LIMITS), provider.output_limit: b"%d" % output_cap_tokens}
    if asks_usage:
        changes["stream_options"] = _with_usage(fields.get("stream_options"))
    dropped = tuple(name for name in fields if name in provider.drop)
    for name in dropped:
        changes[name] = None
    for old, new in provider.rename.items():
        if old in fields and new not in fields:
            changes[new], changes[old] = bytes(fields[old]), None
    return Spoken(splice(fields, changes) if changes else call.body, dropped)


def _with_usage(given: msgspec.Raw | None) -> bytes:
    if given is None or bytes(given) == b"null":
        return STREAM_OPTIONS_WITH_USAGE
    options = msgspec.json.decode(given, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({**options, "include_usage": True})


class Whole(Frozen, frozen=True):
    """A whole answer in the caller's wire, with the vendor's usage or None and what was wrong with it."""

    body: bytes
    usage: Usage | None
    problem: str = ""
    text_bytes: int = 0


def whole(call: Call, body: bytes, wire: str, created_at_s: int) -> Whole:
    """Return the answer for the caller, dated `created_at_s` (Unix) if undated. Raises UpstreamFault when it is none."""
    try:
        if wire == CLIENT_WIRE:
            usage, problem = openai_chat.read_usage(body)
            return Whole(body, usage, problem, 0 if usage is not None else _message_bytes(body))
        answer = anthropic_messages.read_answer(body)
        told = openai_chat.write_answer(answer, call.model, created_at_s)
        text_bytes = sum(len(part.text.encode("utf-8", "replace")) for part in answer.parts)
        return Whole(body=told, usage=answer.usage, problem=answer.problem, text_bytes=text_bytes)
    except WireError as error:
        raise UpstreamFault("protocol", error.message, sent=True) from None


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


def heard(body: bytes, came_bytes: int, wire: str, content_type: bytes = ANSWERS[0]) -> Heard:
    """Return what is known of a whole answer that broke: of another type than an answer's, or without a byte, it had not begun."""
    if not came_bytes or content_type not in ANSWERS:
        return NOTHING_HEARD
    try:
        usage, problem = _usage_in(body, wire) if content_type == ANSWERS[0] else (None, "usage_missing")
    except WireError:
        # its numbers are what broke it, such as NaN
        usage, problem = None, "usage_invalid"
    return Heard(began=True, usage=usage, problem=problem, text_bytes=came_bytes)


def _usage_in(body: bytes, wire: str) -> tuple[Usage | None, str]:
    told = member(body, "usage") if len(body) <= SEARCHED_BYTES else b""
    if not told:
        return None, "usage_missing"
    if wire == CLIENT_WIRE:
        return openai_chat.read_usage(b'{"usage":' + told + b"}")
    reported = anthropic_messages.read_vendor_usage(msgspec.Raw(told))
    usage = anthropic_messages.usage_of(reported) if reported is not None and reported.output_tokens is not None else None
    return usage, "" if usage is not None else "usage_invalid"


def heard_of_stream(reader: "Reader", *, is_garbled: bool) -> Heard:
    """Return what is known of a stream that broke before any of it was passed on; an error or comments alone are no answer."""
    usage, partial, text_bytes = reader.usage, reader.partial, reader.text_bytes + reader.pending_bytes
    began = usage is not None or partial is not None or text_bytes > 0 or is_garbled
    problem = "" if usage is not None else reader.problem or "usage_missing"
    return Heard(began=began, usage=usage, partial=partial, problem=problem, text_bytes=text_bytes)


class _Choice(msgspec.Struct):
    message: msgspec.Raw = msgspec.Raw(b"")


class _Choices(msgspec.Struct):
    choices: list[_Choice] = []


def _message_bytes(body: bytes) -> int:
    """Return the size in bytes of an answer's messages, to estimate tokens from; the whole answer's if its shape is unknown."""
    try:
        return sum(len(bytes(choice.message)) for choice in msgspec.json.decode(body, type=_Choices).choices)
    except (msgspec.DecodeError, RecursionError):
        return len(body)


def pending_bytes(buffer: EventBuffer) -> int:
    """Return the size of an event that has begun and not ended, 0 for a comment."""
    pending = buffer.pending
    return 0 if pending.startswith(b":") else len(pending.strip())


class SameWire:
    """A stream in the caller's own wire: events pass byte for byte, the usage event only to callers who asked."""

    __slots__ = ("_buffer", "_keep_usage", "_meter", "error", "finished", "problem", "tail", "text_bytes", "usage")

    def __init__(self, *, keep_usage: bool, limit_bytes: int) -> None:
        self._buffer = EventBuffer(limit_bytes)
        self._meter = openai_chat.Meter()
        self._keep_usage = keep_usage
        self.usage: Usage | None = None
        self.problem = ""
        self.text_bytes = 0
        self.error = ""
        self.finished = False
        self.tail = b""

    @property
    def partial(self) -> Usage | None:
        """Return what the vendor told of a stream that is cut: nothing, for usage comes with its end."""
        return self.usage

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
        if self.finished or self.tail:
            self.tail = b"data: [DONE]\n\n"
            self._note_missing()
        return out

    def _pass(self, events: list[bytes]) -> bytes:
        out = []
        for event in events:
            seen = self._meter.feed(event)
            if seen.terminal:
                self.tail = event
                self._note_missing()
                break
            if seen.error:
                self.error = seen.error
                break
            self.text_bytes += seen.text_bytes
            if seen.finish:
                self.finished = True
            if seen.usage is not None or seen.problem:
                self._take(seen.usage, seen.problem)
            if not seen.usage_only or self._keep_usage:
                out.append(event)
        return out[0] if len(out) == 1 else b"".join(out)

    def _note_missing(self) -> None:
        if self.usage is None:
            self.problem = self.problem or "usage_missing"

    def _take(self, usage: Usage | None, problem: str) -> None:
        if usage is None:
            self.problem = problem
        elif self.usage is None or usage.input_tokens + usage.output_tokens >= self.usage.input_tokens + self.usage.output_tokens:
            self.usage = usage


class Translated:
    """An Anthropic stream told to the caller as OpenAI chunks."""

    __slots__ = ("_buffer", "_reader", "_writer", "error", "finished", "problem", "tail", "text_bytes", "usage")

    def __init__(self, call: Call, created_at_s: int, *, limit_bytes: int) -> None:
        self._buffer = EventBuffer(limit_bytes)
        self._reader = anthropic_messages.ChunkReader()
        self._writer = openai_chat.ChunkWriter(call.model, include_usage=call.wants_usage, id="chatcmpl-" + call.id, created_at_s=created_at_s)
        self.usage: Usage | None = None
        self.problem = ""
        self.text_bytes = 0
        self.error = ""
        self.finished = False
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
        """Return the bytes to pass on now; the terminal event goes to `tail`. Raises WireError on garbage."""
        return self._tell(self._buffer.feed(data))

    def ending(self) -> bytes:
        """Return what was left when the upstream ended; without message_stop it was cut."""
        return self._tell(self._buffer.end())

    def _tell(self, events: list[bytes]) -> bytes:
        out: list[bytes] = []
        for event in events:
            for chunk in self._reader.feed(event):
                if chunk.kind == ChunkKind.ERROR:
                    self.error = chunk.text or "the provider reported an error"
                    return b"".join(out)
                if chunk.usage is not None:
                    self.usage = chunk.usage
                if chunk.kind == ChunkKind.FINISH:
                    self.finished = True
                if chunk.kind == ChunkKind.END:
                    self.tail = self._writer.write(chunk)
                    if self.usage is None:
                        self.problem = self._reader.problem or "usage_missing"
                    return b"".join(out)
                self.text_bytes += len(chunk.text)
                out.append(self._writer.write(chunk))
        return b"".join(out)


Reader = SameWire | Translated


def reader(call: Call, wire: str, created_at_s: int, limit_bytes: int) -> Reader:
    """Return what reads this deployment's stream for this caller."""
    if wire == CLIENT_WIRE:
        return SameWire(keep_usage=call.wants_usage, limit_bytes=limit_bytes)
    return Translated(call, created_at_s, limit_bytes=limit_bytes)


def vendor_message(body: bytes, account: Account, wire: str) -> str:
    """Return the vendor's own words from an error body, without our credential should the vendor have repeated it."""
    module = openai_chat if wire == CLIENT_WIRE else anthropic_messages
    message: str = module.error_message(body)
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


def _plain(value: object, shape: "re.Pattern[str]", account: Account) -> str:
    """Return a word of the vendor's that looks like one and repeats no credential, else nothing."""
    if not isinstance(value, str) or not shape.fullmatch(value) or (account.credential and account.credential in value):
        return ""
    return value
