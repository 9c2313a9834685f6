"""Mistral AI: refuses every field it does not know, names two of OpenAI's its own way, and keeps what it keeps at paths of its own.

Of its own SDK (`server_url="https://<gateway>/v1/<account>"`) `chat` and `embeddings` are metered; `fim`, `ocr`, agents, conversations and
batch jobs are not, and go through only where the account allows unknown endpoints; sound and moderation are refused.

Its listings have pages with numbers. Workflows, connectors and their like are made elsewhere, so that they are nobody's here.
"""

from typing import Any

from gateway.providers import Provider
from gateway.wire.kept import Collection


def _numbered(path: str, kind: str, **more: Any) -> Collection:
    return Collection(path=path, kind=kind, cursor="page", first_page="0", **more)


COLLECTIONS = (
    _numbered("files", "mistral_file", is_free=True),
    _numbered("batch/jobs", "mistral_batch", tells=(("mistral_file", "output_file"), ("mistral_file", "error_file"))),
    _numbered("fine_tuning/jobs", "fine_tuning_job"),
    _numbered("agents", "mistral_agent", rows="", beside=("completions",)),
    _numbered("conversations", "conversation", name="conversation_id", rows="", makes=("restart",)),
    Collection(path="libraries", kind="library", cursor="page_token", next_page="next_page_token"),
    *[Collection(path=path, kind="mistral_object") for path in ("fine_tuning/models", "workflows", "connectors", "triggers", "rag", "context/search-indexes")],
)

PROVIDER = Provider(
    slug="mistral",
    title="Mistral AI",
    wires={"chat/completions": "openai_chat", "embeddings": "openai_chat"},
    base_url="https://api.mistral.ai/v1",
    # what OpenAI's SDKs send and Mistral answers with 422; the usage of a stream comes unasked
    drop=frozenset(("user", "safety_identifier", "service_tier", "store", "stream_options", "logit_bias", "verbosity", "prompt_cache_key")),
    rename={"max_completion_tokens": "max_tokens", "seed": "random_seed"},
    asks_stream_usage=False,
    collections=COLLECTIONS,
    price_provider="mistral",
)
