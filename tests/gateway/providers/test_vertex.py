"""Vertex AI: its paths, and the exchange of a service account's key for a token."""

import json
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.providers import read_oauth, shelf
from gateway.providers.vertex import token_request

PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = PRIVATE.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
KEY = {"client_email": "gateway@p.iam.gserviceaccount.com", "private_key": PEM, "private_key_id": "k1", "token_uri": "https://oauth2.example/token"}


def test_a_key_is_exchanged_by_a_signed_claim() -> None:
    url, form = token_request(json.dumps(KEY), 1_000.9)
    asked = parse_qs(form.decode())
    assert (url, asked["grant_type"]) == ("https://oauth2.example/token", ["urn:ietf:params:oauth:grant-type:jwt-bearer"])
    claims = jwt.decode(asked["assertion"][0], PRIVATE.public_key(), algorithms=["RS256"], audience=url, options={"verify_exp": False, "verify_iat": False})
    assert claims == {
        "iss": "gateway@p.iam.gserviceaccount.com", "scope": "https://www.googleapis.com/auth/cloud-platform", "aud": url, "iat": 1000, "exp": 4600,
    }  # fmt: skip


@pytest.mark.parametrize("credential", ["", "AIzaSecret", "[]", '{"client_email": "x"}', json.dumps({**KEY, "private_key": "s3cret"})])
def test_a_credential_that_is_no_such_key_is_refused_without_repeating_it(credential: str) -> None:
    with pytest.raises(ValueError, match="not the JSON key") as caught:
        token_request(credential, 0)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("answer", [b"{}", b"[]", b"", b'{"access_token": "a b"}', b'{"access_token": "a\\r\\nx: y"}'])
def test_what_is_no_token_is_refused(answer: bytes) -> None:
    with pytest.raises(ValueError):  # whatever it says, it is told as one sentence of ours
        read_oauth(answer)
    assert read_oauth(b'{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer"}') == ("ya29.x", 3599)


def test_paths_name_project_and_place() -> None:
    vertex, options = shelf()["vertex"], {"project": "p-1", "location": "europe-west4"}
    place = "/v1/projects/p-1/locations/europe-west4/"
    assert vertex.path("generateContent", "gemini-2.5-pro", options, True) == f"{place}publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
    assert vertex.path("generateContent", "endpoints/12", options, False) == f"{place}endpoints/12:generateContent"
    assert vertex.locate("v1/projects/other/locations/global/publishers/google/models/g:generateContent") == "generateContent"
    live = "ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"
    assert (vertex.locate(live), vertex.path("BidiGenerateContent", "g", options, True)) == ("BidiGenerateContent", "/" + live.replace("v1beta1", "v1"))
    assert vertex.live_model("g", options) == "projects/p-1/locations/europe-west4/publishers/google/models/g"
    assert vertex.headers("ya29.x") == ((b"authorization", b"Bearer ya29.x"),)
