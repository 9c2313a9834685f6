"""Log probabilities as OpenAI's two wires write them, and as they are read there. Knows nothing of the answers around them."""

from collections.abc import Sequence
from typing import Any

from gateway.terms import Logprob

MOST_ALTERNATIVES = 20


def read(value: object) -> tuple[Logprob, ...]:
    """Return the tokens of a list, those left out that make no sense."""
    return tuple(found for each in value if (found := _read(each)) is not None) if isinstance(value, list) else ()


def _read(value: object) -> Logprob | None:
    if not isinstance(value, dict):
        return None
    token, logprob = value.get("token"), value.get("logprob")
    if not isinstance(token, str) or isinstance(logprob, bool) or not isinstance(logprob, int | float):
        return None
    return Logprob(token=token, logprob=float(logprob), top=read(value.get("top_logprobs")))


def written(tokens: Sequence[Logprob]) -> list[dict[str, Any]]:
    """Return tokens with their alternatives."""
    return [{**_written(each), "top_logprobs": [_written(one) for one in each.top]} for each in tokens]


def _written(one: Logprob) -> dict[str, Any]:
    return {"token": one.token, "logprob": one.logprob, "bytes": list(one.token.encode("utf-8", "replace"))}
