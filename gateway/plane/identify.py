"""Who is calling: a key's text against the snapshot. Knows nothing of models or money."""

import hmac
from collections.abc import Mapping

from accounts import keys
from accounts.oidc import tokens
from gateway.errors import BadKey, DependencyUnavailable, KeyExpired, KeyRevoked, KeySuspended, ProjectSuspended, WrongCredentialKind
from gateway.plane.snapshot import Snapshot
from gateway.terms import Caller, Key

VERIFIED_LIMIT = 10_000


class UnknownKey(BadKey):
    """A well-formed key this snapshot does not hold; worth one fresh poll before it is refused."""


class AccessToken(BadKey):
    """A credential in the form of the OpenID provider's tokens, which are judged elsewhere."""


class Verified:
    """Credentials whose digest was computed before: parsing and HMAC once per key and worker instead of per call.

    What is kept proves nothing by itself: it holds only while the snapshot has the same digest under the same id.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, bytes]] = {}

    def key(self, credential: bytes, snapshot: Snapshot) -> Key | None:
        """Return the snapshot's key if the credential was verified against the very digest it has now."""
        known = self._known.get(credential)
        if known is None:
            return None
        key = snapshot.keys.get(known[0])
        if key is not None and key.digest == known[1]:
            return key
        del self._known[credential]
        return None

    def note(self, credential: bytes, key: Key) -> None:
        """Keep a credential that has just been verified against this key's present digest."""
        if len(self._known) >= VERIFIED_LIMIT:
            self._known.clear()
        self._known[credential] = (key.id, key.digest)


def identify(credential: bytes, snapshot: Snapshot, peppers: Mapping[int, bytes], now_s: float, verified: Verified | None = None) -> Caller:
    """Return the caller a credential stands for at `now_s` (Unix seconds); `verified` spares the digest of a credential seen before.

    Raises BadKey (or UnknownKey when the key is well formed but not in the snapshot), KeyExpired, KeyRevoked,
    WrongCredentialKind, KeySuspended, ProjectSuspended.
    """
    key = verified.key(credential, snapshot) if verified is not None else None
    if key is None:
        key, is_present = verify(credential, snapshot, peppers, now_s)
        if verified is not None and is_present:
            verified.note(credential, key)
    if key.state != "active":
        if key.state == "revoked":
            raise KeyRevoked("This key was revoked. Ask the owner of its project for a new one.")
        raise KeySuspended("This key is suspended. Ask the owner of its project to resume it.")
    if key.expires_at_s <= now_s:
        raise KeyExpired("This key has expired. Create or rotate a key in its project.")
    project = snapshot.projects.get(key.project)
    if project is None:
        raise DependencyUnavailable("The key's project is not loaded yet. Try again in a moment.", retry_after_s=1)
    if project.suspended:
        raise ProjectSuspended("This key's project is suspended. Ask its owner or your IT administrator.")
    return Caller(key=key, project=project)


def verify(credential: bytes, snapshot: Snapshot, peppers: Mapping[int, bytes], now_s: float) -> tuple[Key, bool]:
    """Return the key whose secret the credential is, and whether it is the present one: after a rotation the one before is good for a while.

    Raises BadKey, UnknownKey, KeyExpired, WrongCredentialKind, AccessToken.
    """
    try:
        parsed = keys.parse(credential)
    except ValueError:
        if credential[:3] == tokens.START:
            raise AccessToken("Access tokens are not taken here. Use a virtual key (sgw_vk_...).") from None
        raise BadKey("This is not a valid Symbiosis key. Copy it again, whole, from where it was shown: it starts with sgw_vk_.") from None
    if parsed.kind != "vk":
        what = {"sa": "a service account's token for the management API", "pt": "a person's token for the management API", "sc": "a SCIM token"}
        raise WrongCredentialKind(f"This is {what[parsed.kind]}; calls to models need a virtual key (sgw_vk_...).")
    key = snapshot.keys.get(parsed.public_id)
    if key is not None and _is_digest(credential, key.digest, peppers.get(key.pepper_version)):
        return key, True
    if key is not None and key.previous_digest and _is_digest(credential, key.previous_digest, peppers.get(key.previous_pepper_version)):
        if key.previous_until_s > now_s:
            return key, False
        raise KeyExpired("This key was rotated and its old secret has expired. Use the new one, or rotate the key again.")
    raise UnknownKey("This key is not known here. Check that it was made on this gateway and copied whole.")


def _is_digest(credential: bytes, digest: bytes, pepper: bytes | None) -> bool:
    return pepper is not None and hmac.compare_digest(keys.digest(credential, pepper), digest)
