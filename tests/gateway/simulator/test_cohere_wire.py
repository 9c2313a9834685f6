"""Cohere's own API, version 2, as its SDK is answered."""

from typing import Any

import httpx
import orjson
import pytest

from gateway.wire.sse import EventBuffer, data_of

TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}


@pytest.fixture
def cohere(simulator_url: str) -> Any:
    def ask(path: str, **body: Any) -> httpx.Response:
        return httpx.post(simulator_url + path, json={"model": "sim-chat", **body}, headers={"authorization": "Bearer key"})

    return ask


def say(text: str) -> Any:
    return [{"role": "user", "content": text}]


def test_a_whole_answer_tells_what_is_billed(cohere: Any) -> None:
    told = cohere("/v2/chat", messages=say('hello [[sim: say="just this"]]')).json()
    assert (told["message"], told["finish_reason"]) == ({"role": "assistant", "content": [{"type": "text", "text": "just this"}]}, "COMPLETE")
    assert told["usage"] == {"billed_units": {"input_tokens": 6, "output_tokens": 2}, "tokens": {"input_tokens": 66, "output_tokens": 4}}


def test_a_stream_says_what_the_whole_answer_says(cohere: Any) -> None:
    heard = cohere("/v2/chat", messages=say('hello [[sim: say="just this"]]'), stream=True)
    told = [data_of(event) for event in EventBuffer().feed(heard.content)]
    events = [orjson.loads(data) for data in told[:-1]]
    names = ["message-start", "content-start", "content-delta", "content-delta", "content-end", "message-end"]
    assert ([event["type"] for event in events], told[-1]) == (names, b"[DONE]")
    assert "".join(event["delta"]["message"]["content"]["text"] for event in events[2:4]) == "just this"
    assert events[-1]["delta"]["usage"]["billed_units"] == {"input_tokens": 6, "output_tokens": 2}


def test_tools_are_called(cohere: Any) -> None:
    told = cohere("/v2/chat", messages=say("What is the weather in Paris?"), tools=[TOOL]).json()
    calls = [call["function"] for call in told["message"]["tool_calls"]]
    assert ([(call["name"], orjson.loads(call["arguments"])) for call in calls], told["finish_reason"]) == ([("get_weather", {"city": "Paris"})], "TOOL_CALL")


def test_texts_are_embedded_and_nothing_else_is_there(cohere: Any) -> None:
    told = cohere("/v2/embed", model="sim-embed", texts=["one", "another text"], input_type="search_query", embedding_types=["float"]).json()
    assert ([len(vector) for vector in told["embeddings"]["float"]], told["meta"]["billed_units"]) == ([256, 256], {"input_tokens": 4})
    refused = [cohere("/v2/embed", model="sim-embed", texts="one"), cohere("/v2/other"), cohere("/v2/chat", messages=say("x [[sim: status=429]]"))]
    assert [(answer.status_code, list(answer.json())) for answer in refused] == [(400, ["message"]), (404, ["message"]), (429, ["message"])]
