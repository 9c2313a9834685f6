"""What a stream says beside what its wire knows (`sgw.dropped` of its last event) breaks no vendor's SDK: each reads streams as the wires write them."""

from pathlib import Path
from typing import Any

import anthropic
import openai
import orjson
import pytest
from google import genai
from google.genai import types

from gateway.terms import Chunk, ChunkKind, Usage
from gateway.wire import Told, shelf
from tests.fakes.upstream import Turn, Upstream, stream
from tests.journeys.essentials import CLIENTS, NODE_CLIENTS, OPENAI2, play
from tests.journeys.test_openai_node import NODE

pytestmark = pytest.mark.journey

LEFT_OUT = {"dropped": ["server_tool_use"]}
QUESTION: Any = [{"role": "user", "content": "Hello"}]
# the end of a path: the wire that is spoken there
SPOKEN = {
    "/chat/completions": "openai_chat",
    "/completions": "openai_completions",
    "/responses": "openai_responses",
    "/messages": "anthropic_messages",
    ":streamGenerateContent?alt=sse": "gemini",
}
COMMANDS: dict[str, list[str | Path]] = {
    "openai 2": [OPENAI2, "-I", CLIENTS / "openai2" / "left_out.py"],
    "node": [NODE, CLIENTS / "node" / "left_out.mjs", NODE_CLIENTS],
}
MET: dict[str, Any] = {
    "openai 2": {"chat": "Hi there", "completions": "Hi there", "responses": ["Hi there", LEFT_OUT]},
    "node": {
        "chat": "Hi there",
        "completions": "Hi there",
        "responses": ["Hi there", LEFT_OUT],
        "messages": ["Hi there", "end_turn"],
        "gemini": ["Hi there", "STOP"],
        "ai": {face: ["Hi there", "stop", []] for face in ("responses", "chat", "messages", "gemini")},
    },
}


def told(wire: str) -> bytes:
    """Return a stream of one wire that leaves something out and says so."""
    client = shelf()[wire].client
    assert client is not None
    assert client.chunk_writer is not None
    writer = client.chunk_writer(Told(model="m", call_id="call_1", created_at_s=1, wants_usage=True))
    chunks = [
        Chunk(kind=ChunkKind.START),
        Chunk(kind=ChunkKind.TEXT, text="Hi "),
        Chunk(kind=ChunkKind.UNTOLD, text="server_tool_use"),
        Chunk(kind=ChunkKind.TEXT, text="there"),
        Chunk(kind=ChunkKind.FINISH, finish="stop"),
        Chunk(kind=ChunkKind.USAGE, usage=Usage(input_tokens=3, output_tokens=2)),
        Chunk(kind=ChunkKind.END),
    ]
    said = b"".join(map(writer.write, chunks))
    assert said.count(b'"sgw":' + orjson.dumps(LEFT_OUT)) == 1, wire
    return said


async def answer(turn: Turn) -> None:
    """Answer on the wire that is spoken at the path."""
    wire = next(wire for end, wire in SPOKEN.items() if turn.request.path.endswith(end))
    await stream(told(wire))(turn)


def test_openai_for_python_keeps_it() -> None:
    with Upstream(answer) as upstream, openai.OpenAI(api_key="k", base_url=f"{upstream.url}/v1") as client:
        with client.chat.completions.stream(model="m", messages=QUESTION) as chat:
            chunks = [event.chunk for event in chat if event.type == "chunk"]
        assert chat.get_final_completion().choices[0].message.content == "Hi there"
        assert [chunk.model_extra["sgw"] for chunk in chunks if chunk.model_extra] == [LEFT_OUT]
        assert "".join(each.choices[0].text for each in client.completions.create(model="m", prompt="Hello", stream=True) if each.choices) == "Hi there"
        with client.responses.stream(model="m", input="Hello") as responses:
            final = responses.get_final_response()
        assert (final.output_text, (final.model_extra or {})["sgw"]) == ("Hi there", LEFT_OUT)


def test_anthropic_for_python_keeps_it() -> None:
    with Upstream(answer) as upstream, anthropic.Anthropic(api_key="k", base_url=upstream.url) as client:
        with client.messages.stream(model="m", max_tokens=9, messages=QUESTION) as messages:
            ends = [event for event in messages if event.type == "message_delta"]
        final = messages.get_final_message()
        assert ("".join(block.text for block in final.content if block.type == "text"), final.stop_reason) == ("Hi there", "end_turn")
        assert [(end.model_extra or {})["sgw"] for end in ends] == [LEFT_OUT]


def test_google_for_python_reads_over_it() -> None:
    # its types forbid members they do not know, but it takes only known ones out of an event
    with Upstream(answer) as upstream:
        client = genai.Client(api_key="k", http_options=types.HttpOptions(base_url=upstream.url))
        chunks = list(client.models.generate_content_stream(model="m", contents="Hello"))
        ends = [chunk.candidates[0].finish_reason for chunk in chunks if chunk.candidates and chunk.candidates[0].finish_reason]
        assert ("".join(chunk.text or "" for chunk in chunks), ends) == ("Hi there", [types.FinishReason.STOP])


@pytest.mark.parametrize("name", COMMANDS)
def test_clients_in_other_environments_survive_it(name: str) -> None:
    with Upstream(answer) as upstream:
        assert play(COMMANDS[name], {"origin": upstream.url}) == MET[name]
