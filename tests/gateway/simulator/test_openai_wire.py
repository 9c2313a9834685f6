"""The OpenAI wire as the vendor's own SDK sees it."""

import base64
import math
import struct

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionToolParam
from pydantic import BaseModel

WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
PARIS = '{"city":"Paris","unit":"celsius"}'
ROME = '{"city":"Rome","unit":"celsius"}'


class Step(BaseModel):
    """One step of a plan."""

    title: str
    minutes: int


class Plan(BaseModel):
    """A nested shape with a reference, a list and an optional field."""

    name: str
    steps: list[Step]
    note: str | None


def ask(text: str) -> list[openai.types.chat.ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


def test_a_chat_answer_has_text_and_counts(openai_client: openai.OpenAI) -> None:
    answer = openai_client.chat.completions.create(model="sim-chat", messages=ask('hello there [[sim: say="just this"]]'))
    assert (answer.object, answer.created, answer.model) == ("chat.completion", 1_735_689_600, "sim-chat")
    assert (answer.choices[0].message.content, answer.choices[0].message.role, answer.choices[0].finish_reason) == (
        "just this",
        "assistant",
        "stop",
    )
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (7, 2, 9)


def test_equal_requests_give_equal_bytes(raw: httpx.Client) -> None:
    body = {"model": "sim-chat-large", "messages": ask("same")}
    answers = {raw.post("/v1/chat/completions", json=body).content for _ in range(3)}
    streams = {raw.post("/v1/chat/completions", json={**body, "stream": True}).content for _ in range(3)}
    assert (len(answers), len(streams)) == (1, 1)


def test_a_stream_says_what_the_whole_answer_says(openai_client: openai.OpenAI) -> None:
    whole = openai_client.chat.completions.create(model="sim-chat", messages=ask("stream me"))
    chunks = list(openai_client.chat.completions.create(model="sim-chat", messages=ask("stream me"), stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert {chunk.id for chunk in chunks} == {whole.id}
    assert all(chunk.usage is None for chunk in chunks)


def test_a_stream_reports_usage_in_its_last_chunk_when_asked(openai_client: openai.OpenAI) -> None:
    chunks = list(
        openai_client.chat.completions.create(
            model="sim-chat", messages=ask("count [[sim: tokens=7 cached=3]]"), stream=True, stream_options={"include_usage": True}
        )
    )
    last = chunks[-1]
    assert (last.choices, [chunk.usage for chunk in chunks[:-1]]) == ([], [None] * (len(chunks) - 1))
    assert last.usage is not None
    assert last.usage.prompt_tokens_details is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.prompt_tokens_details.cached_tokens) == (6, 7, 3)


def test_one_tool_is_called_and_its_result_is_used(openai_client: openai.OpenAI) -> None:
    messages = ask("What is the weather in Paris?")
    first = openai_client.chat.completions.create(model="sim-chat", messages=messages, tools=[WEATHER])
    assert (first.choices[0].finish_reason, first.choices[0].message.content) == ("tool_calls", None)
    calls = first.choices[0].message.tool_calls or []
    assert [(call.type, call.function.name, call.function.arguments) for call in calls if call.type == "function"] == [
        ("function", "get_weather", PARIS)
    ]
    messages += [
        {
            "role": "assistant",
            "tool_calls": [{"id": calls[0].id, "type": "function", "function": {"name": "get_weather", "arguments": PARIS}}],
        },
        {"role": "tool", "tool_call_id": calls[0].id, "content": "21 degrees"},
    ]
    second = openai_client.chat.completions.create(model="sim-chat", messages=messages, tools=[WEATHER])
    assert (second.choices[0].finish_reason, second.choices[0].message.tool_calls) == ("stop", None)
    assert "The tool returned: 21 degrees" in (second.choices[0].message.content or "")


def test_parallel_tool_calls_stream_their_arguments_in_pieces(openai_client: openai.OpenAI) -> None:
    with openai_client.chat.completions.stream(model="sim-chat", messages=ask("Weather in Paris and Rome?"), tools=[WEATHER]) as stream:
        events = [event.type for event in stream]
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls or []
    assert [(call.function.name, call.function.arguments) for call in calls] == [("get_weather", PARIS), ("get_weather", ROME)]
    assert len({call.id for call in calls}) == 2
    assert events.count("tool_calls.function.arguments.delta") > 8
    assert final.choices[0].finish_reason == "tool_calls"


def test_parallel_calls_can_be_forbidden_and_tools_forced_or_refused(openai_client: openai.OpenAI) -> None:
    def names(choice: openai.types.chat.ChatCompletionToolChoiceOptionParam, parallel: bool) -> int:
        answer = openai_client.chat.completions.create(
            model="sim-chat", messages=ask("Go to Paris and Rome"), tools=[WEATHER], tool_choice=choice, parallel_tool_calls=parallel
        )
        return len(answer.choices[0].message.tool_calls or [])

    forced: openai.types.chat.ChatCompletionToolChoiceOptionParam = {"type": "function", "function": {"name": "get_weather"}}
    assert [names("required", True), names("required", False), names("none", True), names(forced, False), names("auto", True)] == [
        2,
        1,
        0,
        1,
        0,
    ]


def test_structured_output_parses(openai_client: openai.OpenAI) -> None:
    answer = openai_client.chat.completions.parse(model="sim-chat", messages=ask("plan"), response_format=Plan)
    assert answer.choices[0].message.parsed == Plan(name="simulated", steps=[Step(title="simulated", minutes=0)], note="simulated")


def test_json_object_mode_gives_an_object(openai_client: openai.OpenAI) -> None:
    answer = openai_client.chat.completions.create(model="sim-chat", messages=ask("json"), response_format={"type": "json_object"})
    assert answer.choices[0].message.content == '{"simulated":true,"answer":"A simulated answer from sim-chat."}'


def test_an_image_is_acknowledged(openai_client: openai.OpenAI) -> None:
    pixel = "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()
    answer = openai_client.chat.completions.create(
        model="sim-chat",
        messages=[{"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": pixel}}]}],
    )
    assert "I was shown 1 image (image/png)." in (answer.choices[0].message.content or "")
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 90


def test_limits_stops_and_choices(openai_client: openai.OpenAI) -> None:
    answer = openai_client.chat.completions.create(model="sim-chat", messages=ask("long [[sim: tokens=50]]"), max_completion_tokens=5)
    assert answer.usage is not None
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 5)
    stopped = openai_client.chat.completions.create(model="sim-chat", messages=ask('[[sim: say="one two three"]]'), stop=["three"])
    assert (stopped.choices[0].message.content, stopped.choices[0].finish_reason) == ("one two ", "stop")
    several = openai_client.chat.completions.create(model="sim-chat", messages=ask("several"), n=3)
    assert [choice.index for choice in several.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in several.choices}) == 3


def test_a_reasoner_counts_reasoning_tokens(openai_client: openai.OpenAI) -> None:
    answer = openai_client.chat.completions.create(model="sim-reasoner", messages=ask("think [[sim: tokens=4]]"))
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    reasoning = answer.usage.completion_tokens_details.reasoning_tokens or 0
    assert 16 <= reasoning < 64
    assert answer.usage.completion_tokens == reasoning + 4


def test_embeddings_as_floats_and_as_base64_are_the_same(openai_client: openai.OpenAI, raw: httpx.Client) -> None:
    floats = openai_client.embeddings.create(model="sim-embed", input=["a river", "a stone"], encoding_format="float", dimensions=32)
    default = openai_client.embeddings.create(model="sim-embed", input=["a river", "a stone"], dimensions=32)
    plain = raw.post(
        "/v1/embeddings", json={"model": "sim-embed", "input": ["a river", "a stone"], "encoding_format": "base64", "dimensions": 32}
    ).json()
    unpacked = [list(struct.unpack("<32f", base64.b64decode(row["embedding"]))) for row in plain["data"]]
    assert [row.embedding for row in floats.data] == unpacked == [row.embedding for row in default.data]
    assert [math.isclose(sum(value * value for value in row), 1, abs_tol=1e-5) for row in unpacked] == [True, True]
    assert (floats.usage.prompt_tokens, floats.usage.total_tokens, floats.model) == (4, 4, "sim-embed")


def test_embeddings_take_tokens_too(openai_client: openai.OpenAI) -> None:
    answer = openai_client.embeddings.create(model="sim-embed", input=[[1, 2, 3], [4]])
    assert ([len(row.embedding) for row in answer.data], answer.usage.prompt_tokens) == ([256, 256], 4)


def test_models_are_listed_and_found(openai_client: openai.OpenAI) -> None:
    names = ["sim-chat", "sim-chat-large", "sim-reasoner", "sim-embed", "sim-claude", "sim-gemini", "sim-gemini-embed"]
    names += ["sim-nova", "sim.anthropic.claude-sonnet-4-5", "sim-moderation", "sim-image", "sim-speech", "sim-transcribe", "sim-rerank"]
    names += ["sim-realtime", "sim-gemini-live", "sim-flat"]
    assert [model.id for model in openai_client.models.list()] == names
    assert openai_client.models.retrieve("sim-chat").owned_by == "simulated"
    with pytest.raises(openai.NotFoundError):
        openai_client.models.retrieve("gpt-nothing")


def test_errors_have_the_vendors_shape(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        openai_client.chat.completions.create(model="gpt-nothing", messages=ask("x"))
    assert (missing.value.code, missing.value.type) == ("model_not_found", "invalid_request_error")
    with pytest.raises(openai.BadRequestError) as wrong:
        openai_client.chat.completions.create(model="sim-chat", messages=ask("x"), temperature=3)
    assert (wrong.value.param, wrong.value.code) == ("temperature", "decimal_out_of_range")
    with pytest.raises(openai.AuthenticationError) as refused:
        openai_client.with_options(api_key="bad").models.list()
    assert refused.value.code == "invalid_api_key"
    with pytest.raises(openai.RateLimitError) as limited:
        openai_client.chat.completions.create(model="sim-chat", messages=ask("[[sim: status=429 retry_after=2]]"))
    assert (limited.value.code, limited.value.response.headers["retry-after"]) == ("rate_limit_exceeded", "2")


def test_azure_paths_and_keys_work(simulator_url: str) -> None:
    with openai.AzureOpenAI(azure_endpoint=simulator_url, api_key="good", api_version="2024-10-21", max_retries=0) as client:
        answer = client.chat.completions.create(model="sim-chat", messages=ask('[[sim: say="hello"]]'))
    assert answer.choices[0].message.content == "hello"
