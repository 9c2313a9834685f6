"""What an answer says its vendor made for it: what stands where the vendor writes it, and never what the caller's request said."""

from typing import Any

import orjson
import pytest

from gateway.wire import shelf
from gateway.wire.made import Made, moment_s

CONTAINER = {"id": "container_1", "expires_at": "2027-01-01T00:00:00Z"}
RESULT = {"type": "bash_code_execution_tool_result", "content": {"content": [{"type": "bash_code_execution_output", "file_id": "file_1"}, {"file_id": 3}]}}
RAN = {"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1"}
PLACE, FILE = Made("container", "container_1", 1_798_761_600), Made("anthropic_file", "file_1")
SOUND = Made("audio", "audio_1", 1_800_000_000)
FOUND: list[tuple[str, Any, list[Made]]] = [
    ("openai_chat", {"choices": [{"message": {"audio": {"id": "audio_1", "expires_at": 1_800_000_000}}}, {"message": {}}]}, [SOUND]),
    ("openai_chat", {"choices": [{"delta": {"audio": {"id": "audio_1"}}}]}, [Made("audio", "audio_1")]),
    ("openai_chat", {"choices": [{"delta": {"audio": {"data": "AAAA"}}}]}, []),
    ("openai_chat", {"choices": [{"message": {"content": '{"audio": {"id": "x"}}'}}], "audio": {"id": "x"}}, []),
    ("openai_responses", {"output": [{"type": "message"}, RAN]}, [Made("container", "cntr_1")]),
    ("openai_responses", {"output": [{"type": "shell_call", "environment": {"container_id": "cntr_2"}}]}, [Made("container", "cntr_2")]),
    ("openai_responses", {"type": "response.output_item.done", "item": RAN}, [Made("container", "cntr_1")]),
    ("openai_responses", {"type": "response.completed", "response": {"output": [RAN]}}, [Made("container", "cntr_1")]),
    ("openai_responses", {"metadata": {"container_id": "x"}, "tools": [{"container_id": "x"}], "output": [{"arguments": '{"container_id":"x"}'}]}, []),
    ("anthropic_messages", {"type": "message", "content": [RESULT], "container": CONTAINER}, [PLACE, FILE]),
    ("anthropic_messages", {"type": "message_start", "message": {"container": CONTAINER}}, [PLACE]),
    ("anthropic_messages", {"type": "message_delta", "delta": {"container": CONTAINER}}, [PLACE]),
    ("anthropic_messages", {"type": "content_block_start", "content_block": RESULT}, [FILE]),
    ("anthropic_messages", {"content": [{"type": "tool_use", "input": {"file_id": "x", "container": {"id": "x"}}}], "container": None}, []),
    ("anthropic_messages", {"content": [{"type": "mcp_tool_result", "content": {"content": [{"file_id": "x"}]}}]}, []),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "told", "found"), FOUND)
def test_an_answer_and_its_events_tell_what_was_made(wire: str, told: Any, found: list[Made]) -> None:
    client = shelf()[wire].client
    assert client is not None and client.made is not None
    body = orjson.dumps(told)
    assert list(client.made(body)) == found
    assert list(client.made(b": a comment\nevent: x\ndata: " + body + b"\n\n")) == found


SENSELESS = [b'data: [DONE] "audio"\n\n', b'{"audio"', b'data: ["audio"]\n\n', b"", b'{"choices":7,"audio":1}', b'{"choices":[{"message":"audio"}],"audio":0}']


@pytest.mark.parametrize("said", SENSELESS)
def test_what_makes_no_sense_tells_of_nothing(said: bytes) -> None:
    client = shelf()["openai_chat"].client
    assert client is not None and client.made is not None
    assert list(client.made(said)) == []


@pytest.mark.parametrize(
    ("told", "seconds"), [(7, 7), ("1970-01-01T00:00:07Z", 7), (None, 0), (True, 0), (-1, 0), (1 << 41, 0), ("soon", 0), ("0001-01-01T00:00:00Z", 0), ([], 0)]
)
def test_a_moment_is_read_as_a_number_or_a_text(told: Any, seconds: int) -> None:
    assert moment_s(told) == seconds
