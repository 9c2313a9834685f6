"""Decides what a simulated model says to a prompt, from the prompt alone. Knows no wire and no socket."""

import hashlib
import re
from collections.abc import Mapping
from itertools import cycle, islice
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from gateway.simulator.catalogue import SimModel
from gateway.simulator.directives import Directives
from gateway.simulator.instances import instance

WORDS = [
    "the",
    "gateway",
    "answers",
    "calmly",
    "while",
    "models",
    "count",
    "tokens",
    "and",
    "budgets",
    "hold",
    "steady",
    "across",
    "every",
    "project",
    "team",
    "route",
    "key",
    "stream",
    "chunk",
    "price",
    "meter",
    "ledger",
    "window",
    "policy",
    "review",
    "signal",
    "river",
    "stone",
    "garden",
    "lantern",
    "harbour",
    "window",
    "bridge",
    "morning",
]
WIDE_WORDS = ("naïve", "café", "日本語", "Ελλάδα", "привет", "🙂", "👩‍👩‍👧", "šťastný")
PIECES = re.compile(r"\s*\S+|\s+$")
NAMES = re.compile(r"\b[A-Z][\w-]+(?:, [A-Z][\w-]+)*,? and [A-Z][\w-]+")
NAME = re.compile(r"(?<=\s)[A-Z][\w-]+")
ASKS_FOR_TOOL = re.compile(r"\b(tool|function)s?\b", re.IGNORECASE)
IMAGE_TOKENS = 85


class Offered(NamedTuple):
    """A tool the caller offers, with the JSON schema of its arguments."""

    name: str
    schema: Any


class Prompt(NamedTuple):
    """A request as a wire read it. `tool_mode` is auto, none, required or a tool's name; `text` is the last user turn.

    `asked` is what an answer repeats of its request, where the wire's answers do.
    """

    model: SimModel
    text: str
    directives: Directives
    seed: bytes
    input_tokens: int
    stream: bool
    wants_usage: bool = False
    choices: int = 1
    tools: tuple[Offered, ...] = ()
    tool_mode: str = "auto"
    parallel: bool = True
    tool_results: tuple[str, ...] = ()
    schema: Any = None
    json_object: bool = False
    images: tuple[str, ...] = ()
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    thinks: bool = False
    shows_thinking: bool = False
    marked_tokens: int = 0
    marked_for_an_hour: bool = False
    echo: str = ""
    asked: Mapping[str, Any] = MappingProxyType({})


class ToolCall(NamedTuple):
    """One call of an offered tool; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str


class Counts(NamedTuple):
    """Tokens of an exchange; cached and cache-write tokens are subsets of input, reasoning of output."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_1h_tokens: int = 0


class Reply(NamedTuple):
    """What the model says: one piece a token. `finish` is stop, stop_sequence, length, tool_calls, content_filter or refusal."""

    pieces: tuple[str, ...]
    calls: tuple[ToolCall, ...]
    reasoning: tuple[str, ...]
    finish: str
    stop_sequence: str
    counts: Counts

    @property
    def text(self) -> str:
        """The whole text of the answer."""
        return "".join(self.pieces)


def tokens_in(text: str) -> int:
    """Return the simulated token count of a text: one for every four bytes, rounded up."""
    return (len(text.encode("utf-8", "replace")) + 3) // 4


def seed_of(*parts: Any) -> bytes:
    """Return 32 bytes that depend on the given JSON-like parts and on nothing else."""
    return hashlib.blake2b(orjson.dumps(parts), digest_size=32).digest()


def identifier(prefix: str, seed: bytes, salt: str = "") -> str:
    """Return a vendor-like id that is the same for the same seed."""
    return prefix + hashlib.blake2b(seed + salt.encode(), digest_size=12).hexdigest()


def answer(prompt: Prompt, index: int = 0) -> Reply:
    """Return the reply to a prompt; `index` tells several choices of one request apart."""
    seed = prompt.seed if not index else hashlib.blake2b(prompt.seed + bytes([index]), digest_size=32).digest()
    calls = _calls(prompt, seed)
    reasoning = _reasoning(prompt, seed)
    pieces = () if calls else _pieces(prompt, seed)
    pieces, stop_sequence = _stopped(pieces, prompt.stop)
    finish = "tool_calls" if calls else "stop_sequence" if stop_sequence else "stop"
    if prompt.max_tokens is not None and len(reasoning) + len(pieces) > prompt.max_tokens:
        reasoning = reasoning[: prompt.max_tokens]
        pieces, finish, stop_sequence = pieces[: prompt.max_tokens - len(reasoning)], "length", ""
    finish = prompt.directives.word("finish") or finish
    return Reply(pieces, calls, reasoning, finish, stop_sequence, _counts(prompt, pieces, calls, reasoning))


def _counts(prompt: Prompt, pieces: tuple[str, ...], calls: tuple[ToolCall, ...], reasoning: tuple[str, ...]) -> Counts:
    output_tokens = len(pieces) + len(reasoning) + sum(6 + tokens_in(call.arguments) for call in calls)
    cached = min(prompt.directives.number("cached"), prompt.input_tokens)
    written = prompt.directives.number("cache_write", 0 if cached else prompt.marked_tokens)
    written = min(written, prompt.input_tokens - cached)
    return Counts(prompt.input_tokens, output_tokens, cached, written, len(reasoning), written if prompt.marked_for_an_hour else 0)


def _pieces(prompt: Prompt, seed: bytes) -> tuple[str, ...]:
    directives = prompt.directives
    if directives.has("echo") or directives.has("say"):
        return tuple(PIECES.findall(prompt.echo or directives.word("say") or prompt.text))
    if prompt.schema is not None:
        return _cut(orjson.dumps(instance(prompt.schema)).decode(), 8)
    if prompt.json_object:
        return _cut(orjson.dumps({"simulated": True, "answer": f"A simulated answer from {prompt.model.id}."}).decode(), 8)
    if directives.has("tokens"):
        return _words(seed, directives.number("tokens"), WIDE_WORDS if directives.has("split_utf8") else WORDS)
    opening = f"Simulated answer from {prompt.model.id}."
    if prompt.tool_results:
        opening += f" The tool returned: {' | '.join(prompt.tool_results)[:2_000]}"
    if prompt.images:
        opening += f" I was shown {len(prompt.images)} image{'s' if len(prompt.images) > 1 else ''} ({', '.join(prompt.images)})."
    words = _words(seed, 8 + seed[0] % (prompt.model.longest_words - 8), WIDE_WORDS if directives.has("split_utf8") else WORDS)
    return (*PIECES.findall(opening), " " + words[0], *words[1:])


def _words(seed: bytes, count: int, words: Any) -> tuple[str, ...]:
    chosen = islice(cycle(seed), count)
    made = [words[(byte + place) % len(words)] for place, byte in enumerate(chosen)]
    return tuple(word if place == 0 else " " + word for place, word in enumerate(made))


def _cut(text: str, size: int) -> tuple[str, ...]:
    return tuple(text[start : start + size] for start in range(0, len(text), size))


def _reasoning(prompt: Prompt, seed: bytes) -> tuple[str, ...]:
    return _words(seed[::-1], 16 + seed[1] % 48, WORDS) if prompt.thinks or prompt.model.reasons else ()


def _stopped(pieces: tuple[str, ...], stops: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    if not stops or not pieces:
        return pieces, ""
    text = "".join(pieces)
    found = min(((text.find(stop), stop) for stop in stops if stop and stop in text), default=None)
    return (pieces, "") if found is None else (tuple(PIECES.findall(text[: found[0]])), found[1])


def _calls(prompt: Prompt, seed: bytes) -> tuple[ToolCall, ...]:
    """A tool is called when the choice forces it, a directive asks, or the prompt names it; never right after a result."""
    if not prompt.tools or prompt.tool_mode == "none":
        return ()
    directives = prompt.directives
    named = [tool for tool in prompt.tools if tool.name in (prompt.tool_mode, directives.word("call"))]
    forced = prompt.tool_mode != "auto"
    asked = directives.has("call") or directives.number("calls") > 0
    if prompt.tool_results and not forced:
        return ()
    wanted = named or [tool for tool in prompt.tools if _mentions(prompt.text, tool.name)]
    if not wanted and (forced or asked or ASKS_FOR_TOOL.search(prompt.text)):
        wanted = list(prompt.tools[:1])
    if not wanted:
        return ()
    names = _proper_names(prompt.text)
    count = directives.number("calls", max(len(wanted), len(names)) if len(names) > 1 else len(wanted)) if prompt.parallel else 1
    texts = [names[place % len(names)] for place in range(count)] if names else [""] * count
    return tuple(_call(wanted[place % len(wanted)], seed, place, text) for place, text in enumerate(texts))


def _call(tool: Offered, seed: bytes, place: int, text: str) -> ToolCall:
    arguments = instance(tool.schema, (text,) if text else ()) if tool.schema else {}
    return ToolCall(identifier("", seed, f"call{place}"), tool.name, orjson.dumps(arguments if isinstance(arguments, dict) else {}).decode())


def _mentions(text: str, name: str) -> bool:
    lowered = text.lower()
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if len(word) > 3]
    return name.lower() in lowered or any(word in lowered for word in words)


def _proper_names(text: str) -> list[str]:
    listed = NAMES.search(text)
    if listed:
        return re.findall(r"[A-Z][\w-]+", listed.group())
    return NAME.findall(text)[:1]
