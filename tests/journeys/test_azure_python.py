"""Azure's client of the openai package, unmodified, on the gateway's root, and its paths on a provider account: any model of the catalogue as a deployment."""

import io
from typing import Any

import httpx2
import openai
import pytest

from tests.fakes.service import Service

pytestmark = pytest.mark.journey

VERSION = "2024-10-21"


def client_of(service: Service, **options: Any) -> openai.AzureOpenAI:
    """Return Azure's client with the gateway as its endpoint."""
    return openai.AzureOpenAI(azure_endpoint=service.origin, api_key=service.key, api_version=VERSION, max_retries=0, **options)


def say(text: str) -> Any:
    return [{"role": "user", "content": f'Hello [[sim: say="{text}"]]'}]


@pytest.mark.parametrize("model", ["sim-chat", "sim-claude", "sim-gemini"])
def test_a_deployment_is_a_model_of_the_catalogue(service: Service, model: str) -> None:
    with client_of(service) as client:
        raw = client.chat.completions.with_raw_response.create(model=model, messages=say("Hello from Azure."))
        told = raw.parse()
        assert (told.choices[0].message.content, told.model, raw.headers["x-sgw-model"]) == ("Hello from Azure.", model, model)
        assert service.row_of(raw.headers["x-request-id"])["model"] == model
        stream = client.chat.completions.create(model=model, messages=say("One two."), stream=True, stream_options={"include_usage": True})
        chunks = list(stream)
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "One two."
    assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == [2]


def test_embeddings_pictures_and_sound(service: Service) -> None:
    with client_of(service) as client:
        vectors = client.embeddings.create(model="sim-embed", input=["one", "two"])
        pictures = client.images.generate(model="sim-image", prompt="a red cat")
        sound = client.audio.speech.create(model="sim-speech", voice="alloy", input="Hello").read()
        text = client.audio.transcriptions.create(model="sim-transcribe", file=("a.wav", io.BytesIO(sound), "audio/wav"))
    assert ([row.index for row in vectors.data], len(pictures.data or []), sound[:4], bool(text.text)) == ([0, 1], 1, b"RIFF", True)


def test_responses_and_models(service: Service) -> None:
    with client_of(service) as client:
        told = client.responses.create(model="sim-chat", input='Hello [[sim: say="Hi."]]')
        assert (told.output_text, client.responses.retrieve(told.id).output_text) == ("Hi.", "Hi.")
        assert "sim-chat" in [model.id for model in client.models.list()]
        assert client.models.retrieve("sim-chat").id == "sim-chat"
    with openai.OpenAI(base_url=f"{service.origin}/openai/v1/", api_key=service.key, max_retries=0) as undated:
        assert undated.chat.completions.create(model="sim-chat", messages=say("Hi.")).choices[0].message.content == "Hi."


def test_the_deployment_of_the_path_counts(service: Service) -> None:
    with client_of(service, azure_deployment="sim-chat") as client:
        told = client.chat.completions.create(model="whatever", messages=say("Hi."))
        assert (told.model, told.choices[0].message.content) == ("sim-chat", "Hi.")
    address = f"{service.origin}/openai/deployments/sim-chat/chat/completions?api-version=2099-01-01"
    bare = httpx2.post(address, json={"messages": say("Hi.")}, headers={"api-key": service.key})
    assert (bare.status_code, bare.json()["choices"][0]["message"]["content"]) == (200, "Hi.")


def test_errors_have_the_shape_azures_client_reads(service: Service) -> None:
    with client_of(service) as client:
        with pytest.raises(openai.NotFoundError) as missing:
            client.chat.completions.create(model="no-such", messages=say("Never."))
        with pytest.raises(openai.BadRequestError) as bad:
            client.chat.completions.create(model="sim-chat", messages=say("Never."), max_tokens=-1)
        with pytest.raises(openai.NotFoundError) as nowhere:
            client.get("/deployments/sim-chat/extensions/chat/completions", cast_to=object)
    assert [caught.value.code for caught in (missing, bad, nowhere)] == ["model_not_found", "invalid_request", "unknown_endpoint"]
    with client_of(service) as client, pytest.raises(openai.AuthenticationError) as stranger:
        client.with_options(api_key="sgw_vk_nobody").chat.completions.create(model="sim-chat", messages=say("Never."))
    assert stranger.value.code == "invalid_api_key"
