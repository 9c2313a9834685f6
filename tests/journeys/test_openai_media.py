"""The openai package against the started product, beside chat: moderations, pictures, speech, transcripts, reranking; each metered and priced."""

import base64
import io
import json
import urllib.request
from typing import Any

import pytest
from openai import APIError, BadRequestError, OpenAI

from tests.fakes.service import Service, wait_for
from tests.journeys.upstreams import UPSTREAMS, model_of

pytestmark = pytest.mark.journey


@pytest.fixture
def client(service: Service) -> OpenAI:
    return OpenAI(api_key=service.key, base_url=service.base_url, max_retries=0)


def row(service: Service, call: str) -> dict[str, Any]:
    """Return a call as the management API tells it, once it is there."""

    def found() -> dict[str, Any] | None:
        token = {"authorization": f"Bearer {service.demo['service_account']}"}
        request = urllib.request.Request(f"{service.origin}/api/v1/calls?request_id={call}", headers=token)
        with urllib.request.urlopen(request, timeout=5) as answer:
            rows = json.loads(answer.read())["data"]
        return rows[0] if rows else None

    told: dict[str, Any] = wait_for(found, 10, "the call is told")
    return {name: told[name] for name in ("model", "status", "input_tokens", "output_tokens", "cost_usd", "usage_source")}


def test_moderations_cost_nothing_and_say_so(service: Service, client: OpenAI) -> None:
    raw = client.moderations.with_raw_response.create(model="sim-moderation", input=["Hello", "violence"])
    assert [result.flagged for result in raw.parse().results] == [False, True]
    expected = {"model": "sim-moderation", "status": 200, "input_tokens": 0, "output_tokens": 0, "cost_usd": "0.00", "usage_source": "provider"}
    assert row(service, raw.headers["x-request-id"]) == expected


def test_pictures_are_made_and_edited(service: Service, client: OpenAI) -> None:
    raw = client.images.with_raw_response.generate(model="sim-image", prompt="a red cat", n=2)
    made = raw.parse()
    assert [base64.b64decode(one.b64_json or "")[:4] for one in made.data or []] == [b"\x89PNG", b"\x89PNG"]
    told = row(service, raw.headers["x-request-id"])
    assert (told["output_tokens"], told["usage_source"]) == (544, "provider")
    edited = client.images.edit(model="sim-image", prompt="a blue cat", image=("cat.png", io.BytesIO(b"\x89PNG" * 5000), "image/png"))
    assert edited.usage is not None
    assert edited.usage.output_tokens == 272


def test_a_picture_comes_as_a_stream_with_its_sketches(service: Service, client: OpenAI) -> None:
    raw = client.images.with_raw_response.generate(model="sim-image", prompt="a red cat", stream=True, partial_images=2)
    events = list(raw.parse())
    assert [event.type for event in events] == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    assert {base64.b64decode(event.b64_json)[:4] for event in events} == {b"\x89PNG"}
    told = row(service, raw.headers["x-request-id"])
    assert (told["output_tokens"], told["usage_source"]) == (272, "provider")
    picture = ("cat.png", io.BytesIO(b"\x89PNG" * 5000), "image/png")
    edited = [event.type for event in client.images.edit(model="sim-image", prompt="a blue cat", image=picture, stream=True)]
    assert edited == ["image_edit.completed"]


def test_a_stream_of_pictures_that_breaks_is_an_error_and_billed_as_a_picture(service: Service, client: OpenAI) -> None:
    raw = client.images.with_raw_response.generate(model="sim-image", prompt="a cat [[sim: cut]]", stream=True, partial_images=2)
    with pytest.raises(APIError):
        list(raw.parse())
    told = row(service, raw.headers["x-request-id"])
    assert (told["output_tokens"], told["usage_source"]) == (8192, "estimated")


def test_speech_comes_as_sound_and_is_estimated(service: Service, client: OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(model="sim-speech", voice="alloy", input="Hello out there") as answer:
        sound = answer.read()
        headers = answer.headers
    assert (sound[:4], headers["content-type"], headers["x-content-type-options"]) == (b"RIFF", "audio/wav", "nosniff")
    told = row(service, headers["x-request-id"])
    assert (told["input_tokens"], told["output_tokens"], told["usage_source"]) == (15, 23, "estimated")


def test_recordings_are_written_down_by_any_name_of_the_model(service: Service, client: OpenAI) -> None:
    recording = ("talk.wav", io.BytesIO(b"\0" * 40_000), "audio/wav")
    raw = client.audio.transcriptions.with_raw_response.create(model="sim-transcribe", file=recording)
    assert raw.parse().text == "A recording of 40000 bytes."
    told = row(service, raw.headers["x-request-id"])
    assert (told["input_tokens"], told["usage_source"]) == (50, "provider")
    recording[1].seek(0)
    plain = client.audio.translations.with_raw_response.create(model="sim-transcribe", file=recording, response_format="text")
    assert plain.text.strip() == "A recording of 40000 bytes."
    assert row(service, plain.headers["x-request-id"])["usage_source"] == "estimated"


def test_a_long_recording_passes_through_without_being_held(service: Service, client: OpenAI) -> None:
    size_bytes = 60_000_000
    recording = ("talk.wav", io.BytesIO(bytes(size_bytes)), "audio/wav")
    heard = []
    grown_bytes = service.worker_growth_bytes(lambda: heard.append(client.audio.transcriptions.create(model="sim-transcribe", file=recording).text))
    assert heard == [f"A recording of {size_bytes} bytes."]
    assert grown_bytes < 20_000_000
    assert list((service.data_dir / "uploads").iterdir()) == []


@pytest.mark.parametrize("wire", UPSTREAMS)
def test_a_large_picture_is_held_once(wired: Service, client: OpenAI, wire: str) -> None:
    size_bytes = 20_000_000
    url = "data:image/png;base64," + base64.b64encode(bytes(size_bytes)).decode()
    said: Any = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]}]
    heard = []
    grown_bytes = wired.worker_growth_bytes(lambda: heard.append(client.chat.completions.create(model=model_of(wire), messages=said).usage))
    assert [usage.prompt_tokens > 0 for usage in heard if usage is not None] == [True]
    assert grown_bytes < 2.5 * size_bytes


def test_documents_are_ranked(service: Service) -> None:
    status, headers, told = service.post("/v1/rerank", {"model": "sim-rerank", "query": "red cat", "documents": ["a dog", "a red cat", "red"], "top_n": 2})
    assert (status, [one["index"] for one in told["results"]]) == (200, [1, 2])
    assert row(service, headers["x-request-id"])["model"] == "sim-rerank"


def test_a_model_of_another_kind_is_refused_in_the_callers_shape(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as caught:
        client.images.generate(model="sim-chat", prompt="a cat")
    body = caught.value.body
    assert isinstance(body, dict)
    assert (body["code"], body["param"]) == ("invalid_request", "model")
