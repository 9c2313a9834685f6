"""Addresses that are a credential themselves: where Google's clients send a file's bytes, for they send no key there. Good for one upload and a day."""

import hashlib
import hmac
from collections.abc import Mapping

from gateway.errors import BadKey
from gateway.plane.identify import Verified, identify
from gateway.plane.snapshot import Snapshot
from gateway.terms import Caller, Key

NAME = b"sgw_upload"
LIFETIME_S = 24 * 3600


class _Known(Verified):
    """Stands for a credential that a ticket has proven."""

    def __init__(self, key: Key) -> None:
        super().__init__()
        self._key = key

    def key(self, credential: bytes, snapshot: Snapshot) -> Key | None:
        """Return the key of the ticket."""
        return self._key


def _proof(pepper: bytes, key_id: str, ends_at_s: int, target: str) -> str:
    return hmac.new(pepper, f"upload:{key_id}:{ends_at_s}:{target}".encode("latin-1"), hashlib.sha256).hexdigest()


def sealed(target: str, key_id: str, peppers: Mapping[int, bytes], now_s: float) -> str:
    """Return a path with its query and the ticket of a key for exactly that."""
    ends_at_s = int(now_s) + LIFETIME_S
    mark = "&" if "?" in target else "?"
    return f"{target}{mark}{NAME.decode()}={key_id}.{ends_at_s}.{_proof(peppers[max(peppers)], key_id, ends_at_s, target)}"


def without(query: bytes) -> bytes:
    """Return a query without its ticket."""
    return b"&".join([pair for pair in query.split(b"&") if not pair.startswith(NAME + b"=")]) if NAME in query else query


def caller(path: bytes, query: bytes, snapshot: Snapshot, peppers: Mapping[int, bytes], now_s: float) -> Caller:
    """Return the caller whose ticket an address holds. Raises BadKey and what `identify` raises."""
    given = [pair.partition(b"=")[2] for pair in query.split(b"&") if pair.startswith(NAME + b"=")]
    key_id, _, rest = given[0].decode("latin-1").partition(".") if len(given) == 1 else ("", "", "")
    ends_at, _, proof = rest.partition(".")
    key = snapshot.keys.get(key_id)
    bare = without(query)
    target = (path + (b"?" + bare if bare else b"")).decode("latin-1")
    if key is None or not (ends_at.isdecimal() and ends_at.isascii() and len(ends_at) < 13) or int(ends_at) <= now_s:
        raise BadKey("This upload address is no longer good. Begin the upload again.")
    if not any(hmac.compare_digest(proof.encode("latin-1"), _proof(pepper, key_id, int(ends_at), target).encode()) for pepper in peppers.values()):
        raise BadKey("This upload address was not made by this gateway. Begin the upload again.")
    return identify(b"", snapshot, peppers, now_s, _Known(key))
