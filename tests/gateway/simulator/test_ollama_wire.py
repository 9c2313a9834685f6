"""Ollama's own API as Ollama's own SDK sees it."""

from typing import Any

import ollama
import pytest

TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}


@pytest.fixture
def lab(simulator_url: str) -> ollama.Client:
    return ollama.Client(simulator_url, headers={"authorization": "Bearer key"})


def say(text: str) -> Any:
    return [{"role": "user", "content": text}]


def test_a_stream_says_what_the_whole_answer_says(lab: ollama.Client) -> None:
    whole = lab.chat("sim-chat", say('hello [[sim: say="just this"]]'))
    assert (whole.message.content, whole.done_reason, whole.prompt_eval_count, whole.eval_count) == ("just this", "stop", 6, 2)
    lines = list(lab.chat("sim-chat", say('hello [[sim: say="just this"]]'), stream=True))
    assert "".join(line.message.content or "" for line in lines) == "just this"
    assert (lines[-1].done, lines[-1].prompt_eval_count, lines[-1].eval_count) == (True, 6, 2)


def test_a_prompt_is_gone_on_with_up_to_its_limit(lab: ollama.Client) -> None:
    whole = lab.generate("sim-chat", "hello", options={"num_predict": 2})
    assert (whole.done_reason, whole.eval_count) == ("length", 2)
    lines = list(lab.generate("sim-chat", "hello", options={"num_predict": 2}, stream=True))
    assert ("".join(line.response for line in lines), lines[-1].eval_count) == (whole.response, 2)


def test_tools_are_called(lab: ollama.Client) -> None:
    called = lab.chat("sim-chat", say("What is the weather in Paris?"), tools=[TOOL]).message.tool_calls or ()
    assert [(call.function.name, call.function.arguments) for call in called] == [("get_weather", {"city": "Paris"})]


def test_texts_are_embedded(lab: ollama.Client) -> None:
    told = lab.embed("sim-embed", ["one", "another text"])
    assert (len(told.embeddings), len(told.embeddings[0]), told.prompt_eval_count) == (2, 256, 4)
    assert list(lab.embeddings("sim-embed", "one").embedding) == list(told.embeddings[0])


def test_failures_are_errors_that_the_sdk_raises(lab: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="does not exist") as unknown:
        lab.chat("nobody", say("hello"))
    assert unknown.value.status_code == 404
    with pytest.raises(ollama.ResponseError) as limited:
        lab.chat("sim-chat", say("hello [[sim: status=429]]"), stream=False)
    assert limited.value.status_code == 429
    with pytest.raises(ollama.ResponseError, match="404 page not found"):
        lab.ps()
