"""How a key of the data plane is made, read and compared: sgw_<kind>_<id>_<secret><check>. No Django, no storage."""

import hmac
import secrets
import zlib
from string import ascii_lowercase, ascii_uppercase, digits

import msgspec

ALPHABET = digits + ascii_uppercase + ascii_lowercase
# Virtual key, service account, personal token, SCIM token.
KINDS = (b"vk", b"sa", b"pt", b"sc")
ID_LENGTH, SECRET_LENGTH, CHECK_LENGTH = 10, 32, 6
ID_START = len("sgw_vk_")
SECRET_START = ID_START + ID_LENGTH + 1
CHECK_START = SECRET_START + SECRET_LENGTH
KEY_LENGTH = CHECK_START + CHECK_LENGTH
_PAIRS = tuple((a + b).encode() for a in ALPHABET for b in ALPHABET)


class BadShape(ValueError):
    """The text is not a key of ours, or its check characters do not fit: no look-up can help."""


class NewKey(msgspec.Struct, frozen=True):
    """A key just made: `text` is shown once and kept nowhere."""

    text: str
    public_id: str
    secret: str

    def __repr__(self) -> str:
        return f"NewKey({self.public_id})"


class Parsed(msgspec.Struct, frozen=True, gc=False):
    """The parts of a well-formed key."""

    kind: str
    public_id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Parsed({self.public_id})"


def make(kind: str = "vk") -> NewKey:
    """Make a fresh key with 190 bits of chance in its secret; raises ValueError for an unknown kind."""
    if kind.encode() not in KINDS:
        raise ValueError(f"Unknown kind of key: {kind}")
    return renew(kind, "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH)))


def renew(kind: str, public_id: str) -> NewKey:
    """Make a fresh secret for an id there is."""
    secret = "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    text = f"sgw_{kind}_{public_id}_{secret}"
    return NewKey(text + _check(text.encode()).decode(), public_id, secret)


def crc_ok(text: bytes) -> bool:
    """Say whether the last six characters are the base62 CRC-32 of everything before them."""
    return text[-CHECK_LENGTH:] == _check(text[:-CHECK_LENGTH])


def parse(text: bytes) -> Parsed:
    """Take a key apart (about 1 µs); raises BadShape when it cannot be one of ours."""
    if len(text) != KEY_LENGTH or text[:4] != b"sgw_" or text[6:7] != b"_" or text[SECRET_START - 1 : SECRET_START] != b"_":
        raise BadShape("This is not a gateway key. Keys look like sgw_vk_<id>_<secret>; copy the whole key.")
    kind, public_id, secret = text[4:6], text[ID_START : SECRET_START - 1], text[SECRET_START:CHECK_START]
    if kind not in KINDS or not public_id.isalnum() or not secret.isalnum() or text[CHECK_START:] != _check(text[:CHECK_START]):
        raise BadShape("This gateway key is damaged: its check characters do not fit. Copy the whole key again.")
    return Parsed(kind.decode(), public_id.decode(), secret)


def digest(secret_text: bytes, pepper: bytes) -> bytes:
    """Return the HMAC-SHA256 of the whole key text under a pepper: 32 bytes, the only form in which a key is stored."""
    return hmac.digest(pepper, secret_text, "sha256")


def _check(text: bytes) -> bytes:
    """Return six base62 characters of the CRC-32, most significant first."""
    rest, low = divmod(zlib.crc32(text), 3844)
    high, middle = divmod(rest, 3844)
    return _PAIRS[high] + _PAIRS[middle] + _PAIRS[low]
