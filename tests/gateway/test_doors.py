"""Which endpoint and which wire a path leads to."""

import orjson
import pytest

from gateway.doors import behind, beside, find, is_astray, shown_back, with_model
from gateway.wire import WireError
from gateway.wire.forms import texts

GEMINI = {b"x-goog-api-key": b"k"}


@pytest.mark.parametrize(
    ("path", "headers", "door"),
    [
        (b"/v1/chat/completions", GEMINI, ("chat/completions", "openai_chat", "", False)),
        (b"/v1beta/models/a%2Fb:c:streamGenerateContent", {}, ("generateContent", "gemini", "a/b:c", True)),
        (b"/v1beta/models/g:batchEmbedContents", {}, ("batchEmbedContents", "gemini", "g", False)),
        (b"/v1/models/g:generateContent", {}, ("generateContent", "gemini", "g", False)),
        (b"/v1beta/models", {}, ("", "gemini", "", False)),
        (b"/v1beta/nothing", {}, ("", "gemini", "", False)),
        (b"/v1/models", GEMINI, ("", "gemini", "", False)),
        (b"/v1/models/llama3:8b", {}, ("", "openai_chat", "", False)),
        (b"/v1/generateContent", {}, ("", "openai_chat", "", False)),
        (b"/v1/google/v1beta/models/g:generateContent", {}, ("", "openai_chat", "", False)),
        (b"/upload/v1beta/files", {}, ("", "gemini", "", False)),
        (b"/openai/v1/chat/completions", {}, ("chat/completions", "openai_chat", "", False)),
        (b"/openai/responses", {}, ("responses", "openai_responses", "", False)),
        (b"/openai/v1/responses", {}, ("responses", "openai_responses", "", False)),
        (b"/openai/deployments/gpt%2F5/chat/completions", {}, ("chat/completions", "openai_chat", "gpt/5", False)),
        (b"/openai/deployments/caf%C3%A9/audio/speech", {}, ("audio/speech", "openai_chat", "caf\xe9", False)),
        (b"/openai/deployments/m/embeddings", {}, ("embeddings", "openai_chat", "m", False)),
        (b"/openai/deployments/m/messages", {}, ("", "openai_chat", "", False)),
        (b"/openai/deployments/a/b/chat/completions", {}, ("", "openai_chat", "", False)),
        (b"/openai/deployments//chat/completions", {}, ("", "openai_chat", "", False)),
        (b"/openai/messages", {}, ("", "openai_chat", "", False)),
        (b"/openai/models", {}, ("", "openai_chat", "", False)),
    ],
)
def test_a_path_leads_to_an_endpoint_and_a_wire(path: bytes, headers: dict[bytes, bytes], door: tuple[str, str, str, bool]) -> None:
    found = find(path, headers)
    assert (found.endpoint, found.wire.name, found.model, found.stream) == door


def test_a_provider_path_names_its_model_itself() -> None:
    found = behind("generateContent", "v1beta/models/g:streamGenerateContent")
    assert (found.endpoint, found.model, found.stream) == ("generateContent", "g", True)
    assert behind("chat/completions", "chat/completions").model == ""


def test_azures_paths_stand_for_ours() -> None:
    assert [beside(path) for path in (b"/openai/models", b"/openai/v1/models/m", b"/openai/v1/v1/x", b"/v1/key")] == [
        b"/v1/models",
        b"/v1/models/m",
        b"/v1/v1/x",
        b"/v1/key",
    ]


@pytest.mark.parametrize("body", [b'{"input":"x"}', b'{"model":"other","input":"x"}', b'{"model":null,"input":"x"}'])
def test_the_model_of_azures_path_counts(body: bytes) -> None:
    found = find(b"/openai/deployments/m/embeddings", {})
    assert found.client.read_head({"input": "x", "model": 3}).model == "m"
    assert with_model(body, found, b"") == b'{"input":"x","model":"m"}'


def test_the_model_of_azures_path_is_written_into_a_form() -> None:
    found = find(b"/openai/deployments/m/audio/transcriptions", {})
    assert found.plain is not None and found.plain.read_head({"file": b""}).model == "m"
    kind = b"multipart/form-data; boundary=x"
    bare = b'--x\r\nContent-Disposition: form-data; name="language"\r\n\r\nde\r\n--x--\r\n'
    named = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nother\r\n' + bare
    assert [texts(with_model(body, found, kind), kind) for body in (bare, named)] == [{"language": "de", "model": "m"}] * 2
    with pytest.raises(WireError, match="first field"):
        with_model(b"\r\n" + bare, found, kind)


def test_an_endpoint_with_rules_of_its_own_has_its_own_glance() -> None:
    glances = [find(path, {}).client.may_name for path in (b"/v1/audio/speech", b"/openai/deployments/m/audio/speech")]
    assert [glance is not None and glance({"voice": {"id": "voice_1"}}) for glance in glances] == [True, True]
    assert find(b"/v1/moderations", {}).client.may_name is None


@pytest.mark.parametrize("path", [b"/chat/completions", b"//v1/chat/completions", b"/V1/Chat/Completions", b"/messages/", b"/images/edits"])
def test_an_endpoint_without_its_version_is_one_that_went_astray(path: bytes) -> None:
    assert is_astray(path)


@pytest.mark.parametrize("path", [b"/", b"/keys", b"/models", b"/api/v1/keys", b"/api/chat/completions", b"/requests/new/credit", b"/v1/nothing"])
def test_what_is_like_no_endpoint_is_the_portals(path: bytes) -> None:
    assert not is_astray(path)


def test_who_went_astray_is_told_where_to_go_as_its_sdk_expects() -> None:
    words = "There is no endpoint '/messages': use '/v1/messages'. SDKs of OpenAI take /v1 at the end of base_url, others none."
    told = orjson.loads(shown_back(b"/messages", {b"anthropic-version": b"2023-06-01"}))
    assert (told["type"], told["error"]["type"], told["error"]["message"]) == ("error", "not_found_error", words)
    assert orjson.loads(shown_back(b"/messages", {}))["error"] == {
        "message": words, "type": "invalid_request_error", "param": None, "code": "unknown_endpoint", "sgw": {"status": 404},
    }  # fmt: skip
