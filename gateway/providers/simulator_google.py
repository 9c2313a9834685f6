"""The shipped simulator, spoken to on the Gemini wire. Its answers are made up and labelled so."""

from collections.abc import Mapping

from gateway.providers import Provider
from gateway.terms import Headers
from gateway.wire.gemini.kept import COLLECTIONS, UPLOADING
from gateway.wire.gemini.path import LIVE, listed, locate, other_path, write_path
from gateway.wire.gemini.waits import read_wait

ENDPOINTS = ("generateContent", "countTokens", "embedContent", "batchEmbedContents")
LIVE_PATH = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"


def _headers(credential: str) -> Headers:
    return ((b"x-goog-api-key", credential.encode()),)


def _path(endpoint: str, model: str, options: Mapping[str, str], stream: bool) -> str:
    return LIVE_PATH if endpoint == LIVE else "/v1beta/" + write_path(model, endpoint, stream=stream)


def _locate(rest: str) -> str:
    return locate(rest, frozenset(ENDPOINTS))


PROVIDER = Provider(
    slug="simulator_google",
    title="Simulator (Gemini wire, simulated)",
    wires=dict.fromkeys((*ENDPOINTS, LIVE), "gemini"),
    headers=_headers,
    path=_path,
    locate=_locate,
    other_path=other_path,
    collections=COLLECTIONS,
    also_told=UPLOADING,
    may_have={"reads": "places that calls may name, as an account at Vertex AI has them"},
    models_path="/v1beta/models?pageSize=1000",
    read_models=listed,
    read_wait=read_wait,
    simulated=True,
)
