"""The official anthropic package for Python, 2.x, unmodified, against the started product: every upstream wire, every promise a caller relies on."""

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from pydantic import BaseModel

from tests.fakes.issued import issue
from tests.fakes.service import Service, wait_for
from tests.journeys.faults import FAULTS, IN_STREAM, PATIENT, Told, asking_for, told_by

pytestmark = pytest.mark.journey

# upstream wire: (kind of provider, its simulated model)
UPSTREAMS = {
    "anthropic": ("simulator_anthropic", "sim-claude"),
    "openai": ("simulator", "sim-chat"),
    "gemini": ("simulator_google", "sim-gemini"),
    "responses": ("simulator_responses", "sim-chat"),
    "bedrock": ("simulator_bedrock", "sim-nova"),
}
# models that tell what they think
THINKERS = {
    **UPSTREAMS,
    "openai": ("simulator", "sim-reasoner"),
    "responses": ("simulator_responses", "sim-reasoner"),
    "bedrock": ("simulator_bedrock", "sim.anthropic.claude-sonnet-4-5"),
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER: Any = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CITIES = [{"city": city} for city in ("Paris", "London", "Rome")]
ASKED_FOR_CITIES: Any = [{"role": "user", "content": "What is the weather in Paris, London and Rome?"}]
CLASSES = {
    400: anthropic.BadRequestError,
    404: anthropic.NotFoundError,
    413: anthropic.APIStatusError,
    422: anthropic.UnprocessableEntityError,
    429: anthropic.RateLimitError,
    502: anthropic.InternalServerError,
    503: anthropic.APIStatusError,
    504: anthropic.APIStatusError,
}
# what Anthropic calls the kinds of errors that other surfaces call otherwise
KINDS = {404: "not_found_error", 413: "request_too_large"}


class Answer(BaseModel):
    city: str
    degrees: int


def client_of(service: Service, *, key: str = "", path: str = "", asked: list[httpx2.Response] | None = None, **options: Any) -> anthropic.Anthropic:
    """Return the SDK's client, writing down every answer it meets."""
    hooks: Any = {"response": [asked.append]} if asked is not None else {}
    http_client = anthropic.DefaultHttpxClient(event_hooks=hooks)
    return anthropic.Anthropic(base_url=service.origin + path, api_key=key or service.key, http_client=http_client, **options)


def say(text: str) -> Any:
    """Return messages that make the simulator say exactly this."""
    return [{"role": "user", "content": f'Hello [[sim: say="{text}"]]'}]


def model_of(wire: str, directive: str = "") -> str:
    """Return the name of the model at one upstream wire, with a breaker of its own for one fault."""
    plain = directive.replace("status=", "").split()[0].replace("=", "-").replace("_", "-") if directive else "plain"
    return f"c3-{wire[0]}-{plain}{'-again' if directive == PATIENT else ''}"


@pytest.fixture(scope="module")
def served(service: Service) -> Service:
    """The service, with a model for each upstream wire, and for each fault at two of them."""
    plain = {model_of(wire): [{"provider": provider, "upstream_model": upstream}] for wire, (provider, upstream) in UPSTREAMS.items()}
    thinking = {model_of(wire, "thinks"): [{"provider": provider, "upstream_model": upstream}] for wire, (provider, upstream) in THINKERS.items()}
    faulty = {
        model_of(wire, directive): [{"provider": UPSTREAMS[wire][0], "upstream_model": UPSTREAMS[wire][1]}]
        for wire in ("anthropic", "openai")
        for directive in (*FAULTS, *IN_STREAM, PATIENT)
    }
    service.add_models(plain | thinking | faulty)
    return service


@pytest.fixture
def client(served: Service) -> Iterator[anthropic.Anthropic]:
    with client_of(served, max_retries=0) as made:
        yield made


# ---- messages at every upstream wire ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire", UPSTREAMS)
def test_a_whole_answer(client: anthropic.Anthropic, wire: str) -> None:
    raw = client.messages.with_raw_response.create(model=model_of(wire), max_tokens=100, system="Be kind.", messages=say("Hello from the other side."))
    told = raw.parse()
    assert [block.to_dict() for block in told.content if block.type == "text"] in (
        [{"type": "text", "text": "Hello from the other side."}],
        [{"type": "text", "text": "Hello from the other side.", "citations": None}],
    )
    assert (told.model, told.role, told.type, told.stop_reason, told.stop_sequence, told.id[:4]) == (
        model_of(wire) if wire != "anthropic" else "sim-claude", "assistant", "message", "end_turn", None, "msg_",
    )  # fmt: skip
    assert (told.usage.output_tokens, told.usage.input_tokens > 0, told.usage.cache_read_input_tokens) == (5, True, 0)
    assert told._request_id == raw.headers["request-id"] == raw.headers["x-request-id"]
    assert raw.headers["x-sgw-provider"] == UPSTREAMS[wire][0]


@pytest.mark.parametrize("wire", UPSTREAMS)
def test_the_stream_helper_puts_a_message_together(client: anthropic.Anthropic, wire: str) -> None:
    with client.messages.stream(model=model_of(wire), max_tokens=100, messages=say("One two three.")) as stream:
        kinds = [event.type for event in stream]
        told = stream.get_final_message()
    assert (kinds[0], kinds[-2:]) == ("message_start", ["message_delta", "message_stop"])
    assert (stream.get_final_text(), told.stop_reason, told.usage.output_tokens, told.usage.input_tokens > 0) == ("One two three.", "end_turn", 3, True)


@pytest.mark.parametrize("wire", UPSTREAMS)
def test_tools_are_called_and_their_results_are_read(client: anthropic.Anthropic, wire: str) -> None:
    asked: Any = {"model": model_of(wire), "max_tokens": 500, "tools": [WEATHER], "tool_choice": {"type": "any"}}
    told = client.messages.create(messages=ASKED_FOR_CITIES, **asked)
    with client.messages.stream(messages=ASKED_FOR_CITIES, **asked) as stream:
        streamed = stream.get_final_message()
    for answer in (told, streamed):
        calls = [block for block in answer.content if block.type == "tool_use"]
        assert ([call.input for call in calls], answer.stop_reason) == (CITIES, "tool_use")
        assert len({call.id for call in calls}) == 3
    calls = [block for block in told.content if block.type == "tool_use"]
    results: Any = [{"type": "tool_result", "tool_use_id": call.id, "content": f"{degrees} degrees"} for degrees, call in enumerate(calls)]
    history: Any = [*ASKED_FOR_CITIES, {"role": "assistant", "content": told.content}, {"role": "user", "content": results}]
    after = client.messages.create(model=model_of(wire), max_tokens=500, tools=[WEATHER], messages=history)
    assert "The tool returned: 0 degrees | 1 degrees | 2 degrees" in "".join(block.text for block in after.content if block.type == "text")


@pytest.mark.parametrize("wire", UPSTREAMS)
def test_an_image_is_shown(client: anthropic.Anthropic, wire: str) -> None:
    image: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    told = client.messages.create(
        model=model_of(wire), max_tokens=100, messages=[{"role": "user", "content": [image, {"type": "text", "text": "What is it?"}]}]
    )
    assert "I was shown 1 image (image/png)" in "".join(block.text for block in told.content if block.type == "text")


@pytest.mark.parametrize("wire", UPSTREAMS)
def test_an_answer_is_parsed_by_its_schema(client: anthropic.Anthropic, wire: str) -> None:
    told = client.messages.parse(model=model_of(wire), max_tokens=500, messages=[{"role": "user", "content": "A city?"}], output_format=Answer)
    assert isinstance(told.parsed_output, Answer)


@pytest.mark.parametrize("wire", UPSTREAMS)
def test_thinking_goes_on_with_what_was_thought(client: anthropic.Anthropic, wire: str) -> None:
    asked: Any = {"model": model_of(wire, "thinks"), "max_tokens": 4000, "thinking": {"type": "adaptive"}}
    question: Any = [{"role": "user", "content": "Think. [[sim: reasoning_content]]"}]
    told = client.messages.create(messages=question, **asked)
    with client.messages.stream(messages=question, **asked) as stream:
        streamed = stream.get_final_message()
    for answer in (told, streamed):
        assert [block.type for block in answer.content if block.type in ("thinking", "redacted_thinking")]
        history: Any = [*question, {"role": "assistant", "content": answer.content}, {"role": "user", "content": "And then?"}]
        assert client.messages.create(messages=history, **asked).stop_reason == "end_turn"


def test_what_one_vendor_thought_does_not_stop_another(client: anthropic.Anthropic) -> None:
    question: Any = [{"role": "user", "content": "Think. [[sim: reasoning_content]]"}]
    asked: Any = {"max_tokens": 4000, "thinking": {"type": "adaptive"}}
    told = client.messages.create(model=model_of("openai", "thinks"), messages=question, **asked)
    history: Any = [*question, {"role": "assistant", "content": told.content}, {"role": "user", "content": 'What did you get? [[sim: echo="body"]]'}]
    raw = client.messages.with_raw_response.create(model=model_of("anthropic"), messages=history, **asked)
    assert "sgw1." not in "".join(block.text for block in raw.parse().content if block.type == "text")
    assert raw.headers["x-sgw-dropped"] == "messages.content.thinking"


# ---- what is beside messages --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire", UPSTREAMS)
def test_tokens_are_counted_or_honestly_estimated(client: anthropic.Anthropic, served: Service, wire: str) -> None:
    raw = client.messages.with_raw_response.count_tokens(model=model_of(wire), messages=[{"role": "user", "content": "Count these few words for me, please."}])
    assert 5 <= raw.parse().input_tokens <= 30
    assert raw.headers.get("x-sgw-estimated") == (None if wire == "anthropic" else "input_tokens")
    row = served.row_of(raw.headers["x-request-id"])
    assert (row["cost_nanousd"], row["status"], row["usage_source"]) == (0, 200, "none")


def test_models_are_listed_as_this_sdk_expects(client: anthropic.Anthropic) -> None:
    listed = [model.id for model in client.models.list()]
    assert {model_of(wire) for wire in UPSTREAMS} <= set(listed)
    found = client.models.retrieve(model_of("gemini"))
    assert (found.id, found.type, found.display_name) == (model_of("gemini"), "model", model_of("gemini"))
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.models.retrieve("nowhere")
    assert (caught.value.type, caught.value.error_code) == ("not_found_error", "model_not_found")


def test_the_vendors_own_paths_lead_to_an_account(served: Service) -> None:
    for path in ("/v1/sim-anthropic", "/v1/sim-anthropic/v1"):
        with client_of(served, path=path.removesuffix("/v1"), max_retries=0) as client:
            told = client.messages.create(model="sim-claude", max_tokens=20, messages=say("The long way."))
            assert told.content[0].to_dict()["text"] == "The long way."
            assert client.messages.count_tokens(model="sim-claude", messages=say("x")).input_tokens > 0


def test_version_and_betas_reach_the_vendor_and_the_key_does_not(client: anthropic.Anthropic) -> None:
    told = client.beta.messages.create(
        model=model_of("anthropic"), max_tokens=2000, betas=["context-1m-2025-08-07"], messages=[{"role": "user", "content": 'Hello [[sim: echo="headers"]]'}]
    )
    text = "".join(block.text for block in told.content if block.type == "text")
    assert '"anthropic-version":"2026-10-21"' in text
    assert '"anthropic-beta":"context-1m-2025-08-07"' in text
    assert "authorization" not in text


# ---- errors -------------------------------------------------------------------------------------------------------------


def met(error: anthropic.APIStatusError) -> tuple[int, str | None, str | None, str | None, str | None]:
    """Return what a caller can know of an error."""
    headers = error.response.headers
    assert error.request_id == headers["x-request-id"]
    return error.status_code, error.error_code, error.type, headers.get("x-should-retry"), headers.get("retry-after")


def expected(told: Told) -> tuple[int, str | None, str | None, str | None, str | None]:
    """Return what a caller of this surface is told, whose kinds of errors follow from their status."""
    return told.status, told.code, KINDS.get(told.status, told.kind), told.should_retry, told.retry_after


@pytest.mark.parametrize("directive", FAULTS)
@pytest.mark.parametrize("wire", ["anthropic", "openai"])
def test_a_providers_failure_is_told_in_this_sdks_terms(served: Service, wire: str, directive: str) -> None:
    asked: list[httpx2.Response] = []
    told = told_by(wire, directive)
    with client_of(served, asked=asked, max_retries=1) as client, pytest.raises(CLASSES[told.status]) as caught:
        client.messages.create(model=model_of(wire, directive), max_tokens=50, messages=asking_for(directive))  # type: ignore[arg-type]
    assert (met(caught.value), len(asked)) == (expected(told), told.requests)


@pytest.mark.parametrize("directive", IN_STREAM)
@pytest.mark.parametrize("wire", ["anthropic", "openai"])
def test_a_stream_that_fails_ends_with_an_error(client: anthropic.Anthropic, wire: str, directive: str) -> None:
    text = f'[[sim: {directive} say="One two three four five six seven eight."]]'
    events: list[str] = []
    with (
        pytest.raises(anthropic.APIStatusError) as caught,
        client.messages.stream(model=model_of(wire, directive), max_tokens=100, messages=[{"role": "user", "content": text}]) as stream,
    ):
        events += [event.type for event in stream]
    assert "message_stop" not in events
    assert caught.value.body is not None


def test_our_own_refusals_name_what_to_do(served: Service, client: anthropic.Anthropic) -> None:
    narrow = issue(served, {"claude narrow": (["sim-chat"], "active")})["claude narrow"]
    with client_of(served, key="sgw_vk_0000000000_" + "x" * 38, max_retries=0) as stranger, pytest.raises(anthropic.AuthenticationError) as caught:
        stranger.messages.create(model=model_of("openai"), max_tokens=5, messages=say("x"))
    assert met(caught.value)[:3] == (401, "invalid_api_key", "authentication_error")
    with client_of(served, key=narrow, max_retries=0) as limited, pytest.raises(anthropic.PermissionDeniedError) as denied:
        limited.messages.create(model=model_of("openai"), max_tokens=5, messages=say("x"))
    assert met(denied.value)[:3] == (403, "model_not_allowed", "permission_error")
    with pytest.raises(anthropic.NotFoundError) as refused:
        client.messages.create(model=model_of("openai"), max_tokens=5, messages=say("x"), container="c_1")
    assert met(refused.value)[:3] == (404, "not_found", "not_found_error")
    assert "container" in str(refused.value.api_message)


def test_the_client_who_leaves_is_charged_for_what_came(served: Service, client: anthropic.Anthropic) -> None:
    text = "Hello [[sim: pace=100 tokens=200]]"
    with client.messages.stream(model=model_of("openai"), max_tokens=500, messages=[{"role": "user", "content": text}]) as stream:
        call_id = stream.response.headers["x-request-id"]
        for event in stream:
            if event.type == "text":
                break
    wait_for(lambda: served.row_of(call_id)["error_code"] == "client_closed_request", 10, "the call that was left")
