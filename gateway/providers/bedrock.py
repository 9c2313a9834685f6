"""AWS Bedrock: Converse, for every model AWS hosts in a region. The credential is a Bedrock API key, or an access key as ACCESS_KEY_ID:SECRET_ACCESS_KEY,
with :SESSION_TOKEN behind it where it has one; requests are signed with it (SigV4). Models are AWS's ids, ids of inference profiles or their ARNs.
"""

from collections.abc import Mapping

from gateway.providers import Provider, Signer, bearer
from gateway.terms import Headers
from gateway.wire import sigv4
from gateway.wire.bedrock_converse.path import CONVERSE, COUNT, INVOKE, locate, other_path, tells, write_path


def _headers(credential: str) -> Headers:
    return () if sigv4.is_access_key(credential) else bearer(credential)


def _signer(credential: str, options: Mapping[str, str]) -> Signer | None:
    return sigv4.signer(credential, "bedrock", options.get("region", ""))


def _path(endpoint: str, model: str, options: Mapping[str, str], stream: bool) -> str:
    return write_path(model, endpoint, stream=stream)


PROVIDER = Provider(
    slug="bedrock",
    title="AWS Bedrock",
    wires=dict.fromkeys((CONVERSE, INVOKE, COUNT), "bedrock_converse"),
    base_url="https://bedrock-runtime.{region}.amazonaws.com",
    headers=_headers,
    path=_path,
    locate=locate,
    other_path=other_path,
    tells=tells,
    options={"region": "AWS region the models are asked in, for example eu-central-1"},
    reads_headers=frozenset({b"x-amzn-requestid", b"x-amzn-bedrock-content-type"}),
    models_path="",
    price_provider="aws",
    collections=(),
    signer=_signer,
)
