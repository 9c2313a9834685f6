"""The Anthropic wire as the vendor's own SDK sees it."""

import anthropic
import httpx
import pytest
from anthropic.types import MessageParam, ToolParam
from pydantic import BaseModel

WEATHER: ToolParam = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
PIXEL = "iVBORw0KGgo="


class Person(BaseModel):
    """A shape to be filled."""

    name: str
    age: int


def ask(text: str) -> list[MessageParam]:
    return [{"role": "user", "content": text}]


def test_a_message_has_text_and_counts(anthropic_client: anthropic.Anthropic) -> None:
    answer = anthropic_client.messages.create(
        model="sim-claude", max_tokens=50, system="Be brief.", messages=ask('hello there [[sim: say="just this" cached=2]]')
    )
    assert [block.model_dump(exclude_none=True) for block in answer.content] == [{"type": "text", "text": "just this"}]
    assert (answer.type, answer.role, answer.model, answer.stop_reason) == ("message", "assistant", "sim-claude", "end_turn")
    usage = answer.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens, usage.output_tokens) == (8, 2, 0, 2)


def test_a_stream_says_what_the_whole_answer_says(anthropic_client: anthropic.Anthropic) -> None:
    whole = anthropic_client.messages.create(model="sim-claude", max_tokens=500, messages=ask("stream me"))
    with anthropic_client.messages.stream(model="sim-claude", max_tokens=500, messages=ask("stream me")) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert final.content[0].type == whole.content[0].type == "text"
    assert text == final.content[0].text == whole.content[0].text
    assert (final.usage.input_tokens, final.usage.output_tokens, final.stop_reason) == (
        whole.usage.input_tokens,
        whole.usage.output_tokens,
        "end_turn",
    )


def test_events_come_in_the_vendors_order(raw: httpx.Client) -> None:
    body = {"model": "sim-claude", "max_tokens": 9, "stream": True, "messages": ask("[[sim: tokens=2]]")}
    text = raw.post("/v1/messages", json=body).text
    assert [line[7:] for line in text.splitlines() if line.startswith("event: ")] == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_tools_are_called_in_parallel_and_results_are_used(anthropic_client: anthropic.Anthropic) -> None:
    messages = ask("Weather in Paris and Rome?")
    with anthropic_client.messages.stream(model="sim-claude", max_tokens=500, messages=messages, tools=[WEATHER]) as stream:
        pieces = sum(event.type == "input_json" for event in stream)
        first = stream.get_final_message()
    calls = [block for block in first.content if block.type == "tool_use"]
    assert [(call.name, call.input) for call in calls] == [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})]
    assert (first.stop_reason, pieces > 4) == ("tool_use", True)
    whole = anthropic_client.messages.create(model="sim-claude", max_tokens=500, messages=messages, tools=[WEATHER])
    assert [block.input for block in whole.content if block.type == "tool_use"] == [call.input for call in calls]
    messages += [
        {"role": "assistant", "content": [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.input} for call in calls]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "rain"} for call in calls]},
    ]
    second = anthropic_client.messages.create(model="sim-claude", max_tokens=500, messages=messages, tools=[WEATHER])
    assert second.stop_reason == "end_turn"
    assert second.content[0].type == "text"
    assert "The tool returned: rain | rain" in second.content[0].text


def test_one_call_only_when_parallel_use_is_disabled(anthropic_client: anthropic.Anthropic) -> None:
    answer = anthropic_client.messages.create(
        model="sim-claude",
        max_tokens=500,
        messages=ask("Go to Paris and Rome"),
        tools=[WEATHER],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
    )
    assert [block.input for block in answer.content if block.type == "tool_use"] == [{"city": "Paris"}]


def test_thinking_is_shown_when_asked(anthropic_client: anthropic.Anthropic) -> None:
    with anthropic_client.messages.stream(
        model="sim-claude", max_tokens=2_000, messages=ask("think [[sim: tokens=3]]"), thinking={"type": "enabled", "budget_tokens": 1_024}
    ) as stream:
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "text"]
    assert final.content[0].type == "thinking"
    assert len(final.content[0].thinking) > 40
    assert final.content[0].signature
    assert final.usage.output_tokens_details is not None
    assert final.usage.output_tokens == final.usage.output_tokens_details.thinking_tokens + 3


def test_structured_output_parses(anthropic_client: anthropic.Anthropic) -> None:
    answer = anthropic_client.messages.parse(model="sim-claude", max_tokens=200, messages=ask("who"), output_format=Person)
    assert answer.parsed_output == Person(name="simulated", age=0)


def test_a_cache_mark_writes_and_a_directive_reads(anthropic_client: anthropic.Anthropic) -> None:
    answer = anthropic_client.messages.create(
        model="sim-claude",
        max_tokens=50,
        system=[{"type": "text", "text": "x" * 400, "cache_control": {"type": "ephemeral"}}],
        messages=ask("hi"),
    )
    assert (answer.usage.cache_creation_input_tokens, answer.usage.cache_read_input_tokens, answer.usage.input_tokens) == (100, 0, 5)


def test_an_image_is_acknowledged(anthropic_client: anthropic.Anthropic) -> None:
    answer = anthropic_client.messages.create(
        model="sim-claude",
        max_tokens=50,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                    {"type": "text", "text": "look"},
                ],
            }
        ],
    )
    assert answer.content[0].type == "text"
    assert "I was shown 1 image (image/png)." in answer.content[0].text


def test_limits_and_stops(anthropic_client: anthropic.Anthropic) -> None:
    short = anthropic_client.messages.create(model="sim-claude", max_tokens=5, messages=ask("[[sim: tokens=50]]"))
    assert (short.stop_reason, short.usage.output_tokens) == ("max_tokens", 5)
    stopped = anthropic_client.messages.create(
        model="sim-claude", max_tokens=50, messages=ask('[[sim: say="one two three"]]'), stop_sequences=["three"]
    )
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "three")


def test_tokens_are_counted_before_the_call(anthropic_client: anthropic.Anthropic) -> None:
    counted = anthropic_client.messages.count_tokens(model="sim-claude", messages=ask("hello there"))
    answer = anthropic_client.messages.create(model="sim-claude", max_tokens=50, messages=ask("hello there"))
    assert counted.input_tokens == answer.usage.input_tokens == 7


def test_models_are_listed_and_found(anthropic_client: anthropic.Anthropic) -> None:
    assert [model.id for model in anthropic_client.models.list()] == ["sim-claude"]
    assert anthropic_client.models.retrieve("sim-claude").display_name == "Simulated Claude"


def test_errors_have_the_vendors_shape(anthropic_client: anthropic.Anthropic) -> None:
    def kind(error: anthropic.APIStatusError) -> object:
        assert isinstance(error.body, dict)
        return error.status_code, error.body["type"], error.body["error"]["type"]

    with pytest.raises(anthropic.APIStatusError) as busy:
        anthropic_client.messages.create(model="sim-claude", max_tokens=5, messages=ask("[[sim: status=529]]"))
    assert kind(busy.value) == (529, "error", "overloaded_error")
    with pytest.raises(anthropic.RateLimitError) as limited:
        anthropic_client.messages.create(model="sim-claude", max_tokens=5, messages=ask("[[sim: status=429 retry_after=3]]"))
    assert (kind(limited.value), limited.value.response.headers["retry-after"]) == ((429, "error", "rate_limit_error"), "3")
    with pytest.raises(anthropic.NotFoundError):
        anthropic_client.messages.create(model="claude-nothing", max_tokens=5, messages=ask("x"))
    with pytest.raises(anthropic.AuthenticationError) as refused:
        anthropic_client.with_options(api_key="bad").models.list()
    assert kind(refused.value) == (401, "error", "authentication_error")
    with pytest.raises(anthropic.BadRequestError):
        anthropic_client.messages.create(model="sim-claude", max_tokens=0, messages=ask("x"))


def test_an_error_inside_a_stream_is_an_event(anthropic_client: anthropic.Anthropic, raw: httpx.Client) -> None:
    with (
        pytest.raises(anthropic.APIStatusError) as failed,
        anthropic_client.messages.stream(model="sim-claude", max_tokens=50, messages=ask("[[sim: tokens=8 in_stream_error]]")) as stream,
    ):
        stream.until_done()
    assert isinstance(failed.value.body, dict)
    assert failed.value.body["error"]["type"] == "overloaded_error"
    body = {"model": "sim-claude", "max_tokens": 50, "stream": True, "messages": ask("[[sim: in_stream_error]]")}
    assert "message_stop" not in raw.post("/v1/messages", json=body).text
