"""Secrets found in public: whoever shows a whole one has proved the leak, and it is revoked. Tells the finder nothing about it."""

from collections.abc import Iterable, Mapping

from accounts import audit, credentials, keys
from accounts.models import Credential, Severity
from accounts.upkeep import tell

MOST_PLACE_CHARACTERS = 200
MODELS = {kind: model for model, kind in credentials.KINDS.items()}


def report(found: Iterable[tuple[str, str]], peppers: Mapping[int, bytes]) -> int:
    """Revoke as compromised every credential whose whole secret is among (secret, where it was found); return how many changed."""
    return sum(_report(text, place, peppers) for text, place in found)


def _report(text: str, place: str, peppers: Mapping[int, bytes]) -> bool:
    try:
        secret = text.encode()
        parsed = keys.parse(secret)
    except (UnicodeEncodeError, keys.BadShape):
        return False
    row = MODELS[parsed.kind]._default_manager.filter(public_id=parsed.public_id).first()
    which = credentials.proves(row, secret, peppers) if row is not None else ""
    return row is not None and bool(which) and _end(row, which, place)


@audit.act("credential.leak")
def _end(row: Credential, which: str, place: str) -> bool:
    """Revoke what leaked; of a credential rotated since, only the old secret, for nobody has shown the new one."""
    where = "".join(letter for letter in place if letter.isprintable())[:MOST_PLACE_CHARACTERS]
    reason = f"Found in public: {where}" if where else "Found in public"
    if which == "current":
        changed = credentials.set_state(row, Credential.State.REVOKED, reason=reason, compromised=True)
        then = "It was revoked and its running calls were ended. Make another."
    else:
        changed = credentials.end_overlap(row)
        then = "It was rotated before: the old secret ended now, the new one stays good."
    if changed:
        tell(row, "leaked", which, Severity.CRITICAL, f"The {credentials.NOUNS[type(row)]} {row.name} has leaked", f"{reason}. {then}")
    return changed
