"""Together AI: its list of models is a bare array, and so are others. Files come as one form at `files/upload`: where its own SDK is told an address of a
storage to send them to, nobody could say whose they are.

Of its own SDK (`base_url="https://<gateway>/v1/<account>"`) chat, completions, embeddings, pictures and reranking are metered; batches and video are not,
and go through only where the account allows unknown endpoints; sound is refused.
"""

from typing import Any

from gateway.providers import Provider
from gateway.wire.kept import Collection

COLLECTIONS = (
    Collection(path="files", kind="together_file", makes=("upload",), is_free=True),
    Collection(path="batches", kind="together_batch", name="job.id", rows="", tells=(("together_file", "output_file_id"), ("together_file", "error_file_id"))),
    Collection(path="fine-tunes", kind="fine_tuning_job", beside=("estimate-price",)),
    Collection(path="evaluation", kind="evaluation", name="workflow_id", row_name="workflow_id", rows=""),
    Collection(path="endpoints", kind="together_endpoint"),
)


def _read_models(listing: Any) -> list[str]:
    rows = listing["data"] if isinstance(listing, dict) else listing
    return [name for row in rows if isinstance(name := row["id"], str)]


PROVIDER = Provider(
    slug="together",
    title="Together AI",
    wires={
        "chat/completions": "openai_chat",
        "embeddings": "openai_chat",
        "images/generations": "openai_chat",
        "rerank": "openai_chat",
    },
    base_url="https://api.together.xyz/v1",
    read_models=_read_models,
    collections=COLLECTIONS,
    price_provider="together",
)
