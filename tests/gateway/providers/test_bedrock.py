"""AWS Bedrock: its paths, its two kinds of credentials, and signatures that are those of AWS's own SDK."""

from datetime import UTC, datetime
from typing import Any

import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from msgspec import structs

from gateway.plane.pools import Pool
from gateway.providers import shelf
from gateway.terms import Account, Deadlines

KEY, SECRET, TOKEN = "AKIDEXAMPLE012345678", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "IQoJb3JpZ2luX2VjE=="
ACCOUNT = Account("1", "aws", "bedrock", "https://bedrock-runtime.eu-central-1.amazonaws.com", f"{KEY}:{SECRET}", {"region": "eu-central-1"}, Deadlines())
ARN = "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0"


class Nobody:
    """A client that is never asked."""

    async def open(self, head: bytes, body: bytes, deadlines: Deadlines | None = None) -> Any:
        """Fail."""
        raise AssertionError("nothing is sent here")

    async def aclose(self) -> None:
        """Nothing to close."""


@pytest.fixture(autouse=True)
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let AWS's clock stand still."""
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: datetime(2026, 11, 26, 1, 2, 3, tzinfo=UTC))


def pool(credential: str) -> Pool:
    return Pool(structs.replace(ACCOUNT, credential=credential), shelf()["bedrock"], Nobody(), b"g")


def headers_of(head: bytes) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:-1])


def test_paths_name_the_model_whatever_is_in_its_name() -> None:
    bedrock = shelf()["bedrock"]
    assert bedrock.path("converse", "amazon.nova-pro-v1:0", {}, False) == "/model/amazon.nova-pro-v1%3A0/converse"
    assert bedrock.path("converse", "a/../b?", {}, True) == "/model/a%2F..%2Fb%3F/converse-stream"


@pytest.mark.parametrize("token", ["", TOKEN])
@pytest.mark.parametrize("model", [ARN, "amazon.nova-pro-v1:0"])
def test_an_access_key_signs_every_request_as_awss_own_sdk_does(token: str, model: str) -> None:
    asked, body = pool(f"{KEY}:{SECRET}:{token}" if token else f"{KEY}:{SECRET}"), b'{"messages":[]}'
    head = asked.signed(asked.head("converse", model, True), body)
    target = head.split(b" ", 2)[1].decode()
    own = AWSRequest(method="POST", url=f"https://bedrock-runtime.eu-central-1.amazonaws.com{target}", data=body)
    SigV4Auth(Credentials(KEY, SECRET, token or None), "bedrock", "eu-central-1").add_auth(own)
    headers = headers_of(head)
    assert {name: headers[name.lower()] for name in own.headers} == dict(own.headers.items())
    assert headers["authorization"].startswith(f"AWS4-HMAC-SHA256 Credential={KEY}/20261126/eu-central-1/bedrock/aws4_request, SignedHeaders=host;x-amz-date")
    assert SECRET.encode() not in head


def test_another_body_has_another_signature_and_the_prepared_head_stays_unsigned() -> None:
    asked = pool(f"{KEY}:{SECRET}")
    head = asked.head("converse", "m", False)
    assert b"authorization" not in head
    assert asked.signed(head, b"1") != asked.signed(head, b"2")
    assert asked.head("converse", "m", False) == head


def test_an_api_key_is_sent_as_it_is_and_nothing_is_signed() -> None:
    asked = pool("ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl")
    head = asked.head("converse", "m", False)
    assert headers_of(head)["authorization"] == "Bearer ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl"
    assert asked.signed(head, b"{}") is head
