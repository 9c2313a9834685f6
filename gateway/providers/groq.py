"""Groq: OpenAI's wire under a path of its own; refuses log probabilities and biases itself. All that its own SDK (`base_url="https://<gateway>/v1/<account>"`)
generates is metered.
"""

from gateway.providers import Provider, same_endpoint, same_rest

# its own SDK's paths begin at the host
_OWN = "openai/"


def _locate(rest: str) -> str:
    return same_endpoint(rest.removeprefix(_OWN))


def _other_path(rest: str) -> str:
    return same_rest(rest.removeprefix(_OWN))


PROVIDER = Provider(
    keeps=frozenset({"files", "batches"}),
    slug="groq",
    locate=_locate,
    other_path=_other_path,
    title="Groq",
    wires={
        "chat/completions": "openai_chat",
        "audio/speech": "openai_chat",
        "audio/transcriptions": "openai_chat",
        "audio/translations": "openai_chat",
    },
    base_url="https://api.groq.com/openai/v1",
    output_limit="max_completion_tokens",
    price_provider="groq",
)
