"""Google's Vertex AI: Gemini under a cloud project. The credential is a service account's JSON key, exchanged for an access token."""

import json
from collections.abc import Mapping
from urllib.parse import urlencode

import jwt

from gateway.providers import Provider
from gateway.wire.gemini.kept import COLLECTIONS
from gateway.wire.gemini.path import CLOUD_LIVE_PATH, LIVE, in_cloud, listed, locate, other_path, write_path
from gateway.wire.gemini.waits import read_wait

ENDPOINTS = ("generateContent", "countTokens")
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address
LIFETIME_S = 3600


def token_request(credential: str, now_s: float) -> tuple[str, bytes]:
    """Return URL and form that exchange a service account's key for a token (RFC 7523). Raises ValueError."""
    try:
        key = json.loads(credential)
        url, email = str(key.get("token_uri") or TOKEN_URL), str(key["client_email"])
        claims = {"iss": email, "scope": SCOPE, "aud": url, "iat": int(now_s), "exp": int(now_s) + LIFETIME_S}
        signed = jwt.encode(claims, key["private_key"], algorithm="RS256", headers={"kid": str(key.get("private_key_id", ""))})
    except (ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError):
        # what went wrong may hold a part of the key: it is not repeated
        raise ValueError("the credential is not the JSON key of a Google service account") from None
    return url, urlencode({"grant_type": GRANT, "assertion": signed}).encode()


def _path(endpoint: str, model: str, options: Mapping[str, str], stream: bool) -> str:
    return CLOUD_LIVE_PATH if endpoint == LIVE else "/v1/" + write_path(in_cloud(model, options), endpoint, stream=stream)


def _locate(rest: str) -> str:
    # whatever project and place a path names: those of the account are asked
    return locate("v1/publishers/" + rest.partition("/publishers/")[2] if "/publishers/" in rest else rest, frozenset(ENDPOINTS))


PROVIDER = Provider(
    slug="vertex",
    title="Google Vertex AI",
    wires=dict.fromkeys((*ENDPOINTS, LIVE), "gemini"),
    base_url="https://aiplatform.googleapis.com",
    path=_path,
    locate=_locate,
    other_path=other_path,
    live_model=in_cloud,
    collections=COLLECTIONS,
    options={"project": "Google Cloud project, for example my-project-123", "location": "place the models run, for example global or europe-west4"},
    may_have={"reads": "what any call may have Google read with the account's rights, such as gs://my-bucket/shared/, with spaces between"},
    models_path="",
    read_models=listed,
    read_wait=read_wait,
    price_provider="google",
    token_request=token_request,
)
