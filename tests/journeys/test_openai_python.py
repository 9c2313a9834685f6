"""The official openai package for Python, 3.x, unmodified, against the started product: both wires, every promise a caller relies on."""

import asyncio
import base64
import json
import re
import struct
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import openai
import pytest
from pydantic import BaseModel

from accounts import keys
from tests.fakes.issued import issue
from tests.fakes.service import Service, wait_for
from tests.journeys import upstreams
from tests.journeys.faults import FAULTS, IN_STREAM, MODELS, PATIENT, WIRES, Told, add_faulty_models, asking_for, model_of, told_by
from tests.journeys.upstreams import UPSTREAMS, wire_of

pytestmark = pytest.mark.journey

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
EVERY = pytest.mark.parametrize("model", [upstreams.model_of(wire) for wire in UPSTREAMS])
CITIES: Any = [{"role": "user", "content": "What is the weather in Paris, London and Rome?"}]
CLASSES = {
    400: openai.BadRequestError,
    404: openai.NotFoundError,
    413: openai.APIStatusError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    502: openai.InternalServerError,
    503: openai.InternalServerError,
    504: openai.InternalServerError,
}


class Step(BaseModel):
    explanation: str
    value: int


class Solution(BaseModel):
    steps: list[Step]
    final: str
    certain: bool


class Asked:
    """The answers a client met, in order, retries included."""

    def __init__(self) -> None:
        self.answers: list[httpx2.Response] = []


def client_of(service: Service, asked: Asked | None = None, *, key: str = "", path: str = "", **options: Any) -> openai.OpenAI:
    """Return the SDK's client, writing down every answer it meets."""
    hooks: Any = {"response": [asked.answers.append]} if asked is not None else {}
    return openai.OpenAI(base_url=service.base_url + path, api_key=key or service.key, http_client=openai.DefaultHttpx2Client(event_hooks=hooks), **options)


@pytest.fixture
def client(wired: Service) -> Iterator[openai.OpenAI]:
    with client_of(wired, max_retries=0) as made:
        yield made


@pytest.fixture
async def async_client(service: Service) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=service.base_url, api_key=service.key, max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def faulty(service: Service) -> Service:
    add_faulty_models(service, "p3")
    return service


@pytest.fixture(scope="module")
def issued(service: Service) -> dict[str, str]:
    return issue(service, {"one": (["sim-chat"], "active"), "asleep": (["*"], "suspended"), "gone": (["*"], "revoked")})


def told_model(model: str) -> str:
    """Return which model an answer names: on its own wire it passes as the provider wrote it."""
    return UPSTREAMS["chat"].model if wire_of(model) == "chat" else model


def say(text: str) -> Any:
    """Return messages that make the simulator say exactly this."""
    return [{"role": "system", "content": "Be kind."}, {"role": "user", "content": f'Hello [[sim: say="{text}"]]'}]


# ---- chat ---------------------------------------------------------------------------------------------------------------


@EVERY
def test_a_whole_answer(client: openai.OpenAI, service: Service, model: str) -> None:
    raw = client.chat.completions.with_raw_response.create(model=model, messages=say("Hello from the other side."))
    told = raw.parse()
    assert [choice.model_dump(exclude_none=True, exclude={"message": {"annotations"}}) for choice in told.choices] == [
        {"finish_reason": "stop", "index": 0, "message": {"role": "assistant", "content": "Hello from the other side."}}
    ]
    assert told.usage is not None and told.usage.completion_tokens == 5
    assert (told.model, told.object, told.id[:9], told.created > 1_700_000_000) == (told_model(model), "chat.completion", "chatcmpl-", True)
    upstream = UPSTREAMS[wire_of(model)]
    names = (
        "x-sgw-model",
        "x-sgw-provider",
        "x-sgw-deployment",
        "x-sgw-attempts",
        "x-sgw-cache",
        "x-content-type-options",
        "x-sgw-dropped",
    )
    assert [raw.headers.get(name) for name in names] == [model, upstream.provider, f"t-{model}-0/{upstream.model}", "1", "off", "nosniff", None]
    assert re.fullmatch(r"gateway;dur=\d+\.\d+, upstream;dur=\d+\.\d+", raw.headers["server-timing"])
    call = raw.headers["x-request-id"]
    assert re.fullmatch("call_[0-9a-f]{27}", call)
    row = service.row_of(call)
    assert (row["model"], row["status"], row["outcome"], row["usage_source"], row["stream"]) == (model, 200, "ok", "provider", 0)
    assert (row["input_tokens"], row["output_tokens"]) == (told.usage.prompt_tokens, told.usage.completion_tokens)
    assert raw.headers["x-sgw-cost-usd"] == f"{row['cost_nanousd'] / 1e9:.9f}" != "0.000000000"


@pytest.mark.parametrize("asks", [None, False, True])
@EVERY
def test_a_stream_carries_usage_only_to_who_asked(client: openai.OpenAI, service: Service, model: str, asks: bool | None) -> None:
    options: Any = {} if asks is None else {"stream_options": {"include_usage": asks}}
    raw = client.chat.completions.with_raw_response.create(model=model, messages=say("One two three."), stream=True, **options)
    chunks = list(raw.parse())
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "One two three."
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert {chunk.model for chunk in chunks} == {told_model(model)} and len({chunk.id for chunk in chunks}) == 1
    reported = [(len(chunk.choices), chunk.usage.completion_tokens, chunk is chunks[-1]) for chunk in chunks if chunk.usage]
    assert reported == ([(0, 3, True)] if asks else [])
    assert asks or all(len(chunk.choices) == 1 for chunk in chunks)
    row = service.row_of(raw.headers["x-request-id"])
    assert (row["output_tokens"], row["usage_source"], row["stream"], row["outcome"]) == (3, "provider", 1, "ok")
    assert raw.headers["content-type"] == "text/event-stream; charset=utf-8" and "x-sgw-cost-usd" not in raw.headers


@EVERY
def test_the_stream_helper_assembles_what_a_whole_answer_says(client: openai.OpenAI, model: str) -> None:
    with client.chat.completions.stream(model=model, messages=say("Grüße, 日本語 👩‍👩‍👧!")) as stream:
        assert stream.get_final_completion().choices[0].message.content == "Grüße, 日本語 👩‍👩‍👧!"


@EVERY
def test_parallel_tools_and_the_turn_after_them(client: openai.OpenAI, model: str) -> None:
    told = client.chat.completions.create(model=model, messages=CITIES, tools=[WEATHER]).choices[0]
    calls: Any = told.message.tool_calls
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == [
        ("get_weather", {"city": city}) for city in ("Paris", "London", "Rome")
    ]
    assert (told.finish_reason, told.message.content, len({call.id for call in calls})) == ("tool_calls", None, 3)
    results: Any = [{"role": "tool", "tool_call_id": call.id, "content": f"{place} degrees"} for place, call in enumerate(calls)]
    after = client.chat.completions.create(model=model, messages=[*CITIES, told.message, *results], tools=[WEATHER]).choices[0]
    assert after.finish_reason == "stop" and after.message.tool_calls is None
    opening = f"Simulated answer from {UPSTREAMS[wire_of(model)].model}. The tool returned: 0 degrees | 1 degrees | 2 degrees "
    assert (after.message.content or "")[: len(opening)] == opening


@EVERY
def test_streamed_tool_arguments_come_in_pieces(client: openai.OpenAI, model: str) -> None:
    gathered: dict[int, list[Any]] = {}
    finishes, pieces = [], 0
    for chunk in client.chat.completions.create(model=model, messages=CITIES, tools=[WEATHER], stream=True):
        finishes += [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
        for call in chunk.choices[0].delta.tool_calls or ():
            pieces += 1
            kept = gathered.setdefault(call.index, [None, None, ""])
            assert call.function is not None
            if call.id:
                assert kept == [None, None, ""]
                kept[:2] = call.id, call.function.name
            kept[2] += call.function.arguments or ""
    whole: Any = client.chat.completions.create(model=model, messages=CITIES, tools=[WEATHER]).choices[0].message.tool_calls
    said = [(name, json.loads(arguments)) for _, name, arguments in gathered.values()]
    assert said == [(call.function.name, json.loads(call.function.arguments)) for call in whole]
    assert (finishes, list(gathered), pieces >= 6) == (["tool_calls"], [0, 1, 2], True)


@EVERY
def test_one_tool_at_a_time_and_a_forced_one(client: openai.OpenAI, model: str) -> None:
    single = client.chat.completions.create(model=model, messages=CITIES, tools=[WEATHER], parallel_tool_calls=False)
    # Gemini and Converse cannot be told so
    assert len(single.choices[0].message.tool_calls or ()) == (3 if wire_of(model) in ("gemini", "bedrock") else 1)
    forced = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "Hi"}],
        tools=[WEATHER],
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
    )
    assert len(forced.choices[0].message.tool_calls or ()) == 1
    none = client.chat.completions.create(model=model, messages=CITIES, tools=[WEATHER], tool_choice="none")
    assert none.choices[0].message.tool_calls is None


@EVERY
def test_structured_output_is_parsed(client: openai.OpenAI, model: str) -> None:
    expected = Solution(steps=[Step(explanation="simulated", value=0)], final="simulated", certain=True)
    messages: Any = [{"role": "user", "content": "2 + 2"}]
    assert client.chat.completions.parse(model=model, messages=messages, response_format=Solution).choices[0].message.parsed == expected
    with client.chat.completions.stream(model=model, messages=messages, response_format=Solution) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == expected


@EVERY
def test_an_image_arrives(client: openai.OpenAI, model: str) -> None:
    messages: Any = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]}]
    told = client.chat.completions.create(model=model, messages=messages).choices[0].message.content or ""
    opening = f"Simulated answer from {UPSTREAMS[wire_of(model)].model}. I was shown 1 image (image/png)."
    assert told[: len(opening)] == opening


@EVERY
def test_an_output_limit_ends_the_answer(client: openai.OpenAI, model: str) -> None:
    # no less than the Responses API takes
    told = client.chat.completions.create(model=model, messages=say(" ".join(["word"] * 20)), max_completion_tokens=16)
    assert told.usage is not None
    assert (told.choices[0].finish_reason, told.choices[0].message.content, told.usage.completion_tokens) == ("length", " ".join(["word"] * 16), 16)


def test_fields_we_do_not_know_reach_the_vendor_untouched(client: openai.OpenAI) -> None:
    told = client.chat.completions.create(
        model="sim-chat",
        messages=[{"role": "user", "content": "[[sim: echo=body]]"}],
        extra_body={"from_tomorrow": {"deep": [1, 2.50, "ä"]}},
        metadata={"team": "x"},
    )
    assert json.loads(told.choices[0].message.content or "") == {
        "messages": [{"role": "user", "content": "[[sim: echo=body]]"}],
        "model": "sim-chat",
        "metadata": {"team": "x"},
        "from_tomorrow": {"deep": [1, 2.5, "ä"]},
        "max_tokens": 4096,  # what was held for the answer bounds it
    }


def test_what_the_other_wire_cannot_carry_is_named_or_refused(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="sim-claude", messages=say("Yes."), seed=5, n=1, presence_penalty=0.5, logit_bias={"5": 1})
    assert set(raw.headers["x-sgw-dropped"].split(",")) == {"seed", "presence_penalty", "logit_bias"}
    refused: Any
    for refused in ({"n": 2}, {"logprobs": True}):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model="sim-claude", messages=say("Yes."), **refused)
        assert (caught.value.code, caught.value.param) == ("unsupported_field", next(iter(refused)))


@pytest.mark.parametrize("model", MODELS)
async def test_200_calls_at_once(async_client: openai.AsyncOpenAI, service: Service, model: str) -> None:
    async def one(place: int) -> tuple[str, str]:
        messages = say(f"This is answer {place} of many.")
        if place % 2:
            whole = await async_client.chat.completions.with_raw_response.create(model=model, messages=messages)
            return whole.headers["x-request-id"], whole.parse().choices[0].message.content or ""
        raw = await async_client.chat.completions.with_raw_response.create(model=model, messages=messages, stream=True)
        said = [chunk.choices[0].delta.content or "" async for chunk in raw.parse()]
        return raw.headers["x-request-id"], "".join(said)

    told = await asyncio.gather(*(one(place) for place in range(200)))
    assert [text for _, text in told] == [f"This is answer {place} of many." for place in range(200)]
    calls = sorted(call for call, _ in told)
    listed = ",".join(f"'{call}'" for call in calls)

    def rows() -> list[tuple[str, str]]:
        return sorted((row["call_id"], row["outcome"]) for row in service.rows(f"call_id IN ({listed})", "call_id, outcome"))

    await asyncio.to_thread(wait_for, lambda: len(rows()) >= 200, 10, "200 rows")
    assert rows() == [(call, "ok") for call in calls]


# ---- embeddings, models, key --------------------------------------------------------------------------------------------


def test_embeddings_as_floats_and_packed(client: openai.OpenAI, service: Service) -> None:
    half = -0.7071067690849304
    floats = client.embeddings.create(model="sim-embed", input=["hello", "world"], encoding_format="float", dimensions=4)
    assert [(row.index, row.embedding) for row in floats.data] == [(0, [half, half, 0.0, 0.0]), (1, [0.0, -half, 0.0, half])]
    raw = client.embeddings.with_raw_response.create(model="sim-embed", input=["hello", "world"], encoding_format="base64", dimensions=4)
    packed: Any = [row.embedding for row in raw.parse().data]
    assert [list(struct.unpack("<4f", base64.b64decode(one))) for one in packed] == [row.embedding for row in floats.data]
    # without a wish the SDK asks for base64 and unpacks it itself
    assert client.embeddings.create(model="sim-embed", input=["hello", "world"], dimensions=4).data == floats.data
    row = service.row_of(raw.headers["x-request-id"])
    assert (row["endpoint"], row["input_tokens"], row["output_tokens"], row["cost_nanousd"]) == ("embeddings", 4, 0, 80)
    assert raw.headers["x-sgw-cost-usd"] == "0.000000080"


def test_models_are_listed_and_found(service: Service, issued: dict[str, str]) -> None:
    with client_of(service, key=issued["one"], max_retries=0) as client:
        assert [(model.id, model.object, model.owned_by) for model in client.models.list()] == [("sim-chat", "model", "simulator")]
        assert client.models.retrieve("sim-chat").id == "sim-chat"
        for name in ("sim-claude", "no-such-model", "with/slash:and-colon"):
            with pytest.raises(openai.NotFoundError) as caught:
                client.models.retrieve(name)
            assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_key_is_told_about_itself(service: Service, issued: dict[str, str]) -> None:
    with client_of(service, key=issued["one"], max_retries=0) as client:
        told: Any = client.get("/key", cast_to=object)
    assert re.fullmatch(r"prj_[0-9a-f]{32}", told.pop("project")) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told.pop("expires_at"))
    public_id = keys.parse(issued["one"].encode()).public_id
    assert told == {
        "object": "key",
        "id": f"key_{public_id}",
        "name": "one",
        "project_name": "Sandbox",
        "environment": "dev",
        "models": ["sim-chat"],
    }


# ---- credentials --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "api-key", "x-goog-api-key"])
def test_every_form_of_credential(service: Service, name: str) -> None:
    value = f"Bearer {service.key}" if name == "authorization" else service.key
    body = {"model": "sim-chat", "messages": say("Come in.")}
    told = httpx2.post(f"{service.base_url}/chat/completions", headers={name: value}, json=body)
    assert (told.status_code, told.json()["choices"][0]["message"]["content"]) == (200, "Come in.")


def test_two_credentials_are_one_only_when_they_are_the_same(service: Service, issued: dict[str, str]) -> None:
    def ask(**headers: str) -> tuple[int, str]:
        told = httpx2.get(f"{service.base_url}/models", headers={name.replace("_", "-"): value for name, value in headers.items()})
        return told.status_code, told.json().get("error", {}).get("code", "")

    assert ask(authorization=f"Bearer {service.key}", x_api_key=service.key) == (200, "")
    assert ask(authorization=f"Bearer {service.key}", x_api_key=issued["one"]) == (401, "invalid_api_key")
    # told in Google's shape, whose code is the status
    assert ask(api_key=service.key, x_goog_api_key="something-else") == (401, 401)
    assert ask() == (401, "invalid_api_key")
    assert ask(cookie="sessionid=1") == (401, "invalid_api_key")


def test_a_key_in_the_address_opens_nothing_here(service: Service) -> None:
    told = httpx2.get(f"{service.base_url}/models?key={service.key}")
    assert (told.status_code, told.json()["error"]["code"]) == (401, "invalid_api_key")


def refused(service: Service, key: str, model: str, cls: type[openai.APIStatusError]) -> tuple[Any, ...]:
    """Return status, code, type and x-should-retry of a refusal, and how often a client with its usual retries asked."""
    asked = Asked()
    with client_of(service, asked, key=key) as client, pytest.raises(cls) as caught:
        client.chat.completions.create(model=model, messages=say("Never."))
    error = caught.value
    assert type(error) is cls and re.fullmatch("call_[0-9a-f]{27}", error.request_id or "")
    body: Any = error.body
    assert body["sgw"]["call_id"] == error.request_id and key not in json.dumps(body)
    return error.status_code, error.code, error.type, error.response.headers.get("x-should-retry"), len(asked.answers)


def test_a_key_that_does_not_open(service: Service, issued: dict[str, str]) -> None:
    def told(key: str) -> tuple[Any, ...]:
        return refused(service, key, "sim-chat", openai.AuthenticationError)

    damaged = service.key[:-1] + ("a" if service.key[-1] != "a" else "b")
    for key in ("sk-something", damaged, keys.make("vk").text):
        assert told(key) == (401, "invalid_api_key", "authentication_error", "false", 1)
    assert told(keys.make("sa").text) == (401, "wrong_credential_kind", "authentication_error", "false", 1)
    assert told(issued["gone"]) == (401, "key_revoked", "authentication_error", "false", 1)
    asleep = refused(service, issued["asleep"], "sim-chat", openai.PermissionDeniedError)
    assert asleep == (403, "key_suspended", "permission_error", "false", 1)


def test_a_model_that_is_not_for_this_key(service: Service, issued: dict[str, str]) -> None:
    assert refused(service, issued["one"], "sim-claude", openai.PermissionDeniedError) == (
        *(403, "model_not_allowed", "permission_error"),
        *("false", 1),
    )
    for model in ("no-such-model", "gpt-99", "naïve/model"):
        told = refused(service, service.key, model, openai.NotFoundError)
        assert told == (404, "model_not_found", "invalid_request_error", "false", 1)
    assert refused(service, service.key, "sim-embed", openai.BadRequestError) == (
        400,
        "invalid_request",
        "invalid_request_error",
        "false",
        1,
    )


def test_an_endpoint_we_do_not_serve(service: Service) -> None:
    with client_of(service, max_retries=0) as client, pytest.raises(openai.NotFoundError) as caught:
        client.fine_tuning.jobs.create(model="sim-chat", training_file="file-1")
    assert caught.value.code == "unknown_endpoint"
    with client_of(service, path="/v1", max_retries=0) as client, pytest.raises(openai.NotFoundError, match="remove /v1 from base_url"):
        client.chat.completions.create(model="sim-chat", messages=say("Never."))


# ---- the provider path --------------------------------------------------------------------------------------------------


def test_the_providers_own_path(service: Service) -> None:
    with client_of(service, path="/sim-openai", max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(model="sim-chat", messages=say("The long way."))
        assert (raw.parse().choices[0].message.content, raw.headers["x-sgw-deployment"]) == ("The long way.", "sim-openai/sim-chat")
        assert service.row_of(raw.headers["x-request-id"])["account"] == "sim-openai"
        streamed = client.chat.completions.create(model="sim-chat", messages=say("The long way."), stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == "The long way."
        assert len(client.embeddings.create(model="sim-embed", input="x", dimensions=4).data) == 1
        assert "sim-chat" in {model.id for model in client.models.list()} and client.models.list().data[0].object == "model"
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(model="sim-claude", messages=say("Never."))
        assert caught.value.code == "model_not_found"


# ---- a provider's failures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("directive", FAULTS)
@pytest.mark.parametrize("wire", WIRES)
def test_a_failing_provider(faulty: Service, wire: str, directive: str) -> None:
    model, told, asked, messages = model_of("p3", wire, directive), told_by(wire, directive), Asked(), asking_for(directive)
    options: Any = {"model": model, "messages": messages}
    with client_of(faulty, asked, max_retries=1) as client:
        with pytest.raises(CLASSES[told.status]) as caught:
            client.chat.completions.create(**options)
        assert type(caught.value) is CLASSES[told.status]
        headers = caught.value.response.headers
        assert told == Told(
            caught.value.status_code,
            str(caught.value.code),
            str(caught.value.type),
            headers.get("x-should-retry"),
            headers.get("retry-after"),
            len(asked.answers),
        )
        if told.status in (400, 404, 413, 422):
            assert f"Simulated status {told.status}." in caught.value.message
        # each request of the client is a call of its own, tried once at the one deployment, and recorded as such
        for answer in asked.answers:
            row = faulty.row_of(answer.headers["x-request-id"])
            tried = [(account, status) for _, account, _, status, *_ in json.loads(row["attempts"])]
            upstream = 0 if directive == "reset=before" else int(directive.partition("=")[2][:3])
            recorded = "vendor_refused" if told.status in (400, 404, 413, 422) else told.code
            assert (row["status"], row["error_code"], tried) == (told.status, recorded, [(f"t-{model}-0", upstream)])
            assert (row["cost_nanousd"], row["output_tokens"]) == (0, 0)
        with pytest.raises(CLASSES[told.status]) as streamed:
            client.with_options(max_retries=0).chat.completions.create(**options, stream=True)
        assert (streamed.value.status_code, streamed.value.code) == (told.status, told.code)


@pytest.mark.parametrize("wire", WIRES)
def test_the_clients_own_number_of_retries(faulty: Service, wire: str) -> None:
    asked = Asked()
    with client_of(faulty, asked) as client, pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model=model_of("p3", wire, PATIENT), messages=asking_for(PATIENT))  # type: ignore[arg-type]
    assert [answer.status_code for answer in asked.answers] == [502, 502, 502]
    assert len({answer.headers["x-request-id"] for answer in asked.answers}) == 3


@pytest.mark.parametrize("directive", IN_STREAM)
@pytest.mark.parametrize("wire", WIRES)
def test_a_failure_in_the_middle_of_a_stream_is_an_error_not_an_end(faulty: Service, wire: str, directive: str) -> None:
    asked, said = Asked(), []
    with client_of(faulty, asked) as client:
        messages: Any = [{"role": "user", "content": f'[[sim: {directive} say="One two three four." pace=1]]'}]
        stream = client.chat.completions.create(model=model_of("p3", wire, directive), messages=messages, stream=True)
        with pytest.raises(openai.APIError) as caught:
            for chunk in stream:
                said += [choice.delta.content or "" for choice in chunk.choices]
                assert all(choice.finish_reason is None for choice in chunk.choices)
    assert (type(caught.value), caught.value.code, len(asked.answers)) == (openai.APIError, "upstream_error", 1)
    text = "".join(said)
    assert text and "One two three four.".startswith(text) and text != "One two three four."
    row = faulty.row_of(asked.answers[0].headers["x-request-id"])
    assert (row["outcome"], row["error_code"], row["status"]) == ("failed", "upstream_error", 502)


def test_a_client_that_will_not_wait(client: openai.OpenAI, service: Service) -> None:
    impatient = client.with_options(timeout=0.3, default_headers={"x-sgw-session": "impatient"})
    with pytest.raises(openai.APITimeoutError):
        impatient.chat.completions.create(model="sim-chat", messages=[{"role": "user", "content": "[[sim: delay=20000]]"}])
    rows = wait_for(lambda: service.rows("session = 'impatient'", "outcome, status, error_code"), 10, "the row of the call")
    assert rows == [{"outcome": "aborted", "status": 499, "error_code": "client_closed_request"}]
