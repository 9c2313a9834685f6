"""The shipped simulator, spoken to on Bedrock's Converse wire, with signed requests where the credential is an access key. Its answers are made up and
labelled so.
"""

from collections.abc import Mapping

from gateway.providers import Provider, Signer, bearer
from gateway.terms import Headers
from gateway.wire import sigv4
from gateway.wire.bedrock_converse.path import CONVERSE, COUNT, INVOKE, locate, other_path, tells, write_path


def _headers(credential: str) -> Headers:
    return () if sigv4.is_access_key(credential) else bearer(credential)


def _signer(credential: str, options: Mapping[str, str]) -> Signer | None:
    return sigv4.signer(credential, "bedrock", "us-east-1")


def _path(endpoint: str, model: str, options: Mapping[str, str], stream: bool) -> str:
    return write_path(model, endpoint, stream=stream)


PROVIDER = Provider(
    slug="simulator_bedrock",
    title="Simulator (Bedrock wire, simulated)",
    wires=dict.fromkeys((CONVERSE, INVOKE, COUNT), "bedrock_converse"),
    headers=_headers,
    path=_path,
    locate=locate,
    other_path=other_path,
    tells=tells,
    reads_headers=frozenset({b"x-amzn-requestid", b"x-amzn-bedrock-content-type"}),
    models_path="",
    simulated=True,
    signer=_signer,
)
