"""Reads and writes the paths under which Bedrock's models are asked, `/model/{model}/{method}`. Knows nothing of what is sent there."""

import re
from urllib.parse import quote, unquote

from gateway.terms import Headers
from gateway.wire import Named

CONVERSE, INVOKE, COUNT = "converse", "invoke", "count-tokens"
# endpoints by the method that a path ends with, and whether the answer streams
_METHODS = {
    "converse": (CONVERSE, False),
    "converse-stream": (CONVERSE, True),
    "invoke": (INVOKE, False),
    "invoke-with-response-stream": (INVOKE, True),
    "count-tokens": (COUNT, False),
}
_STREAMED = {endpoint: method for method, (endpoint, streams) in _METHODS.items() if streams}
_PATH = re.compile(r"model/(.+)/([a-z-]+)", re.IGNORECASE)
_NAME_CHARS = 2048


def write_path(model: str, endpoint: str, *, stream: bool) -> str:
    """Return the path of an endpoint of a model, whatever is in the model's name."""
    return f"/model/{quote(model, safe='')}/{_STREAMED[endpoint] if stream else endpoint}"


def read_path(path: str, others: frozenset[str] = frozenset()) -> Named | None:
    """Return endpoint, model and whether it streams of a path without its first slash, None for a path that is no method of a model."""
    found = _PATH.fullmatch(path)
    method = _METHODS.get(found[2].lower()) if found is not None else None
    model = unquote(found[1]) if found is not None else ""
    return Named(method[0], model, method[1]) if method is not None and len(model) <= _NAME_CHARS else None


def locate(rest: str) -> str:
    """Return the endpoint that the rest of a provider path stands for; a rest that names no method stands for itself."""
    named = read_path(rest)
    return rest if named is None else named.endpoint


def other_path(rest: str) -> str:
    """Return the path of what is not metered: as it came."""
    return "/" + rest


def tells(headers: Headers) -> tuple[Headers, tuple[str, ...]]:
    """Return nothing to pass on: what these headers ask for has a price that no answer tells of, or belongs to whoever holds the account."""
    return (), tuple(name.decode() for name, _ in headers)
