"""Reads a legacy completion into the neutral form: one plain prompt becomes one question. Knows no vendor."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.terms import Ask, Message, Part, PartKind
from gateway.wire import WireError
from gateway.wire import given as read
from gateway.wire.openai_completions.head import DEFAULT_MAX_TOKENS

_KNOWN = frozenset(("model", "prompt", "stream", "stream_options", "max_tokens", "temperature", "top_p", "stop", "seed", "user", "n", "best_of"))
# Chat models can neither repeat nor continue a prompt, nor say how likely its tokens were.
_REFUSED = frozenset(("echo", "suffix", "logprobs"))


def read_ask(fields: Mapping[str, msgspec.Raw], model: str, stream: bool) -> Ask:
    """Return the request in neutral form. Raises WireError("invalid_request") for nonsense, WireError("unsupported_field") for what no chat model does."""
    given = {name: raw for name, raw in fields.items() if name in _KNOWN or not read.says_nothing(raw) or (name == "logprobs" and bytes(raw) != b"null")}
    for name in sorted(_REFUSED & given.keys()):
        raise read.unsupported(name)
    values = {name: value for name, raw in given.items() if (value := read.value(name, raw)) is not None}
    for name in ("n", "best_of"):
        if read.integer(values.get(name), name, 1) not in (None, 1):
            raise read.unsupported(name)
    penalties = {name: read.number(values.get(name), name, 2, -2) for name in ("frequency_penalty", "presence_penalty")}
    stop = values.get("stop")
    stops = [stop] if isinstance(stop, str) else read.list_(stop or [], "stop")
    limit = read.integer(values.get("max_tokens"), "max_tokens", 1)
    return Ask(
        model=model,
        messages=(Message(role="user", parts=(Part(kind=PartKind.TEXT, text=_prompt(values.get("prompt"))),), at="prompt"),),
        stream=stream,
        max_output_tokens=DEFAULT_MAX_TOKENS if limit is None else limit,
        temperature=read.number(values.get("temperature"), "temperature", 2),
        top_p=read.number(values.get("top_p"), "top_p", 1),
        frequency_penalty=penalties["frequency_penalty"],
        presence_penalty=penalties["presence_penalty"],
        stop=tuple(read.text(each, "stop") for each in stops),
        seed=read.integer(values.get("seed"), "seed", -(2**63)),
        end_user=read.text(values.get("user") or "", "user"),
        dropped=read.dropped([name for name in given if name not in _KNOWN and name not in penalties]),
    )


def _prompt(given: Any) -> str:
    """Return the one text a prompt is."""
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], str):
        given = given[0]
    if isinstance(given, list):
        raise WireError(
            "unsupported_field", "the provider of this model takes one prompt as text: send one call for each, and no tokens, or choose another model", "prompt"
        )
    text = read.text(given, "prompt")
    if not text:
        raise read.invalid("prompt", "prompt must not be empty: say something")
    return text
