"""Ollama: models on your own machines, no key by default.

Its own SDKs (`Client(host="https://<gateway>/v1/<account>", headers={"Authorization": "Bearer sgw_vk_..."})`) chat, generate and embed, streamed or not,
metered; `ps`, `list` and `show` as the account allows unknown endpoints; what changes the models of the server (`pull`, `push`, `create`, `copy`, `delete`) is
refused.
"""

from gateway.providers import Provider
from gateway.wire.ollama import CHAT, EMBED, EMBEDDINGS, GENERATE

PROVIDER = Provider(
    slug="ollama",
    title="Ollama",
    wires={
        "chat/completions": "openai_chat",
        "completions": "openai_completions",
        "embeddings": "openai_chat",
        **dict.fromkeys((CHAT, GENERATE, EMBED, EMBEDDINGS), "ollama"),
    },
    at_root=("/api/",),
    base_url="http://localhost:11434/v1",
    needs_credential=False,
    # Read by no released version: telling the caller is better than ignoring it in silence.
    drop=frozenset(("logit_bias",)),
    collections=None,
)
