"""The Gemini wire as Google's own SDK sees it."""

import httpx
import orjson
import pytest
from google import genai
from google.genai import errors, types


@pytest.fixture
def google(simulator_url: str) -> genai.Client:
    return genai.Client(api_key="key", http_options=types.HttpOptions(base_url=simulator_url))


def weather(city: str) -> str:
    """Weather of a city."""
    return f"rain in {city}"


def test_an_answer_has_text_and_counts(google: genai.Client) -> None:
    config = types.GenerateContentConfig(system_instruction="Be brief.")
    answer = google.models.generate_content(model="sim-gemini", contents='hello there [[sim: say="just this" cached=2]]', config=config)
    assert (answer.text, answer.model_version) == ("just this", "sim-gemini")
    usage = answer.usage_metadata
    assert usage is not None
    assert (usage.prompt_token_count, usage.cached_content_token_count, usage.candidates_token_count) == (16, 2, 2)


def test_a_stream_says_what_the_whole_answer_says(google: genai.Client) -> None:
    whole = google.models.generate_content(model="sim-gemini", contents="stream me")
    chunks = list(google.models.generate_content_stream(model="sim-gemini", contents="stream me"))
    assert "".join(chunk.text or "" for chunk in chunks) == whole.text
    assert chunks[-1].usage_metadata == whole.usage_metadata


def test_an_object_alone_is_a_list_of_one(raw: httpx.Client) -> None:
    alone = {"system_instruction": {"parts": {"text": "Be a cat."}}, "contents": {"parts": {"text": "hi"}}}
    listed = {"systemInstruction": {"parts": [{"text": "Be a cat."}]}, "contents": [{"parts": [{"text": "hi"}]}]}
    first, second = (raw.post("/v1beta/models/sim-gemini:generateContent", json=body) for body in (alone, listed))
    assert (first.status_code, first.json()) == (200, second.json())


def test_without_sse_a_stream_is_one_array(raw: httpx.Client) -> None:
    answer = raw.post("/v1beta/models/sim-gemini:streamGenerateContent", json={"contents": [{"parts": [{"text": "[[sim: tokens=2]]"}]}]})
    assert answer.headers["content-type"] == "application/json"
    assert len(orjson.loads(answer.content)) == 3


def test_signed_calls_come_back_with_their_signature_or_are_refused(google: genai.Client) -> None:
    chat = google.chats.create(model="sim-gemini", config=types.GenerateContentConfig(tools=[weather]))
    answer = chat.send_message("Weather in Paris and Rome?")
    assert answer.text is not None
    assert "The tool returned: rain in Paris | rain in Rome" in answer.text
    unsigned = [content.model_copy(deep=True) for content in chat.get_history(curated=True)]
    assert unsigned[1].parts is not None
    unsigned[1].parts[0].thought_signature = None
    with pytest.raises(errors.ClientError, match="missing a thought_signature"):
        google.models.generate_content(model="sim-gemini", contents=unsigned)


def test_thoughts_are_shown_and_signed_when_asked_for(google: genai.Client) -> None:
    config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW, include_thoughts=True))
    answer = google.models.generate_content(model="sim-gemini", contents="think", config=config)
    assert answer.candidates is not None
    content = answer.candidates[0].content
    assert content is not None
    assert content.parts is not None
    assert [(part.thought, bool(part.thought_signature)) for part in content.parts] == [(True, False), (None, True)]
    assert answer.usage_metadata is not None
    assert (answer.usage_metadata.thoughts_token_count or 0) > 0


def test_tokens_are_counted_and_texts_embedded(google: genai.Client) -> None:
    assert google.models.count_tokens(model="sim-gemini", contents="four byte words").total_tokens == 5
    texts = [types.Content(parts=[types.Part(text=text)]) for text in ("a cat", "a dog")]
    embedded = google.models.embed_content(model="sim-gemini-embed", contents=texts, config=types.EmbedContentConfig(output_dimensionality=8))
    assert embedded.embeddings is not None
    assert [len(one.values or ()) for one in embedded.embeddings] == [8, 8]


def test_models_are_listed_and_errors_have_googles_shape(google: genai.Client) -> None:
    assert [model.name for model in google.models.list()] == ["models/sim-gemini", "models/sim-gemini-embed", "models/sim-gemini-live"]
    with pytest.raises(errors.ClientError) as caught:
        google.models.generate_content(model="sim-nothing", contents="x")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
    with pytest.raises(errors.ServerError) as busy:
        google.models.generate_content(model="sim-gemini", contents="[[sim: status=503]]")
    assert (busy.value.code, busy.value.status) == (503, "UNAVAILABLE")


def test_a_blocked_prompt_has_feedback_and_no_candidate(google: genai.Client) -> None:
    answer = google.models.generate_content(model="sim-gemini", contents="[[sim: finish=refusal]]")
    assert answer.candidates is None
    assert answer.prompt_feedback is not None
    assert answer.prompt_feedback.block_reason == types.BlockedReason.PROHIBITED_CONTENT
