"""Whether a token is what it says: signature, issuer, audience and times, by the provider's published keys. Knows no Django and fetches nothing."""

import base64
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

# Key type and curve of every algorithm a token may be signed by; what is secret to both sides, or no signature at all, is not among them.
ALGORITHMS = {
    "RS256": ("RSA", ""), "RS384": ("RSA", ""), "RS512": ("RSA", ""), "PS256": ("RSA", ""), "PS384": ("RSA", ""), "PS512": ("RSA", ""),
    "ES256": ("EC", "P-256"), "ES384": ("EC", "P-384"), "ES512": ("EC", "P-521"), "EdDSA": ("OKP", "Ed25519"),
}  # fmt: skip
LEEWAY_S = 30
LEAST_RSA_BITS = 2048
MOST_TOKEN_BYTES = 16 * 1024
MOST_KEYS = 100
START = b"eyJ"  # every JSON object that begins without a blank, in base64url


class TokenRefused(Exception):
    """The token is not good here: `code` says why in a word, the message in words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class UnknownSigner(TokenRefused):
    """No published key fits the token; it may be newer than what is known of them."""


class Keys:
    """The provider's published keys by id; keys for encryption, without an id, or too weak are left out."""

    def __init__(self, published: Mapping[str, Any]) -> None:
        listed = published.get("keys")
        self._published = [key for key in listed[:MOST_KEYS] if isinstance(key, dict)] if isinstance(listed, list) else []
        self._usable: dict[tuple[str, str], Any] = {}

    def find(self, kid: str, algorithm: str) -> Any:
        """Return the key of an id for an algorithm; raises UnknownSigner when none fits."""
        found = self._usable.get((kid, algorithm))
        if found is None:
            kind, curve = ALGORITHMS[algorithm]
            fitting = (
                key
                for key in self._published
                if key.get("kid") == kid and key.get("kty") == kind and key.get("crv", "") == curve
                and key.get("use", "sig") == "sig" and key.get("alg", algorithm) == algorithm
            )  # fmt: skip
            found = next((usable for key in fitting if (usable := _usable(key, algorithm)) is not None), None)
            if found is None:
                raise UnknownSigner("unknown_key", "The token is signed with a key the identity provider does not publish.")
            self._usable[kid, algorithm] = found
        return found


def _usable(key: Mapping[str, Any], algorithm: str) -> Any:
    try:
        loaded = jwt.PyJWK(dict(key), algorithm)
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, AttributeError):
        return None
    is_weak = isinstance(loaded.key, RSAPublicKey) and loaded.key.key_size < LEAST_RSA_BITS
    return None if is_weak or hasattr(loaded.key, "private_bytes") else loaded


def header_of(token: bytes, algorithms: Sequence[str]) -> tuple[str, str]:
    """Return key id and algorithm of a token, neither proven. Raises TokenRefused for another algorithm or no key id."""
    if len(token) > MOST_TOKEN_BYTES:
        raise TokenRefused("malformed", "The token is too long.")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise TokenRefused("malformed", "This is no signed token.") from error
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms or algorithm not in ALGORITHMS:
        raise TokenRefused("algorithm", "The token is not signed by an accepted algorithm.")
    if not isinstance(kid, str) or not kid:
        raise TokenRefused("no_key_id", "The token does not say by which key it is signed.")
    return kid, algorithm


def verify(token: bytes, keys: Keys, *, issuer: str, audience: str, algorithms: Sequence[str], required: Sequence[str] = ()) -> dict[str, Any]:
    """Return the claims of a token that this issuer signed for this audience and that is valid now. Raises TokenRefused or UnknownSigner."""
    kid, algorithm = header_of(token, algorithms)
    key = keys.find(kid, algorithm)
    try:
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=[algorithm], issuer=issuer, audience=audience, leeway=LEEWAY_S,
            options={"require": ["exp", "iat", "iss", "aud", "sub", *required], "enforce_minimum_key_length": True},
        )  # fmt: skip
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise _refusal(error) from error
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or "\0" in subject:
        raise TokenRefused("subject", "The token names nobody.")
    return claims


def _refusal(error: Exception) -> TokenRefused:
    told = {
        jwt.ExpiredSignatureError: ("expired", "The token has expired."),
        jwt.ImmatureSignatureError: ("not_yet_valid", "The token is not valid yet."),
        jwt.InvalidAudienceError: ("audience", "The token is made out to somebody else."),
        jwt.InvalidIssuerError: ("issuer", "The token comes from somebody else."),
        jwt.InvalidSignatureError: ("signature", "The token's signature does not hold."),
        jwt.MissingRequiredClaimError: ("incomplete", "The token lacks what every token must say."),
    }
    code, words = next((words for kind, words in told.items() if isinstance(error, kind)), ("malformed", "This is no token that can be read."))
    return TokenRefused(code, words)


def check_party(claims: Mapping[str, Any], client_id: str) -> None:
    """Raise TokenRefused unless an ID token was issued to this very client (OpenID Connect Core 3.1.3.7, steps 4 and 5)."""
    audience, party = claims.get("aud"), claims.get("azp")
    if party is not None and party != client_id:
        raise TokenRefused("authorized_party", "The token was issued to another client.")
    if isinstance(audience, list) and len(audience) > 1 and party is None:
        raise TokenRefused("authorized_party", "The token has several audiences and does not say to which client it was issued.")


def check_access_token(claims: Mapping[str, Any], id_token: bytes, access_token: str) -> None:
    """Raise TokenRefused when an ID token says by `at_hash` that it came with another access token (OpenID Connect Core 3.1.3.6)."""
    said = claims.get("at_hash")
    if said is None:
        return
    algorithm = str(jwt.get_unverified_header(id_token)["alg"])
    # EdDSA with Ed25519 hashes by SHA-512; every other algorithm names its hash
    hashed = jwt.get_algorithm_by_name("ES512" if algorithm == "EdDSA" else algorithm).compute_hash_digest(access_token.encode())
    expected = base64.urlsafe_b64encode(hashed[: len(hashed) // 2]).rstrip(b"=")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), expected):
        raise TokenRefused("access_token", "The ID token did not come with this access token.")
