"""Nonsense in any field, of a caller's request or of a vendor's answer, is told as such and never breaks the gateway."""

import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from gateway.wire import WireError, shelf
from gateway.wire.references import references
from gateway.wire.strict import check
from tests.gateway.wire.grid import LIMIT_BYTES, Case, cases, composed, pairs, played, route_of, stream_of, told_of

Path = tuple[str | int, ...]
GONE = object()
# what JSON can say in the place of a value, numbers beyond every integer among it
GARBAGE: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 10**18, 1e300, "", "x", "\0", [], [None], [[]], [{}], ["x"], {}, {"type": []}, {"type": {}}, {"": {}}, GONE,
)  # fmt: skip


def _paths(node: Any, at: Path = ()) -> Iterator[Path]:
    members = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in members:
        yield (*at, name)
        yield from _paths(value, (*at, name))


def _with(node: Any, path: Path, value: Any) -> Any:
    """Return a copy of a tree with another value at a path, or none there."""
    name, *rest = path
    if isinstance(node, dict):
        others = {key: child for key, child in node.items() if key != name}
        return others if not rest and value is GONE else {**node, name: _with(node[name], tuple(rest), value) if rest else value}
    if not rest and value is GONE:
        return [child for index, child in enumerate(node) if index != name]
    return [(_with(child, tuple(rest), value) if rest else value) if index == name else child for index, child in enumerate(node)]


def _kind(node: Any, path: Path) -> tuple[str, ...]:
    """Return what a place is: the names that lead to it, with the types of the objects on the way."""
    words = []
    for name in path:
        if isinstance(name, str):
            words.append(f"{node.get('type', '')}.{name}")
        node = node[name]
    return tuple(words)


# One place may be nonsense because of another: what is named, where something it needs was spoilt elsewhere.
BECAUSE_OF = {
    "tools.input_schema": "tools.type",  # without a type a tool of the vendor's is a function
    "messages.content.tool_use_id": "messages.content.id",  # results answer calls
    "messages.tool_call_id": "messages.tool_calls",
    "contents.parts.functionResponse": "contents.parts.functionCall",
    "input.call_id": "input.call_id",
    "input.content": "input.type",  # without a type an item is a message
    "input": "prompt",  # one of the two is needed
    "top_logprobs": "logprobs include",  # is told with them alone
    "generationConfig.logprobs": "generationConfig.responseLogprobs",
}


def _names(error: WireError, path: Path, client: str) -> bool:
    """Say whether an error names the spoilt place, what holds it or what the nonsense in it lacks, or something that is nonsense because of it."""
    said = re.findall(r"[^.\[\]]+", error.param or "")
    # Google's fields may be spelt in two ways, and are named in one
    spoilt = [_camel(str(name)) if client == "gemini" else str(name) for name in path]
    shared = min(len(said), len(spoilt))
    if said and said[:shared] == spoilt[:shared]:
        return True
    cause = ".".join(name for name in spoilt if not name.isdecimal())
    because = BECAUSE_OF.get(".".join(name for name in said if not name.isdecimal()), "")
    return any((cause + ".").startswith(each + ".") for each in because.split())


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


def _spoilt(client: str, upstream: str, member: str) -> Iterator[tuple[Case, Any, Path]]:
    """Return every case of a pair with each kind of place in its `member` spoilt in every way, the same place once, and the place."""
    seen: set[tuple[str, ...]] = set()
    for case in cases().values():
        if (case["client"], case["upstream"]) != (client, upstream) or not isinstance(case.get(member), dict | list):
            continue
        for path in _paths(case[member]):
            kind = _kind(case[member], path)
            if kind in seen:
                continue
            seen.add(kind)
            yield from ((case, _with(case[member], path, value), path) for value in GARBAGE)


@pytest.mark.parametrize(("client", "upstream"), pairs())
def test_a_spoilt_request_is_refused_or_taken(client: str, upstream: str) -> None:
    speaker = shelf()[client].client
    assert speaker is not None
    taken = refused = 0
    misnamed: set[tuple[Path, str | None, str]] = set()
    for case, ask, path in _spoilt(client, upstream, "ask"):
        try:
            parsed = check(orjson.dumps(ask))
            speaker.read_head(parsed)
            if speaker.may_name is not None and speaker.may_name(parsed):
                references(parsed)
            composed({**case, "ask": ask})
            taken += 1
        except WireError as error:
            refused += 1
            # a case that is refused as it is may still be, for its own reason
            if error.param != case.get("refused", {}).get("param") and not _names(error, path, client):
                misnamed.add((path, error.param, error.message))
    assert misnamed == set()
    assert min(taken, refused) > 100


@pytest.mark.parametrize(("client", "upstream"), pairs())
def test_a_spoilt_answer_is_told_or_called_garbage(client: str, upstream: str) -> None:
    told = refused = 0
    for case, answer, _ in _spoilt(client, upstream, "answer"):
        speaker, provider = route_of(case).sides
        try:
            read = provider.read_answer(orjson.dumps(answer))
            orjson.loads(speaker.write_answer(read, told_of(case)))
            speaker.left_out(read)
            told += 1
        except WireError:
            refused += 1
    assert min(told, refused) > 10


@pytest.mark.parametrize(("client", "upstream"), pairs())
def test_a_spoilt_stream_is_told_or_called_garbage(client: str, upstream: str) -> None:
    told = refused = 0
    wire = shelf()[upstream]
    for case, events, _ in _spoilt(client, upstream, "stream"):
        try:
            heard, _, _ = played(case, [stream_of([event if _is_event(event) else orjson.dumps(event).decode() for event in events], wire)])
            assert all(isinstance(event, dict | list | str) for event in heard)
            told += 1
        except WireError:
            refused += 1
    assert min(told, refused) > 5


@pytest.mark.parametrize("upstream", sorted({upstream for _, upstream in pairs()}))
def test_a_spoilt_answer_of_the_same_wire_is_metered_or_called_garbage(upstream: str) -> None:
    wire, client = shelf()[upstream], next(client for client, other in pairs() if other == upstream)
    believed = doubted = 0
    for _, answer, _ in _spoilt(client, upstream, "answer"):
        try:
            usage, problem = wire.read_usage(orjson.dumps(answer))
            wire.text_bytes(orjson.dumps(answer))
            assert (usage is None) == bool(problem)
            believed, doubted = believed + (usage is not None), doubted + (usage is None)
        except WireError:
            doubted += 1
    for _, events, _ in _spoilt(client, upstream, "stream"):
        try:
            meter = wire.meter()
            for event in wire.buffer(LIMIT_BYTES).feed(stream_of(filter(_is_event, events), wire)):
                meter.feed(event)
        except WireError:
            doubted += 1
    assert min(believed, doubted) > 100


def _is_event(event: Any) -> bool:
    """Say whether an event's name can stand on a line of its own."""
    if not isinstance(event, dict):
        return isinstance(event, str)
    return isinstance(event.get("event" if event.keys() == {"event", "data"} else "type", ""), str)
