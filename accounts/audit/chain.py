"""The arithmetic of the chain: canonical bytes, commitments to texts, keyed hashes and signatures. Knows no rows."""

import hashlib
import hmac
import json
import secrets
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

START = "0" * 64
SALT_BYTES = 16


def canonical(value: Any) -> bytes:
    """Return JSON with sorted names and no spaces, in UTF-8: the same bytes for the same value, whatever database it came from."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def key_id(key: str) -> str:
    """Return what names a key without telling it."""
    return hashlib.sha256(b"audit key id:" + key.encode()).hexdigest()[:16]


def link(key: str, previous: str, facts: dict[str, Any]) -> str:
    """Return the hash of an event: HMAC-SHA256 over the hash before it and its facts."""
    return hmac.new(key.encode(), previous.encode() + b"\n" + canonical(facts), hashlib.sha256).hexdigest()


def commit(value: Any) -> tuple[dict[str, Any], str]:
    """Return a text with its salt as it is stored, and the commitment that stays when the text is erased."""
    salt = secrets.token_hex(SALT_BYTES)
    return {"salt": salt, "value": value}, commitment(salt, value)


def commitment(salt: str, value: Any) -> str:
    """Return the commitment of a salt and a value."""
    return hashlib.sha256(salt.encode() + b"\n" + canonical(value)).hexdigest()


def _signer(key: str) -> Ed25519PrivateKey:
    seed = hmac.new(key.encode(), b"audit checkpoint signing key", hashlib.sha256).digest()
    return Ed25519PrivateKey.from_private_bytes(seed)


def public_key(key: str) -> str:
    """Return the public key, in hexadecimal, that checks checkpoints signed under an audit key."""
    return _signer(key).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def sign(key: str, statement: dict[str, Any]) -> str:
    """Return the Ed25519 signature (RFC 8032) of a statement, in hexadecimal."""
    return _signer(key).sign(canonical(statement)).hex()


def is_signed(key: str, statement: dict[str, Any], signature: str) -> bool:
    """Say whether a statement bears the signature."""
    try:
        _signer(key).public_key().verify(bytes.fromhex(signature), canonical(statement))
    except (InvalidSignature, ValueError):
        return False
    return True
