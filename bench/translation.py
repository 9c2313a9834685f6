"""CPU that translation adds: `python -m bench.translation` prints a table of client wire x upstream wire, over the same call on the client's own wire.

A call is a request of 1 kB and its whole answer; a chunk is one event of a stream of words. The answers are the simulator's. Only the code between the
two sockets that differs is run: writing the request, reading the answer, metering. Rounds are short and the least is shown: noise only ever adds.
"""

import argparse
import gc
import math
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import orjson

from gateway.plane import speak
from gateway.plane.route import Route
from gateway.providers import Provider
from gateway.simulator import anthropic_wire, bedrock_wire, gemini_wire, openai_wire, responses_wire
from gateway.simulator.answers import answer
from gateway.terms import Call, Deployment
from gateway.wire import Wire, shelf

WORDS = 120
TEXT = "lorem ipsum dolor sit amet " * 37 + f"[[sim: tokens={WORDS}]]"
TURN = {"role": "user", "content": TEXT}
# a request of 1 kB on each client wire
ASKS: dict[str, dict[str, Any]] = {
    "openai_chat": {"model": "bench", "messages": [TURN], "temperature": 0.7, "max_tokens": 500},
    "openai_responses": {"model": "bench", "input": [TURN], "temperature": 0.7, "max_output_tokens": 500},
    "anthropic_messages": {"model": "bench", "messages": [TURN], "temperature": 0.7, "max_tokens": 500},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": TEXT}]}], "generationConfig": {"temperature": 0.7, "maxOutputTokens": 500}},
}
SPEAKERS: dict[str, ModuleType] = {
    "openai_chat": openai_wire,
    "openai_responses": responses_wire,
    "anthropic_messages": anthropic_wire,
    "gemini": gemini_wire,
    "bedrock_converse": bedrock_wire,
}
TITLES = {
    "openai_chat": "OpenAI chat",
    "openai_responses": "OpenAI Responses",
    "anthropic_messages": "Anthropic Messages",
    "gemini": "Gemini",
    "bedrock_converse": "Bedrock Converse",
}
# so few that some rounds meet no noise
CALLS = 10
PROVIDER = Provider(slug="bench", title="Bench", wires={})
DEPLOYMENT = Deployment(
    id="d", slug="bench/bench", model="bench", account="bench", upstream_model="bench", order=0, weight=1, region="", max_parallel=0, price=None
)
LIMIT_BYTES = 1 << 20


class Pair:
    """One way through: how a call on the client's wire is served on the upstream's."""

    def __init__(self, client: Wire, upstream: Wire) -> None:
        self.route = Route(endpoint="-", wire=upstream, client=client, is_same=client is upstream, read_usage=upstream.read_usage)
        assert client.client is not None
        body = orjson.dumps(ASKS[client.name])
        self.call = Call(
            id="call_1", surface=client.surface, endpoint=client.client.endpoint, account="", body=body, model="bench", stream=False, wants_usage=True
        )
        asked = orjson.loads(speak.request(self.call, DEPLOYMENT, PROVIDER, self.route).body)
        self.answer = b"".join(_said(upstream.name, asked, stream=False))
        self.events = _said(upstream.name, asked, stream=True)

    def whole(self) -> None:
        """Ask and read a whole answer."""
        speak.request(self.call, DEPLOYMENT, PROVIDER, self.route)
        speak.whole(self.call, self.answer, self.route, 0)

    def stream(self) -> None:
        """Read a stream, event by event."""
        reader = speak.reader(self.call, self.route, 0, LIMIT_BYTES)
        for event in self.events:
            reader.feed(event)
        if not reader.done:
            reader.ending()
        assert reader.done, reader.error


def _said(wire: str, asked: dict[str, Any], *, stream: bool) -> list[bytes]:
    speaker = SPEAKERS[wire]
    prompt = speaker.read({**asked, "model": "bench", "stream": stream}, True)
    replies = [answer(prompt)]
    return list(speaker.events(prompt, replies)) if stream else [speaker.whole(prompt, replies)]


def thread_us(act: Callable[[], None], times: int) -> float:
    """Return the CPU of one act, in microseconds of this thread."""
    begun_s = time.thread_time()
    for _ in range(times):
        act()
    return (time.thread_time() - begun_s) * 1e6 / times


def measured(rounds: int) -> dict[tuple[str, str], tuple[float, float]]:
    """Return for each client wire and upstream wire what a call and a chunk cost, in microseconds; the pairs take turns, so that all meet the same quiet."""
    wires = shelf()
    pairs = {(client, upstream): Pair(wires[client], wires[upstream]) for client in ASKS for upstream in SPEAKERS}
    found = dict.fromkeys(pairs, (math.inf, math.inf))
    for _ in range(rounds):
        for names, pair in pairs.items():
            call_us, chunk_us = thread_us(pair.whole, CALLS), thread_us(pair.stream, 1) / len(pair.events)
            found[names] = min(found[names][0], call_us), min(found[names][1], chunk_us)
    return found


def table(found: dict[tuple[str, str], tuple[float, float]]) -> str:
    """Return what is added to a call and to a chunk as a table of Markdown: call / chunk."""
    lines = ["| application \\ provider | " + " | ".join(TITLES.values()) + " |", "|---" + "|--:" * len(SPEAKERS) + "|"]
    for client in ASKS:
        own = found[client, client]
        added = [(found[client, upstream][0] - own[0], found[client, upstream][1] - own[1]) for upstream in SPEAKERS]
        lines.append(f"| {TITLES[client]} | " + " | ".join("–" if cell == (0, 0) else "{:.0f} / {:.1f}".format(*cell) for cell in added) + " |")
    return "\n".join(lines)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m bench.translation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=400)
    asked = parser.parse_args()
    gc.disable()
    print("CPU µs that translation adds to a whole call of 1 kB / to a chunk of a stream:\n")
    print(table(measured(asked.rounds)))


if __name__ == "__main__":
    main()
