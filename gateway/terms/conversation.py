"""The neutral conversation, used only when the caller's wire is not the upstream's. None means the caller said nothing."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from gateway.terms.base import Frozen


class PartKind(StrEnum):
    """What a piece of a message is."""

    TEXT = "text"
    IMAGE = "image"
    DOCUMENT = "document"
    AUDIO = "audio"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    REASONING = "reasoning"
    REDACTED = "redacted"
    REFUSAL = "refusal"


class Citation(Frozen, frozen=True):
    """Where a piece of an answer's text comes from; `start` and `end` are characters of that text (in a stream: of all text told so far), -1 if unsaid.

    `document` numbers the cited document of the request from 0 (-1: none of them), `place` is what `first` and `last` (exclusive) count there:
    char, page or block.
    """

    url: str = ""
    title: str = ""
    quoted: str = ""
    start: int = -1
    end: int = -1
    document: int = -1
    place: str = ""
    first: int = -1
    last: int = -1


class Part(Frozen, frozen=True):
    """One piece of a message.

    `text` is the text; the URL or data URL of an image, document or recording; the arguments of a tool call; the vendor's sealed bytes of
    REDACTED reasoning. `name` is a tool's or a file's. `signature` proves reasoning (or a tool call) to the vendor whose wire is `signed_by`, and to
    nobody else. `cache` is how long the vendor shall keep everything up to here: 5m, 1h or "". `detail` is how closely an image is looked at;
    `cites` is whether the answer shall cite this document. `at` is where the caller's request says it, told of what another wire may refuse; "" stands
    for the message's place.
    """

    kind: PartKind
    text: str = ""
    id: str = ""
    name: str = ""
    media_type: str = ""
    is_error: bool = False
    parts: tuple["Part", ...] = ()
    signature: str = ""
    signed_by: str = ""
    cache: str = ""
    detail: str = ""
    citations: tuple[Citation, ...] = ()
    cites: bool = False
    at: str = ""


class Message(Frozen, frozen=True):
    """One turn: role is system, user or assistant (a tool's result is a part of a user turn). `at` is where the caller's request says it."""

    role: str
    parts: tuple[Part, ...]
    at: str = "messages"


class Tool(Frozen, frozen=True):
    """A function the model may call; `schema` is its JSON schema as raw JSON, `cache` as in Part."""

    name: str
    description: str = ""
    schema: msgspec.Raw | None = None
    strict: bool | None = None
    cache: str = ""


class Logprob(Frozen, frozen=True):
    """How likely a token of an answer was (natural logarithm), and how likely the likeliest in its place, itself among them."""

    token: str
    logprob: float
    top: tuple["Logprob", ...] = ()


class ToolChoice(Frozen, frozen=True):
    """mode is auto, none, required or function (then `name`); `parallel` False forbids more than one call per turn."""

    mode: str = "auto"
    name: str = ""
    parallel: bool | None = None


class Ask(Frozen, frozen=True):
    """A chat request in neutral form; `dropped` are the caller's fields that have no neutral form.

    `reasoning_effort` is none, minimal, low, medium, high, xhigh, max or "" (nothing said), `reasoning_budget_tokens` an exact budget instead.
    `shows_reasoning` is whether the caller wants to read the reasoning. `json_strict` is whether the schema must be kept exactly.
    `answers` is how many are wanted; `logprobs` is whether every token comes with its probability, and with how many alternatives (`top_logprobs`).
    """

    model: str
    messages: tuple[Message, ...]
    stream: bool = False
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    json_schema: msgspec.Raw | None = None
    json_schema_name: str = ""
    json_strict: bool | None = None
    json_object: bool = False
    reasoning_effort: str = ""
    reasoning_budget_tokens: int | None = None
    shows_reasoning: bool | None = None
    verbosity: str = ""
    end_user: str = ""
    service_tier: str = ""
    metadata: Mapping[str, str] | None = None
    cache_key: str = ""
    answers: int = 1
    logprobs: bool = False
    top_logprobs: int = 0
    dropped: tuple[str, ...] = ()


class Usage(Frozen, frozen=True):
    """Tokens by kind. The input kinds (cached, cache write, audio) are subsets of `input_tokens`; reasoning and audio output of `output_tokens`; what was
    written to a cache for an hour is among all that was written. `web_searches` is how often the vendor searched the web, which it has a fee for.

    `tier` is the service tier the vendor says it served (batch, flex, priority, fast), "" for the standard one.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    audio_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_output_tokens: int = 0
    tier: str = ""
    cache_write_1h_tokens: int = 0
    web_searches: int = 0


class Answer(Frozen, frozen=True):
    """A whole answer in neutral form; `finish` is stop, length, tool_calls, content_filter; `problem` says why usage is None.

    `stop_sequence` is the one that ended the answer, where the vendor says so. `others` are the further answers where several were wanted, of which
    parts, finish and `logprobs` count. `untold` names kinds of parts that have no neutral form.
    """

    id: str
    model: str
    parts: tuple[Part, ...]
    finish: str
    usage: Usage | None
    problem: str = ""
    created_at_s: int = 0
    service_tier: str = ""
    stop_sequence: str = ""
    logprobs: tuple[Logprob, ...] = ()
    others: tuple["Answer", ...] = ()
    untold: tuple[str, ...] = ()


class ChunkKind(StrEnum):
    """What a neutral stream event says."""

    START = "start"
    TEXT = "text"
    REASONING = "reasoning"
    SIGNATURE = "signature"
    REDACTED = "redacted"
    REFUSAL = "refusal"
    CITATION = "citation"
    IMAGE = "image"
    TOOL_START = "tool_start"
    TOOL_ARGUMENTS = "tool_arguments"
    FINISH = "finish"
    USAGE = "usage"
    END = "end"
    ERROR = "error"
    PING = "ping"
    UNTOLD = "untold"
    LOGPROBS = "logprobs"


class Chunk(Frozen, frozen=True):
    """One neutral stream event. `index` numbers tool calls of a turn from 0; `text` is the delta, the signature, a whole picture's data URL or the error's
    message.

    A SIGNATURE closes the reasoning before it (which may be one empty REASONING chunk), or signs the tool call that comes next when none came;
    `signed_by` as in Part. `stop_sequence`
    comes with FINISH. UNTOLD names a kind of part that has no neutral form. Writers find the borders of blocks in the change of kind or index.
    """

    kind: ChunkKind
    text: str = ""
    index: int = 0
    id: str = ""
    name: str = ""
    finish: str = ""
    usage: Usage | None = None
    status: int = 0
    signed_by: str = ""
    stop_sequence: str = ""
    citation: Citation | None = None
    extra: Mapping[str, Any] | None = None


class TokensChunk(Chunk, frozen=True):
    """How likely the tokens of the text before it were; seldom asked for, so that other chunks need no place for it."""

    tokens: tuple[Logprob, ...] = ()
