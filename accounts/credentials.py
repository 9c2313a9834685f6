"""What is done to credentials of every kind: policy, rotation, state, proof. Each write is one transaction; callers check who may ask."""

import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q
from django.utils import timezone

from accounts import audit, keys
from accounts.models import Credential, CredentialPolicy, PersonalToken, ScimToken, ServiceAccount, VirtualKey

C = TypeVar("C", bound=Credential)
State = Credential.State
LAST_USE_KEPT = timedelta(minutes=1)
MOST_AGENT_CHARACTERS = 200
KINDS: dict[type[Credential], str] = {VirtualKey: "vk", ServiceAccount: "sa", PersonalToken: "pt", ScimToken: "sc"}
NOUNS: dict[type[Credential], str] = {VirtualKey: "key", ServiceAccount: "service account", PersonalToken: "personal token", ScimToken: "SCIM token"}


def policy(kind: str) -> CredentialPolicy:
    """Return the policy of a kind of credential, the built-in one where its row is gone."""
    return CredentialPolicy.objects.filter(kind=kind).first() or CredentialPolicy(kind=kind)


def policy_of(row: Credential) -> CredentialPolicy:
    """Return the policy that binds a credential."""
    if isinstance(row, VirtualKey):
        return policy(f"key-{row.environment}")
    kinds = {ServiceAccount: CredentialPolicy.Kind.SERVICE_ACCOUNT, ScimToken: CredentialPolicy.Kind.SCIM_TOKEN}
    return policy(kinds.get(type(row), CredentialPolicy.Kind.PERSONAL_TOKEN))


def latest_expiry(found: CredentialPolicy, rights_end: datetime | None = None) -> datetime:
    """Return the last moment a credential made now may live to: the policy's, or earlier the end of its maker's own rights."""
    latest = timezone.now() + timedelta(days=found.longest_days)
    return min(latest, rights_end) if rights_end else latest


def check_expiry(found: CredentialPolicy, expires_at: datetime, rights_end: datetime | None = None) -> None:
    """Raise ValidationError unless the moment lies ahead, within the policy and within the maker's own rights."""
    if expires_at <= timezone.now():
        raise ValidationError({"expires_at": "Choose a moment in the future."})
    if expires_at > latest_expiry(found):
        raise ValidationError({"expires_at": f"Choose a moment within {found.longest_days} days: the policy for {found} allows no longer life."})
    if rights_end is not None and expires_at > rights_end:
        raise ValidationError({"expires_at": f"Choose a moment up to {rights_end.isoformat()}: your own rights end then."})


def check_new_expiry(row: Credential, rights_end: datetime | None = None) -> None:
    """Raise ValidationError unless the expiry of a credential, where it differs from what is stored, may be so."""
    stored = type(row)._default_manager.filter(pk=row.pk).first()
    bound_as_before = not isinstance(row, VirtualKey) or (isinstance(stored, VirtualKey) and stored.environment == row.environment)
    if stored is None or stored.expires_at != row.expires_at or not bound_as_before:
        check_expiry(policy_of(row), row.expires_at, rights_end)


@audit.act()
def rotate(row: C, *, pepper: bytes, pepper_version: int, overlap: timedelta) -> tuple[C, str]:
    """Give a credential a new secret under its old id and return the row with the new text, which is kept nowhere.

    The old secret stays good for `overlap`; one that was still good from an earlier rotation ends now. Raises ValidationError.
    """
    locked = type(row)._default_manager.select_for_update().get(pk=row.pk)
    most = timedelta(hours=policy_of(locked).longest_overlap_hours)
    if locked.state == State.REVOKED:
        raise ValidationError(f"{locked.name} is revoked and stays so. Create a new {NOUNS[type(locked)]}.")
    if not timedelta(0) <= overlap <= most:
        raise ValidationError({"overlap_hours": f"Choose 0 to {most // timedelta(hours=1)} hours."})
    now = timezone.now()
    made = keys.renew(KINDS[type(locked)], locked.public_id)
    has_overlap = bool(overlap)
    locked.previous_digest = locked.digest if has_overlap else None
    locked.previous_pepper_version = locked.pepper_version if has_overlap else None
    locked.previous_until = now + overlap if has_overlap else None
    locked.digest, locked.pepper_version, locked.rotated_at = keys.digest(made.text.encode(), pepper), pepper_version, now
    locked.rotate_by = None
    locked.save(update_fields=["digest", "pepper_version", "previous_digest", "previous_pepper_version", "previous_until", "rotated_at", "rotate_by"])
    return locked, made.text


@audit.act()
def end_overlap(row: Credential) -> bool:
    """Let the secret from before the last rotation be good no more; return whether there was one."""
    locked = type(row)._default_manager.select_for_update().get(pk=row.pk)
    if locked.previous_digest is None:
        return False
    locked.previous_digest = locked.previous_pepper_version = locked.previous_until = None
    locked.save(update_fields=["previous_digest", "previous_pepper_version", "previous_until"])
    return True


@audit.act()
def set_state(row: Credential, state: str, *, reason: str = "", compromised: bool = False, level: int = 0) -> bool:
    """Suspend, resume or revoke a credential; return whether anything changed. Raises ValidationError, PermissionDenied.

    `compromised` marks a revocation, also a later one of what is revoked already: running calls are cut. `level` is how high the actor
    stands; what a higher one suspended, first or again, stays suspended.
    """
    locked = type(row)._default_manager.select_for_update().get(pk=row.pk)
    compromised = compromised and state == State.REVOKED
    is_raised = state == State.SUSPENDED and level > locked.suspended_level
    if locked.state == state and locked.is_compromised >= compromised and not is_raised:
        return False
    if locked.state == State.REVOKED and state != State.REVOKED:
        raise ValidationError(f"{locked.name} is revoked and stays so. Create a new {NOUNS[type(locked)]}.")
    if locked.state == State.SUSPENDED and state == State.ACTIVE and level < locked.suspended_level:
        raise PermissionDenied(f"{locked.name} was suspended by somebody above you: {locked.state_reason or 'no reason is given'}. Ask them to resume it.")
    locked.state, locked.state_reason, locked.state_changed_at = state, reason.replace("\0", "")[:400], timezone.now()
    locked.is_compromised = compromised
    locked.suspended_level = level if state == State.SUSPENDED else 0
    locked.save(update_fields=["state", "state_reason", "state_changed_at", "is_compromised", "suspended_level"])
    return True


def proves(row: Credential, text: bytes, peppers: Mapping[int, bytes]) -> str:
    """Say which secret of a credential a text is: `current`, `previous` (good or not), or "" for none."""
    if hmac.compare_digest(bytes(row.digest), keys.digest(text, peppers[row.pepper_version])):
        return "current"
    if row.previous_digest is not None and row.previous_pepper_version is not None:
        older = keys.digest(text, peppers[row.previous_pepper_version])
        return "previous" if hmac.compare_digest(bytes(row.previous_digest), older) else ""
    return ""


def is_good(row: Credential, text: bytes, peppers: Mapping[int, bytes]) -> bool:
    """Say whether a text opens a credential now."""
    now = timezone.now()
    if row.state != State.ACTIVE or row.expires_at <= now:
        return False
    which = proves(row, text, peppers)
    return which == "current" or (which == "previous" and row.previous_until is not None and row.previous_until > now)


def note_use(row: Credential, ip: str | None, agent: str) -> None:
    """Note when, from where and with what program a credential was used, at most once a minute."""
    now = timezone.now()
    if row.last_used_at is not None and row.last_used_at > now - LAST_USE_KEPT:
        return
    stale = Q(last_used_at=None) | Q(last_used_at__lte=now - LAST_USE_KEPT)
    fields = {"last_used_at": now, "last_used_ip": ip or None, "last_used_agent": agent.replace("\0", "")[:MOST_AGENT_CHARACTERS]}
    type(row)._default_manager.filter(stale, pk=row.pk).update(**fields)
