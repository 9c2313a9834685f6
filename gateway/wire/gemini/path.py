"""Reads and writes Gemini's paths: `models/{model}:{method}`. A model's name may hold slashes and colons; the last colon ends it."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from gateway.wire import Named

STREAMED = "streamGenerateContent"
_METHODS = {"generateContent": ("generateContent", False), STREAMED: ("generateContent", True)}
_VERSIONS = ("v1beta/", "v1/", "v1alpha/")
_NAME_CHARS = 400
# the Live API is a WebSocket beside the versions; its model stands in the first message
LIVE = "BidiGenerateContent"
_LIVE_AT = r"ws/google\.(?:ai\.generativelanguage\.v1(?:beta|alpha)?\.GenerativeService\.|cloud\.aiplatform\.v1(?:beta1)?\.LlmBidiService/)"
LIVE_PATH = re.compile(_LIVE_AT + LIVE)
# the same in Google Cloud
CLOUD_LIVE_PATH = "/ws/google.cloud.aiplatform.v1.LlmBidiService/" + LIVE
_IN_CLOUD = re.compile(r"(?:projects/[^/]+/locations/[^/]+/)?(?:publishers/google/models/|(?=endpoints/))")


def read_path(path: str, others: frozenset[str] = frozenset()) -> Named | None:
    """Return endpoint, model and whether it streams of a path without its first slash, None for a path that is no method of a model."""
    for version in _VERSIONS:
        if path.startswith(version):
            path = path[len(version) :]
            break
    collection, _, rest = path.partition("models/")
    if collection not in ("", "publishers/google/") or not rest:
        return None
    name, colon, method = rest.rpartition(":")
    if not colon:
        name, colon, method = unquote(rest).rpartition(":")
    found = _METHODS.get(method) or ((method, False) if method in others else None)
    model = unquote(name)
    if found is None or not model or len(model) > _NAME_CHARS:
        return None
    return Named(found[0], model, found[1])


def write_path(model: str, endpoint: str, *, stream: bool) -> str:
    """Return the path of a method below the API's version; a stream is always asked for as server-sent events."""
    name = quote(model if model.startswith(("models/", "tunedModels/", "publishers/", "endpoints/", "projects/")) else f"models/{model}")
    return f"{name}:{STREAMED}?alt=sse" if stream else f"{name}:{endpoint}"


def in_cloud(model: str, options: Mapping[str, str]) -> str:
    """Return a model's whole name in the Google Cloud project and location of an account."""
    named = model if "/" in model else f"publishers/google/models/{model}"
    return f"projects/{options.get('project', '')}/locations/{options.get('location', '')}/{named}"


def bare(model: str) -> str:
    """Return a model's name without the place that Google's clients put before it."""
    return _IN_CLOUD.sub("", model, count=1).removeprefix("models/") if _IN_CLOUD.match(model) else model.removeprefix("models/")


def locate(rest: str, others: frozenset[str]) -> str:
    """Return the endpoint that the rest of a provider path stands for; a rest that names no method stands for itself."""
    if LIVE_PATH.fullmatch(rest):
        return LIVE
    named = read_path(rest, others)
    return rest if named is None else named.endpoint


def other_path(rest: str) -> str:
    """Return the path under the base URL of what is not metered: as it came, with the API's version if it came without."""
    return "/" + rest if rest.startswith((*_VERSIONS, "upload/")) else "/v1beta/" + rest


def listed(listing: Mapping[str, Any]) -> list[str]:
    """Return the model names of a listing."""
    return [name.rpartition("models/")[2] for row in listing.get("models", []) if isinstance(name := row["name"], str)]
