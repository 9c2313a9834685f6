"""The Responses wire as the vendor's own SDK sees it."""

from typing import Any

import openai
import pytest
from pydantic import BaseModel

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": True,
}


class Plan(BaseModel):
    """A shape to be kept."""

    name: str
    minutes: int


def test_an_answer_has_text_and_counts(openai_client: openai.OpenAI) -> None:
    answer = openai_client.responses.create(model="sim-chat", input='hello there [[sim: say="just this"]]')
    assert (answer.output_text, answer.status) == ("just this", "completed")
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (7, 2, 9)


def test_a_stream_is_numbered_and_ends_with_the_whole(openai_client: openai.OpenAI) -> None:
    with openai_client.responses.stream(model="sim-reasoner", input="Think about Rome.", reasoning={"summary": "auto"}) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [item.type for item in final.output] == ["reasoning", "message"]
    assert final.output_text == "".join(event.delta for event in events if event.type == "response.output_text.delta")


def test_tools_are_called_in_both_ways(openai_client: openai.OpenAI) -> None:
    asked: Any = {"model": "sim-chat", "input": "What is the weather in Paris, London and Rome?", "tools": [WEATHER]}
    whole: Any = openai_client.responses.create(**asked)
    with openai_client.responses.stream(**asked) as stream:
        streamed: Any = stream.get_final_response()
    for answer in (whole, streamed):
        assert [item.arguments for item in answer.output] == ['{"city":"Paris"}', '{"city":"London"}', '{"city":"Rome"}']


def test_a_schema_is_kept(openai_client: openai.OpenAI) -> None:
    answer = openai_client.responses.parse(model="sim-chat", input="Plan it.", text_format=Plan)
    assert isinstance(answer.output_parsed, Plan)


def test_what_is_stored_is_gone_on_from_until_it_is_deleted(openai_client: openai.OpenAI) -> None:
    first = openai_client.responses.create(model="sim-chat", input="What is the weather in Rome?", tools=[WEATHER])
    call: Any = first.output[0]
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    second = openai_client.responses.create(model="sim-chat", input=[result], previous_response_id=first.id)
    assert "The tool returned: sunny" in second.output_text
    assert openai_client.responses.retrieve(second.id).output_text == second.output_text
    assert [item.type for item in openai_client.responses.input_items.list(second.id)] == ["function_call_output", "function_call", "message"]
    openai_client.responses.delete(first.id)
    with pytest.raises(openai.BadRequestError):
        openai_client.responses.create(model="sim-chat", input=[result], previous_response_id=first.id)
    with pytest.raises(openai.NotFoundError):
        openai_client.responses.retrieve(first.id)


def test_what_is_not_to_be_stored_is_not(openai_client: openai.OpenAI) -> None:
    answer = openai_client.responses.create(model="sim-chat", input="hello", store=False)
    with pytest.raises(openai.NotFoundError):
        openai_client.responses.retrieve(answer.id)


def test_requests_of_another_wire_are_refused(openai_client: openai.OpenAI) -> None:
    wrong: tuple[dict[str, Any], ...] = ({"stop": ["x"]}, {"max_output_tokens": 5}, {"messages": []})
    for extra in wrong:
        with pytest.raises(openai.BadRequestError):
            openai_client.responses.create(model="sim-chat", input="hello", extra_body=extra)
    with pytest.raises(openai.BadRequestError):
        openai_client.responses.create(model="sim-chat")


def test_an_error_in_a_stream_is_raised(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError, match="simulated"):
        list(openai_client.responses.create(model="sim-chat", input="hello [[sim: in_stream_error]]", stream=True))
