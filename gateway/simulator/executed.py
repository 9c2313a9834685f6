"""What the simulated vendors make for an answer and keep beside it: containers that code ran in, files that it wrote, sound. Told as each wire tells it."""

import secrets
from collections.abc import Callable
from types import ModuleType
from typing import Any

import orjson

from gateway.simulator import anthropic_wire, openai_wire, responses_wire
from gateway.simulator.message_files import MessageFiles

Fields = dict[str, Any]
Say = Callable[[bytes], bytes]
EXPIRES_AT_S, EXPIRES_AT_TEXT = 4_000_000_000, "2096-10-02T07:06:40Z"


def as_it_is(said: bytes) -> bytes:
    """Return what is said unchanged."""
    return said


def teller(wire: ModuleType, fields: Fields, make_container: Callable[[], str], files: MessageFiles) -> Say:
    """Return what adds to an answer's body or events what was made for it, where the request asks for such a thing."""
    kinds = [str(tool.get("type")) for tool in fields.get("tools") or () if isinstance(tool, dict)]
    if wire is openai_wire and "audio" in (fields.get("modalities") or ()):
        return _with_sound
    if wire is responses_wire and "code_interpreter" in kinds:
        return _Interpreted(make_container()).tell
    if wire is anthropic_wire and any(kind.startswith("code_execution") for kind in kinds):
        return _Executed(files).tell
    return as_it_is


def _event(said: bytes) -> tuple[bytes, Fields] | None:
    """Return what stands before an event's data, and that; None for a whole body and for an event without fields."""
    before, data, rest = said.partition(b"data: ")
    if not data or rest.startswith(b"[") or said.startswith(b"{"):
        return None
    fields: Fields = orjson.loads(rest)
    return before, fields


def _with_sound(said: bytes) -> bytes:
    sound: Fields = {"id": f"audio_{secrets.token_hex(12)}"}
    event = _event(said)
    if event is not None and event[1]["choices"] and "role" in event[1]["choices"][0]["delta"]:
        event[1]["choices"][0]["delta"]["audio"] = sound
        return b"data: " + orjson.dumps(event[1]) + b"\n\n"
    if not said.startswith(b"{"):
        return said
    body = orjson.loads(said)
    for choice in body["choices"]:
        choice["message"]["audio"] = {**sound, "data": "AAAA", "expires_at": EXPIRES_AT_S, "transcript": choice["message"]["content"]}
        choice["message"]["content"] = None
    return orjson.dumps(body)


class _Interpreted:
    """OpenAI's code interpreter: a call of it behind the answer's other items."""

    def __init__(self, container: str) -> None:
        self._item = {"id": f"ci_{secrets.token_hex(12)}", "type": "code_interpreter_call", "status": "completed", "code": "1 + 1", "outputs": None}
        self._item |= {"container_id": container}

    def tell(self, said: bytes) -> bytes:
        event = _event(said)
        if event is None:
            body = orjson.loads(said)
            return orjson.dumps({**body, "output": [*body["output"], self._item]})
        told = event[1]
        if told["type"] not in ("response.completed", "response.incomplete"):
            return said
        place, number = len(told["response"]["output"]), told["sequence_number"]
        told["response"]["output"].append(self._item)
        events = [
            {"type": f"response.output_item.{kind}", "sequence_number": number + step, "output_index": place, "item": self._item}
            for step, kind in enumerate(("added", "done"))
        ]
        return b"".join(_spoken(one) for one in (*events, {**told, "sequence_number": number + 2}))


class _Executed:
    """Anthropic's code execution: its result behind the answer's other blocks, with a file that the code wrote."""

    def __init__(self, files: MessageFiles) -> None:
        file = files.add("made.txt", "text/plain", b"made by code", is_made=True)
        output = [{"type": "bash_code_execution_output", "file_id": file["id"]}]
        result = {"type": "bash_code_execution_result", "stdout": "", "stderr": "", "return_code": 0, "content": output}
        use = f"srvtoolu_{secrets.token_hex(12)}"
        self._blocks: list[Fields] = [
            {"type": "server_tool_use", "id": use, "name": "bash_code_execution", "input": {"command": "true"}},
            {"type": "bash_code_execution_tool_result", "tool_use_id": use, "content": result},
        ]
        self._container = {"id": f"container_{secrets.token_hex(12)}", "expires_at": EXPIRES_AT_TEXT}
        self._place = 0

    def tell(self, said: bytes) -> bytes:
        event = _event(said)
        if event is None:
            body = orjson.loads(said)
            return orjson.dumps({**body, "content": [*body["content"], *self._blocks], "container": self._container})
        told = event[1]
        if told["type"] == "content_block_stop":
            self._place = told["index"] + 1
        if told["type"] != "message_delta":
            return said
        told["delta"]["container"] = self._container
        events: list[Fields] = []
        for index, block in enumerate(self._blocks, self._place):
            events += [{"type": "content_block_start", "index": index, "content_block": block}, {"type": "content_block_stop", "index": index}]
        return b"".join(_spoken(one) for one in (*events, told))


def _spoken(told: Fields) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(told["type"]).encode(), orjson.dumps(told))
