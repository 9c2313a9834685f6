"""The same questions for every provider on the shelf."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from msgspec import structs

from gateway import providers, wire
from gateway.management.commands import provider_reference
from gateway.plane.pools import Pool
from gateway.plane.route import find
from gateway.providers import Provider, shelf
from tests.gateway.providers.test_bedrock import ACCOUNT, Nobody

EVERY = pytest.mark.parametrize("provider", shelf().values(), ids=shelf().keys())


def test_every_file_is_found_under_its_own_name() -> None:
    files = {path.stem: len(path.read_text().splitlines()) for path in Path(providers.__path__[0]).glob("[!_]*.py")}
    assert files.keys() == shelf().keys()
    assert max(files.values()) <= 60


@EVERY
def test_it_speaks_wires_that_exist(provider: Provider) -> None:
    assert wire.shelf().keys() >= set(provider.wires.values())
    assert find(provider, "chat/completions") is not None


@EVERY
def test_its_addresses_are_whole(provider: Provider) -> None:
    if provider.base_url:
        assert urlsplit(provider.base_url).scheme in ("http", "https")
        assert not provider.base_url.endswith("/")
    for endpoint in provider.wires:
        path = provider.path(endpoint, "a/b model?", {}, False)
        assert path.startswith("/")
        assert " " not in path
        assert path.count("?") <= 1
    assert provider.models_path == "" or provider.models_path.startswith("/")


@EVERY
def test_its_headers_carry_the_credential_once(provider: Provider) -> None:
    headers = provider.headers("s3cret")
    assert [name for name, value in headers if b"s3cret" in value] in ([b"authorization"], [b"x-api-key"], [b"api-key"], [b"x-goog-api-key"])
    assert all(name == name.lower() and b"\n" not in value for name, value in headers)


@EVERY
def test_it_reads_its_listing_and_prints_no_nonsense(provider: Provider) -> None:
    googles = {"models": [{"name": "models/one"}, {"name": "models/two"}]}
    assert provider.read_models(googles if "gemini" in provider.wires.values() else {"data": [{"id": "one"}, {"id": "two"}]}) == ["one", "two"]
    assert provider.title
    assert all(name == name.lower() for name in provider.reads_headers)
    assert provider.simulated == provider.slug.startswith("simulator")
    assert not provider.reads_headers & {b"set-cookie", b"content-type", b"content-length"}


def test_the_shelf_is_complete() -> None:
    asked_for = """anthropic azure cohere deepseek fireworks google groq huggingface llama_cpp lmstudio mistral nvidia ollama openai
        openai_compatible openrouter perplexity tgi together vllm xai"""
    assert sorted(shelf().keys() & set(asked_for.split())) == asked_for.split()


def test_the_page_of_the_documentation_lists_the_shelf() -> None:
    assert provider_reference.PATH.read_text(encoding="utf-8") == provider_reference.page()


def test_what_is_kept_account_of_is_where_each_vendor_has_them() -> None:
    def paths(slug: str) -> dict[str, str]:
        return {kind: shelf()[slug].path(kind, "-", {"api_version": "2024-10-21"}, False) for kind in sorted(shelf()[slug].keeps)}

    assert paths("azure") == {"batches": "/openai/v1/batches", "files": "/openai/v1/files", "responses": "/openai/v1/responses"}
    assert paths("openai") == {"batches": "/batches", "files": "/files", "responses": "/responses"}
    assert paths("groq") == {"batches": "/batches", "files": "/files"}
    assert paths("anthropic") == {"messages/batches": "/v1/messages/batches"}
    # in shapes of their own: kept apart on their provider paths, and not metered
    assert (paths("mistral"), paths("together")) == ({}, {})


def test_vendors_with_listings_of_their_own_are_read() -> None:
    assert shelf()["together"].read_models([{"id": "a"}, {"id": 3}]) == ["a"]
    assert shelf()["cohere"].read_models({"models": [{"name": "command-a"}, {"name": None}]}) == ["command-a"]


def test_paths_of_the_two_vendors_that_differ() -> None:
    azure, anthropic = shelf()["azure"], shelf()["anthropic"]
    assert (
        azure.path("chat/completions", "my gpt", {"api_version": "2025-01-01"}, False)
        == "/openai/deployments/my%20gpt/chat/completions?api-version=2025-01-01"
    )
    assert azure.headers("k") == ((b"api-key", b"k"),)
    assert anthropic.path("messages", "claude", {}, False) == "/v1/messages"
    assert anthropic.headers("k") == ((b"x-api-key", b"k"), (b"anthropic-version", b"2023-06-01"))


def test_coheres_paths_for_openais_sdks_and_its_own_are_told_apart() -> None:
    cohere = shelf()["cohere"]
    rests = ("compatibility/v1/chat/completions", "compatibility/v1/embeddings", "v2/rerank", "v1/rerank", "v2/chat", "v1/tokenize")
    assert [cohere.locate(rest) for rest in rests] == ["chat/completions", "embeddings", "rerank", "rerank", "v2/chat", "tokenize"]
    assert [cohere.other_path(rest) for rest in ("v1/tokenize", "tokenize", "v2/datasets")] == ["/v1/tokenize", "/v1/tokenize", "/v2/datasets"]
    endpoints = ("chat/completions", "v2/chat", "v2/embed", "rerank")
    assert [cohere.path(endpoint, "m", {}, True) for endpoint in endpoints] == ["/compatibility/v1/chat/completions", "/v2/chat", "/v2/embed", "/v2/rerank"]


@pytest.mark.parametrize(("slug", "own"), [("groq", "openai/"), ("fireworks", "inference/")])
def test_own_sdks_whose_paths_begin_at_the_host_reach_what_is_metered(slug: str, own: str) -> None:
    rests = (f"{own}v1/chat/completions", "v1/chat/completions", "chat/completions")
    assert [shelf()[slug].locate(rest) for rest in rests] == ["chat/completions"] * 3
    assert [shelf()[slug].other_path(rest) for rest in (f"{own}v1/other", "v1/other")] == ["/other"] * 2


@pytest.mark.parametrize(
    ("slug", "rest", "is_metered"),
    [
        ("mistral", "v1/chat/completions", True),
        ("mistral", "v1/embeddings", True),
        *[("mistral", rest, False) for rest in ("v1/fim/completions", "v1/ocr", "v1/agents/completions", "v1/conversations", "v1/batch/jobs")],
        *[("together", rest, True) for rest in ("chat/completions", "completions", "embeddings", "images/generations", "rerank")],
        *[("together", rest, False) for rest in ("batches", "videos")],
        ("perplexity", "chat/completions", True),
        ("perplexity", "search", False),
        *[("vllm", rest, False) for rest in ("v1/score", "pooling", "classify")],
        ("huggingface", "v1/chat/completions", True),
    ],
)
def test_what_the_page_says_of_own_sdks_is_so(slug: str, rest: str, is_metered: bool) -> None:
    endpoint = shelf()[slug].locate(rest)
    assert (endpoint in wire.by_endpoint() and find(shelf()[slug], endpoint) is not None) == is_metered


def test_ollamas_own_paths_stand_beside_those_for_openais_sdks() -> None:
    ollama = shelf()["ollama"]
    rests = ("api/chat", "api/generate", "api/embed", "api/embeddings", "api/tags", "v1/chat/completions")
    assert [ollama.locate(rest) for rest in rests] == [*rests[:-1], "chat/completions"]
    pool = Pool(structs.replace(ACCOUNT, base_url="http://lab:11434/v1", credential=""), ollama, Nobody(), b"g")
    heads = [pool.head(endpoint, "m", False).split(b" ")[1] for endpoint in ("api/chat", "chat/completions")]
    assert (heads, pool.raw_head("GET", ollama.other_path("api/tags")).split(b" ")[1]) == ([b"/api/chat", b"/v1/chat/completions"], b"/api/tags")


def test_googles_paths_name_model_and_method() -> None:
    google = shelf()["google"]
    assert google.path("generateContent", "gemini-2.5-flash", {}, True) == "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    assert google.locate("v1beta/models/gemini-2.5-flash:streamGenerateContent") == "generateContent"
    assert google.locate("v1beta/files") == "v1beta/files"
    assert google.headers("k") == ((b"x-goog-api-key", b"k"),)


@EVERY
def test_the_rest_of_a_provider_path_is_located(provider: Provider) -> None:
    assert [provider.locate(rest) for rest in ("chat/completions", "embeddings")] == ["chat/completions", "embeddings"]


def test_azures_own_paths_are_located_whatever_deployment_they_name() -> None:
    azure = shelf()["azure"]
    rests = ("openai/deployments/gpt-4o/chat/completions", "openai/v1/embeddings", "openai/deployments/a/b")
    assert [azure.locate(rest) for rest in rests] == ["chat/completions", "embeddings", "b"]
