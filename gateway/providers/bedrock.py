"""AWS Bedrock: Converse, for every model AWS hosts in a region. The credential is a Bedrock API key, or an access key as ACCESS_KEY_ID:SECRET_ACCESS_KEY,
with :SESSION_TOKEN behind it where it has one; requests are signed with it (SigV4). Models are AWS's ids, ids of inference profiles or their ARNs.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote

from gateway.providers import Provider, Signer, bearer
from gateway.terms import Headers

_SERVICE = "bedrock"
_ACCESS_KEY = re.compile(r"([A-Z0-9]{16,128}):([A-Za-z0-9/+=]{16,128})(?::([A-Za-z0-9/+=]+))?")


def _headers(credential: str) -> Headers:
    return () if _ACCESS_KEY.fullmatch(credential) else bearer(credential)


def signer(credential: str, options: Mapping[str, str]) -> Signer | None:
    """Return what signs requests with an access key; None for an API key, which is sent as it is."""
    found = _ACCESS_KEY.fullmatch(credential)
    if found is None:
        return None
    # 30 MB that only accounts with access keys need
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    auth = SigV4Auth(Credentials(*found.groups()), _SERVICE, options.get("region", ""))

    def sign(method: str, url: str, body: bytes) -> Headers:
        request = AWSRequest(method=method, url=url, data=body)
        auth.add_auth(request)
        return tuple((name.lower().encode(), value.encode()) for name, value in request.headers.items())

    return sign


def _path(endpoint: str, model: str, options: Mapping[str, str], stream: bool) -> str:
    return f"/model/{quote(model, safe='')}/{endpoint}{'-stream' if stream else ''}"


PROVIDER = Provider(
    slug="bedrock",
    title="AWS Bedrock",
    wires={"converse": "bedrock_converse"},
    base_url="https://bedrock-runtime.{region}.amazonaws.com",
    headers=_headers,
    path=_path,
    options={"region": "AWS region the models are asked in, for example eu-central-1"},
    reads_headers=frozenset({b"x-amzn-requestid"}),
    models_path="",
    price_provider="aws",
    signer=signer,
)
