"""What stands around bodies: headers of answers, and refusals, as callers of each wire are told them by vendors of each; played through the whole corridor."""

import asyncio
from functools import cache
from typing import Any

import orjson

from gateway.consumers import advice, detail_of
from gateway.wire import by_endpoint, shelf
from gateway.wire.lines import headers
from tests.gateway.plane.builders import call, caller
from tests.gateway.plane.corridor import Answer, Scene, Vendor
from tests.gateway.wire.grid import ROOT, cases, pairs

PLACE = ROOT / "around"
# who speaks each wire, as on the shelf
VENDORS = {
    "openai_chat": "openai",
    "openai_responses": "simulator_responses",
    "anthropic_messages": "simulator_anthropic",
    "gemini": "simulator_google",
    "bedrock_converse": "bedrock",
}
ENDPOINTS = {"openai_chat": "chat/completions", "openai_responses": "responses", "anthropic_messages": "messages", "gemini": "generateContent"}
# what the simplest request is on each wire
ASKED: dict[str, dict[str, Any]] = {
    "openai_chat": {"model": "chat", "messages": [{"role": "user", "content": "Hi."}]},
    "openai_responses": {"model": "chat", "input": "Hi.", "store": False},
    "anthropic_messages": {"model": "chat", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi."}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hi."}]}]},
}
# what every answer has, whatever its wires are
COMMON = frozenset({"content-type", "server-timing", "cache-control", "content-security-policy", "x-content-type-options", "x-sgw-attempts"})
COMMON_OURS = frozenset({"content-length", "x-sgw-account", "x-sgw-cache", "x-sgw-cost-usd", "x-sgw-deployment", "x-sgw-model", "x-sgw-provider"})
Told = dict[str, Any]


@cache
def scripts() -> dict[str, dict[str, dict[str, Any]]]:
    """Return what vendors say by wire and title: status, headers, body (an answer's is that of a golden case), and what callers of each wire are told."""
    return {path.stem: orjson.loads(path.read_bytes()) for path in sorted(PLACE.glob("*.json"))}


def clients(upstream: str) -> list[str]:
    """Return the wires whose callers may be served by a vendor of a wire, its own among them."""
    return [wire for wire in ENDPOINTS if wire == upstream or (wire, upstream) in pairs()]


def told(client: str, upstream: str, said: dict[str, Any]) -> Told:
    """Return status, headers and, of a refusal, the body that a caller is told."""
    body = said["body"] if "body" in said else cases()[_any_case(client, upstream)]["answer"]
    also = tuple((name.encode(), value.encode()) for name, value in said["headers"].items())
    vendor = Vendor(Answer((orjson.dumps(body),), status=said["status"], also=also))
    asked = call(endpoint=ENDPOINTS[client], surface=shelf()[client].surface, body=orjson.dumps(ASKED[client]), fields=frozenset(ASKED[client]))
    heard, refusal = asyncio.run(Scene(**{VENDORS[upstream]: vendor}).carry(asked, caller()))
    if refusal is None:
        return {"status": heard.status, "headers": _named(heard.headers)}
    side = by_endpoint()[ENDPOINTS[client]].callers
    assert side is not None
    detail = detail_of(refusal, asked.id, "")
    written = side.error_body(refusal.status, refusal.code, refusal.kind, refusal.message, refusal.param, detail)
    return {"status": refusal.status, "headers": _named(dict(headers(advice(refusal)))), "body": orjson.loads(written)}


def _any_case(client: str, upstream: str) -> str:
    """Return a case whose answer is a vendor's of this wire."""
    if client != upstream:
        return f"{client}--{upstream}/text"
    return next(f"{one}--{other}/text" for one, other in pairs() if other == upstream)


def _named(found: dict[bytes, bytes]) -> dict[str, str]:
    named = {name.decode(): value.decode() for name, value in sorted(found.items())}
    return {name: value for name, value in named.items() if name not in COMMON | COMMON_OURS}


def fill() -> None:
    """Write into the scripts what callers are told: read it against the vendors' documentation before it stays."""
    for upstream, script in scripts().items():
        for said in script.values():
            said["told"] = {client: told(client, upstream, said) for client in clients(upstream)}
        (PLACE / f"{upstream}.json").write_bytes(orjson.dumps(script, option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    fill()
