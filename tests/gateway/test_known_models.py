"""What is known of vendors' models without asking anybody."""

import pytest

from gateway.known_models import Facts, _facts, facts_of, kind_of, names_of
from gateway.models import CAPABILITIES

EVERYDAY = ("tools", "parallel_tools", "json_schema", "vision", "documents", "caching")
THINKING = ("tools", "parallel_tools", "json_schema", "reasoning", "vision", "documents", "caching")


@pytest.mark.parametrize(
    ("vendor", "name", "facts"),
    [
        ("openai", "gpt-4o", Facts(128_000, 16_384, EVERYDAY)),
        ("openai", "gpt-4o-mini-2024-07-18", Facts(128_000, 16_384, EVERYDAY)),
        ("openai", "gpt-4o-2024-05-13", Facts(128_000, 4_096, ("tools", "parallel_tools", "vision"))),
        ("openai", "gpt-5-mini", Facts(400_000, 128_000, THINKING)),
        ("openai", "o1-preview", Facts(128_000, 32_768, ("reasoning",))),
        ("azure", "gpt-4o", Facts(128_000, 16_384, EVERYDAY)),
        ("anthropic", "claude-sonnet-4-5-20250929", Facts(200_000, 64_000, THINKING)),
        ("anthropic", "claude-opus-4-1", Facts(200_000, 32_000, ("tools", "parallel_tools", "reasoning", "vision", "documents", "caching"))),
        ("google", "gemini-2.5-flash-image-preview", Facts(32_768, 32_768, ("vision",))),
        ("x-ai", "grok-4-0709", Facts(256_000, None, ("tools", "parallel_tools", "json_schema", "reasoning", "vision", "caching"))),
    ],
)
def test_a_version_or_sibling_has_the_facts_of_its_name(vendor: str, name: str, facts: Facts) -> None:
    assert facts_of(vendor, name) == facts


@pytest.mark.parametrize(("vendor", "name"), [("openai", "gpt-4o-nothing-anybody-knows"), ("", "gpt-4o"), ("openai", ""), ("groq", "x" * 300)])
def test_of_another_name_nothing_is_claimed(vendor: str, name: str) -> None:
    assert facts_of(vendor, name).capabilities == ()


def test_the_facts_speak_of_known_capabilities_and_sensible_sizes() -> None:
    for rows in _facts().values():
        for facts in rows.values():
            assert set(facts.capabilities) <= set(CAPABILITIES)
            assert facts.context_tokens is not None
            assert 0 < (facts.max_output_tokens or 1) <= facts.context_tokens


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("gpt-4o", "chat"),
        ("text-embedding-3-small", "embeddings"),
        ("gpt-4o-transcribe", "transcription"),
        ("whisper-1", "transcription"),
        ("tts-1-hd", "speech"),
        ("dall-e-3", "image"),
        ("omni-moderation-latest", "moderation"),
        ("rerank-v3.5", "rerank"),
    ],
)
def test_a_name_says_the_kind_of_model(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_vendors_without_a_listing_have_names_all_the_same() -> None:
    assert "sonar-pro" in names_of("perplexity")
    assert names_of("nobody") == []
