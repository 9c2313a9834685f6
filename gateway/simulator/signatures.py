"""Checks the signatures of requests by AWS's published rules (SigV4), with no code of AWS's. Knows one access key, the simulator's own."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from gateway.simulator.problems import Problem

ACCESS_KEY_ID = "AKIASIMULATED0000000"
SECRET_ACCESS_KEY = "simulated/secret/access/key"  # noqa: S105 - made up, and good here alone
CREDENTIAL = f"{ACCESS_KEY_ID}:{SECRET_ACCESS_KEY}"
SCHEME = b"AWS4-HMAC-SHA256"
SERVICE = "bedrock"
# AWS takes no request that is older
OLDEST_S = 300
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>\w+)/(?P<day>\d{8})/(?P<region>[a-z0-9-]+)/bedrock/aws4_request, ?"
    r"SignedHeaders=(?P<headers>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


def is_signed(headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a request carries a signature rather than a key."""
    return headers.get(b"authorization", b"").startswith(SCHEME)


def check(method: str, raw_path: bytes, query: bytes, headers: Mapping[bytes, bytes], body: bytes) -> None:
    """Pass a request that the simulator's access key signed within the last five minutes. Raises Problem 403, as AWS does."""
    told = _AUTHORIZATION.fullmatch(headers[b"authorization"].decode("latin-1"))
    if told is None:
        raise Problem(403, "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters for this service.")
    if told["key"] != ACCESS_KEY_ID:
        raise Problem(403, "The security token included in the request is invalid.")
    moment = headers.get(b"x-amz-date", b"").decode("latin-1")
    if not _is_fresh(moment, told["day"]):
        raise Problem(403, "Signature expired.")
    names = told["headers"].split(";")
    if names != sorted(names) or not {"host", "x-amz-date"} <= set(names):
        raise Problem(403, "'Host' and 'X-Amz-Date' must be a 'SignedHeader' in the AWS Authorization.")
    asked = _canonical(method, raw_path, query, headers, names, body)
    scope = f"{told['day']}/{told['region']}/{SERVICE}/aws4_request"
    wanted = _signature(told["day"], told["region"], "\n".join((SCHEME.decode(), moment, scope, hashlib.sha256(asked).hexdigest())))
    if not hmac.compare_digest(wanted, told["signature"]):
        raise Problem(403, "The request signature we calculated does not match the signature you provided.")


def _is_fresh(moment: str, day: str) -> bool:
    try:
        at = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    return moment[:8] == day and abs((datetime.now(UTC) - at).total_seconds()) <= OLDEST_S


def _canonical(method: str, raw_path: bytes, query: bytes, headers: Mapping[bytes, bytes], names: list[str], body: bytes) -> bytes:
    """Return a request as both sides write it down to sign it; a path that is quoted already is quoted once more."""
    lines = [f"{name}:{' '.join(headers.get(name.encode(), b'').decode('latin-1').split())}" for name in names]
    pairs = "&".join(sorted(query.decode("latin-1").split("&")))
    return "\n".join((method, quote(raw_path, safe="/~"), pairs, *lines, "", ";".join(names), hashlib.sha256(body).hexdigest())).encode()


def _signature(day: str, region: str, text: str) -> str:
    key = f"AWS4{SECRET_ACCESS_KEY}".encode()
    for step in (day, region, SERVICE, "aws4_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()
