"""Golden cases of the grid: client wire x upstream wire x feature, and how a case is played through the code that serves calls."""

import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from gateway.plane import speak
from gateway.plane.route import Route
from gateway.simulator.event_stream import frame
from gateway.terms import Usage
from gateway.wire import Told, Wire, shelf
from gateway.wire.sse import EventBuffer, data_of
from gateway.wire.strict import fields
from tests.gateway.plane.builders import call

ROOT = Path(__file__).parents[2] / "cases" / "wires"
FEATURES: dict[str, str] = orjson.loads((ROOT / "features.json").read_bytes())
MODEL = "house-model"
CREATED_AT_S = 1_700_000_000
LIMIT_BYTES = 1 << 20
# a prompt and its continuation: none of the features of a conversation but text
NO_CONVERSATION = frozenset({"openai_completions"})
# fields that may hold a text of JSON
WRITTEN_BY_MODELS = frozenset({"arguments", "partial_json", "delta"})
Case = dict[str, Any]
Write = Callable[[Any], bytes]


def pairs() -> list[tuple[str, str]]:
    """Return every pair of wires between which conversations are translated: client, upstream."""
    found = [wire for wire in shelf().values() if wire.name not in NO_CONVERSATION]
    return [(one.name, other.name) for one in found if one.client is not None for other in found if other.upstream is not None and other is not one]


@cache
def cases() -> dict[str, Case]:
    """Return all cases by `<client>--<upstream>/<feature>.<n>`."""
    found = {}
    for path in sorted(ROOT.glob("*--*/*.json")):
        client, _, upstream = path.parent.name.partition("--")
        found[f"{path.parent.name}/{path.stem}"] = {**orjson.loads(path.read_bytes()), "client": client, "upstream": upstream}
    return found


def feature_of(name: str) -> str:
    """Return which feature a case's name is about."""
    return name.partition("/")[2].partition(".")[0]


def route_of(case: Case) -> Route:
    """Return the way a case goes through the gateway."""
    client, upstream = shelf()[case["client"]], shelf()[case["upstream"]]
    return Route(endpoint="-", wire=upstream, client=client, is_same=False, read_usage=upstream.read_usage)


def composed(case: Case, write: Write = orjson.dumps) -> tuple[bytes, tuple[str, ...]]:
    """Return the request a case's becomes, and what it leaves out, as the caller calls it. Raises WireError."""
    client, upstream = route_of(case).sides
    given = fields(write(case["ask"]))
    return speak.composed(client, upstream, client.read_ask(given, MODEL, "stream" in case), case["upstream_model"], given)


def told_of(case: Case) -> Told:
    """Return who is told the answers of a case."""
    return Told(model=MODEL, call_id="1", created_at_s=CREATED_AT_S, body=orjson.dumps(case["ask"]))


def bytes_of(body: object) -> bytes:
    """Return an answer's bytes; a text stands for itself."""
    return body.encode() if isinstance(body, str) else orjson.dumps(body)


def written_otherwise(body: object) -> bytes:
    """Return the same, as somebody else writes JSON: in many lines, and with letters escaped that need not be."""
    return body.encode() if isinstance(body, str) else json.dumps(body, indent=1).encode()


def plain(told: Any, name: str = "") -> Any:
    """Return what was told with the arguments of tools read, which pass as their model wrote them."""
    if isinstance(told, dict):
        return {key: plain(value, key) for key, value in told.items()}
    if isinstance(told, list):
        return [plain(value) for value in told]
    return orjson.loads(told) if name in WRITTEN_BY_MODELS and isinstance(told, str) and told.startswith("{") and told.endswith("}") else told


def stream_of(events: Iterable[object], wire: Wire, write: Write = bytes_of, newline: bytes = b"\n") -> bytes:
    """Return the bytes of an upstream's stream: objects are data, `{event, data}` names its event, `{comment}` is one, texts stand for their data."""
    return b"".join(_event(event, wire, write, newline) for event in events)


def _event(event: Any, wire: Wire, write: Write, newline: bytes) -> bytes:
    if isinstance(event, dict) and event.keys() == {"comment"} and isinstance(event["comment"], str):
        return b": " + event["comment"].encode() + 2 * newline
    named = isinstance(event, dict) and event.keys() == {"event", "data"}
    name, data = (event["event"], event["data"]) if named else (event.get("type", "") if isinstance(event, dict) else "", event)
    if wire.stream_type != b"text/event-stream":
        return frame(name, write(data), "exception" if name.endswith("Exception") else "event")
    head = b"event: " + name.encode() + newline if name else b""
    return head + b"".join(b"data: " + line + newline for line in write(data).split(b"\n")) + newline


def played(case: Case, pieces: Iterable[bytes]) -> tuple[list[object], Usage | None, str]:
    """Return what a client gets of a stream that comes in these pieces, the usage, and the error or what is wrong with the usage."""
    reader = speak.reader(_call(case), route_of(case), CREATED_AT_S, LIMIT_BYTES)
    out = b""
    for piece in pieces:
        if not (reader.done or reader.error):
            out += reader.feed(piece)
    if not (reader.done or reader.error):
        out += reader.ending()
    told = [short(event) for event in EventBuffer().feed(out + reader.tail)]
    return told, reader.usage, reader.error or reader.problem or ("" if reader.done else "cut")


def short(event: bytes) -> object:
    """Return an event's data, a comment as its text."""
    data = data_of(event)
    if not data:
        return event.decode().strip()
    if data == b"[DONE]":
        return data.decode()
    told = orjson.loads(data)
    # what is written otherwise than we write is shown as it is, and like no case
    return told if orjson.dumps(told) == data else data


def _call(case: Case) -> Any:
    return call(id="1", model=MODEL, stream=True, wants_usage=True, body=orjson.dumps(case["ask"]))


def usage_of(case: Case) -> Usage | None:
    """Return the usage a case expects, None where it expects none."""
    return Usage(**case["usage"]) if case.get("usage") is not None else None
