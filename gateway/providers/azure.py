"""Azure OpenAI: the deployment is part of the path, the API version of the query, the key has a header of its own."""

import re
from collections.abc import Mapping
from urllib.parse import quote

from gateway.providers import Provider
from gateway.terms import Headers

# The newest version of the data plane that is generally available and dated; accounts may name another.
API_VERSION = "2024-10-21"


def _headers(credential: str) -> Headers:
    return ((b"api-key", credential.encode()),)


def _path(endpoint: str, model: str, options: Mapping[str, str], stream: bool) -> str:
    if endpoint in ("responses", "realtime", "files", "batches"):
        # served by the undated v1 API, which finds the deployment in the body or in the query, and in a batch's requests
        return f"/openai/v1/{endpoint}"
    version = options.get("api_version") or API_VERSION
    return f"/openai/deployments/{quote(model, safe='')}/{endpoint}?api-version={quote(version, safe='')}"


def _locate(rest: str) -> str:
    # the deployment in the path is not believed: the one that is called follows from the body's model, which is governed
    found = re.fullmatch(r"openai/deployments/[^/]+/(.+)", rest)
    return found[1] if found else rest.removeprefix("openai/").removeprefix("v1/")


def _other_path(rest: str) -> str:
    return "/" + rest if rest.startswith("openai/") else f"/openai/v1/{rest.removeprefix('v1/')}"


PROVIDER = Provider(
    keeps=frozenset({"files", "batches", "responses"}),
    output_limit="max_completion_tokens",
    slug="azure",
    title="Azure OpenAI",
    wires={
        "chat/completions": "openai_chat",
        "responses": "openai_responses",
        "embeddings": "openai_chat",
        "images/generations": "openai_chat",
        "images/edits": "openai_chat",
        "audio/speech": "openai_chat",
        "audio/transcriptions": "openai_chat",
        "audio/translations": "openai_chat",
        "realtime": "openai_chat",
    },
    headers=_headers,
    path=_path,
    locate=_locate,
    other_path=_other_path,
    options={"api_version": f"API version, for example {API_VERSION}"},
    reads_headers=frozenset((b"apim-request-id", b"x-ms-region")),
    models_path=f"/openai/models?api-version={API_VERSION}",
    price_provider="azure",
)
