"""Google's own SDK for Python, google-genai 3.x, unmodified, against the started product: every upstream wire, every promise a caller relies on."""

from typing import Any

import httpx2
import orjson
import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from tests.fakes.issued import issue
from tests.fakes.service import Service, wait_for

pytestmark = pytest.mark.journey

# upstream wire: (kind of provider, its simulated model)
UPSTREAMS = {
    "google": ("simulator_google", "sim-gemini"),
    "openai": ("simulator", "sim-chat"),
    "anthropic": ("simulator_anthropic", "sim-claude"),
    "responses": ("simulator_responses", "sim-chat"),
    "bedrock": ("simulator_bedrock", "sim.anthropic.claude-sonnet-4-5"),
}
EVERY = pytest.mark.parametrize("wire", UPSTREAMS)
QUESTION = "What is the weather in Paris, London and Rome?"
THINKS = types.ThinkingConfig(thinking_budget=2048, include_thoughts=True)


class Answer(BaseModel):
    """A shape to be filled."""

    city: str
    degrees: int


def weather(city: str) -> str:
    """Weather of a city."""
    return f"rain in {city}"


def model_of(wire: str) -> str:
    """Return the name of the model at one upstream wire."""
    return f"google-{wire}"


def client_of(service: Service, key: str = "", path: str = "") -> genai.Client:
    """Return the SDK's client."""
    return genai.Client(api_key=key or service.key, http_options=types.HttpOptions(base_url=service.origin + path))


@pytest.fixture(scope="module")
def served(service: Service) -> Service:
    """The service, with a model for each upstream wire."""
    service.add_models({model_of(wire): [{"provider": provider, "upstream_model": upstream}] for wire, (provider, upstream) in UPSTREAMS.items()})
    return service


@pytest.fixture
def google(served: Service) -> genai.Client:
    """The client with the demo key."""
    return client_of(served)


def said(response: types.GenerateContentResponse) -> list[types.Part]:
    """Return an answer's parts."""
    assert response.candidates
    assert response.candidates[0].content
    return response.candidates[0].content.parts or []


@EVERY
def test_a_whole_answer_and_the_same_as_a_stream(google: genai.Client, served: Service, wire: str) -> None:
    config = types.GenerateContentConfig(system_instruction="Be kind.", temperature=0.5, max_output_tokens=100)
    asked: Any = {"model": model_of(wire), "contents": 'Hello [[sim: say="Hello from the other side."]]', "config": config}
    told = google.models.generate_content(**asked)
    assert (told.text, told.candidates and told.candidates[0].finish_reason) == ("Hello from the other side.", types.FinishReason.STOP)
    usage = told.usage_metadata
    assert usage is not None
    assert ((usage.prompt_token_count or 0) > 0, usage.candidates_token_count) == (True, 5)
    chunks = list(google.models.generate_content_stream(**asked))
    assert "".join(chunk.text or "" for chunk in chunks) == told.text
    assert chunks[-1].usage_metadata is not None
    assert chunks[-1].usage_metadata.total_token_count == usage.total_token_count
    headers = (told.sdk_http_response.headers if told.sdk_http_response else None) or {}
    assert (headers["x-sgw-provider"], headers.get("x-sgw-dropped")) == (UPSTREAMS[wire][0], None)
    row = served.row_of(headers["x-request-id"])
    assert (row["endpoint"], row["output_tokens"], row["usage_source"], row["cost_nanousd"] > 0) == ("generateContent", 5, "provider", True)


@EVERY
def test_a_chat_calls_python_functions_by_itself(google: genai.Client, wire: str) -> None:
    chat = google.chats.create(model=model_of(wire), config=types.GenerateContentConfig(tools=[weather]))
    assert "The tool returned: rain in Paris | rain in London | rain in Rome" in (chat.send_message(QUESTION).text or "")
    again = google.chats.create(model=model_of(wire), config=types.GenerateContentConfig(tools=[weather]))
    streamed = "".join(chunk.text or "" for chunk in again.send_message_stream(QUESTION))
    assert "The tool returned: rain in Paris | rain in London | rain in Rome" in streamed
    assert chat.send_message("Thank you.").text


@EVERY
def test_thoughts_are_shown_and_go_back_signed(google: genai.Client, wire: str) -> None:
    chat = google.chats.create(model=model_of(wire), config=types.GenerateContentConfig(thinking_config=THINKS))
    parts = [part for chunk in chat.send_message_stream("Think. [[sim: reasoning_content]]") for part in said(chunk)]
    if wire != "openai":  # its simulated model thinks no more than the real one shows
        assert any(part.thought and part.text for part in parts)
        assert any(part.thought_signature for part in parts)
    assert chat.send_message("And then?").text


@EVERY
def test_an_answer_is_parsed_by_its_schema_and_an_image_is_shown(google: genai.Client, wire: str) -> None:
    shaped = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Answer)
    assert isinstance(google.models.generate_content(model=model_of(wire), contents="A city?", config=shaped).parsed, Answer)
    image = types.Part.from_bytes(data=b"\x89PNG\r\n\x1a\n", mime_type="image/png")
    shown = types.Content(role="user", parts=[image, types.Part(text="What is it?")])
    assert "I was shown 1 image" in (google.models.generate_content(model=model_of(wire), contents=shown).text or "")


def test_one_conversation_goes_from_vendor_to_vendor(google: genai.Client) -> None:
    config = types.GenerateContentConfig(tools=[weather], thinking_config=THINKS)
    history: list[Any] = []
    for wire in ("anthropic", "openai", "google", "bedrock", "responses", "google", "bedrock", "anthropic"):
        chat = google.chats.create(model=model_of(wire), config=config, history=history)
        assert "The tool returned: rain in Oslo" in (chat.send_message("Weather in Oslo?").text or "")
        history = chat.get_history(curated=True)


def test_models_are_listed_as_this_sdk_expects(google: genai.Client) -> None:
    listed = {model.name: model.supported_actions for model in google.models.list()}
    assert {f"models/{model_of(wire)}" for wire in UPSTREAMS} <= set(listed)
    assert "embedContent" in (listed["models/sim-gemini-embed"] or ())
    assert google.models.get(model=model_of("openai")).name == f"models/{model_of('openai')}"


@EVERY
def test_tokens_are_counted_or_honestly_estimated(google: genai.Client, served: Service, wire: str) -> None:
    told = google.models.count_tokens(model=model_of(wire), contents="Count these few words for me, please.")
    assert 5 <= (told.total_tokens or 0) <= 30
    headers = (told.sdk_http_response.headers if told.sdk_http_response else None) or {}
    assert headers.get("x-sgw-estimated") == (None if wire == "google" else "input_tokens")
    row = served.row_of(headers["x-request-id"])
    assert (row["cost_nanousd"], row["status"], row["usage_source"]) == (0, 200, "none")


@pytest.mark.parametrize("model", ["sim-gemini-embed", "sim-embed"])
def test_texts_are_embedded(google: genai.Client, served: Service, model: str) -> None:
    config = types.EmbedContentConfig(output_dimensionality=8)
    texts = [types.Content(parts=[types.Part(text=text)]) for text in ("a cat", "a dog")]
    embedded = google.models.embed_content(model=model, contents=texts, config=config)
    vectors = [one.values for one in embedded.embeddings or ()]
    assert [len(one or ()) for one in vectors] == [8, 8]
    told = served.post("/v1/embeddings", {"model": model, "input": ["a cat", "a dog"], "dimensions": 8})[2]
    assert [row["embedding"] for row in told["data"]] == vectors
    assert told["usage"]["prompt_tokens"] > 0


def test_the_vendors_own_path_leads_to_an_account(served: Service) -> None:
    client = client_of(served, path="/v1/sim-google")
    told = client.models.generate_content(model="sim-gemini", contents='x [[sim: say="The long way."]]')
    assert told.text == "The long way."
    assert (client.models.count_tokens(model="sim-gemini", contents="four byte words").total_tokens or 0) > 0


def test_a_key_in_the_query_works_and_goes_no_further(served: Service) -> None:
    body = {"contents": [{"parts": [{"text": "x [[sim: echo=headers]]"}]}]}
    url = f"{served.origin}/v1beta/models/sim-gemini:streamGenerateContent?key={served.key}"
    answer = httpx2.post(url, json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    chunks = orjson.loads(answer.content)
    assert served.key not in "".join(part["text"] for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"])
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"
    assert served.key not in served.log()[served.log().rfind("Ctrl-C") :]


def met(error: errors.APIError) -> tuple[int, str | None, str]:
    """Return what a caller can know of an error."""
    return error.code, error.status, error.details["error"]["details"][0]["reason"]


def test_refusals_and_failures_have_googles_shape(served: Service, google: genai.Client) -> None:
    narrow = issue(served, {"google narrow": (["sim-chat"], "active")})["google narrow"]
    cases: list[tuple[genai.Client, str, str, Any, tuple[int, str, str]]] = [
        (client_of(served, "sgw_vk_0000000000_" + "x" * 38), "openai", "x", None, (401, "UNAUTHENTICATED", "INVALID_API_KEY")),
        (client_of(served, narrow), "openai", "x", None, (403, "PERMISSION_DENIED", "MODEL_NOT_ALLOWED")),
        (google, "nothing", "x", None, (404, "NOT_FOUND", "MODEL_NOT_FOUND")),
        (google, "openai", "x", {"cached_content": "cachedContents/1"}, (404, "NOT_FOUND", "NOT_FOUND")),
        (google, "anthropic", "[[sim: status=422]]", None, (422, "INVALID_ARGUMENT", "INVALID_REQUEST")),
    ]
    for client, wire, text, config, expected in cases:
        with pytest.raises(errors.APIError) as caught:
            client.models.generate_content(model=model_of(wire), contents=text, config=config)
        assert met(caught.value) == expected


@pytest.mark.parametrize("wire", ["google", "openai"])
def test_a_stream_that_fails_ends_with_an_error(google: genai.Client, wire: str) -> None:
    with pytest.raises(errors.APIError) as caught:
        list(google.models.generate_content_stream(model=model_of(wire), contents='[[sim: in_stream_error say="One two three four five six seven eight."]]'))
    assert met(caught.value) == (502, "UNAVAILABLE", "UPSTREAM_ERROR")


def test_the_client_who_leaves_is_charged_for_what_came(served: Service, google: genai.Client) -> None:
    stream: Any = google.models.generate_content_stream(model=model_of("google"), contents="Hello [[sim: pace=100 tokens=200]]")
    first = next(iter(stream))
    call_id = ((first.sdk_http_response.headers if first.sdk_http_response else None) or {})["x-request-id"]
    stream.close()
    row = wait_for(lambda: served.rows(f"call_id = '{call_id}' AND error_code = 'client_closed_request'"), 10, "the call that was left")[0]
    assert (row["status"], row["input_tokens"] > 0, 0 < row["output_tokens"] < 200) == (499, True, True)
