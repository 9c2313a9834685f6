"""Which endpoint and which wire a path leads to."""

import pytest

from gateway.doors import behind, find

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
    ],
)
def test_a_path_leads_to_an_endpoint_and_a_wire(path: bytes, headers: dict[bytes, bytes], door: tuple[str, str, str, bool]) -> None:
    found = find(path, headers)
    assert (found.endpoint, found.wire.name, found.model, found.stream) == door


def test_a_provider_path_names_its_model_itself() -> None:
    found = behind("generateContent", "v1beta/models/g:streamGenerateContent")
    assert (found.endpoint, found.model, found.stream) == ("generateContent", "g", True)
    assert behind("chat/completions", "chat/completions").model == ""
