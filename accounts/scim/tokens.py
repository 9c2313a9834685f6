"""Every write to SCIM tokens, and the check of one. Each write is one transaction; callers check who may ask.

A token that may give privileged roles takes two people, each secret of it anew: whoever holds a secret shown to them alone gives none.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError

from accounts import audit, credentials, four_eyes, keys
from accounts.models import GrantRequest, ScimToken, User

SCOPES = ("users:read", "users:write", "groups:read", "groups:write")
ACT = "act.scim_token"


@audit.act("scim-token.create")
def make_token(
    *,
    name: str,
    expires_at: datetime,
    pepper: bytes,
    pepper_version: int,
    scopes: Sequence[str] = SCOPES,
    may_give_privileged: bool = False,
    created_by: User | None = None,
) -> tuple[ScimToken, str]:
    """Make a SCIM token and return its row with its text, which is kept nowhere. Raises ValidationError.

    That it may give privileged roles waits for a second person: it may not until then (`four_eyes.held` tells).
    """
    made = keys.make("sc")
    row = ScimToken(
        public_id=made.public_id,
        name=name,
        scopes=list(scopes),
        may_give_privileged=may_give_privileged,
        digest=keys.digest(made.text.encode(), pepper),
        pepper_version=pepper_version,
        expires_at=expires_at,
        created_by=created_by,
    )
    _store(row)
    return row, made.text


@audit.act("scim-token.save")
def save_token(row: ScimToken) -> ScimToken:
    """Check and store name, scopes and expiry of a token, and whether it may give privileged roles, as `make_token` does. Raises ValidationError."""
    _store(row, ("name", "scopes", "may_give_privileged", "expires_at"))
    return row


@audit.act("scim-token.rotate")
def rotate_token(row: ScimToken, *, pepper: bytes, pepper_version: int, overlap: timedelta) -> tuple[ScimToken, str]:
    """Give a token a new secret, see `credentials.rotate`; that it may give privileged roles needs the second person again. Raises ValidationError."""
    rotated, text = credentials.rotate(row, pepper=pepper, pepper_version=pepper_version, overlap=overlap)
    if rotated.may_give_privileged and four_eyes.is_needed():
        rotated.may_give_privileged = False
        rotated.save(update_fields=["may_give_privileged"])
        _ask(rotated)
    return rotated, text


def check_scopes(scopes: Sequence[str]) -> None:
    """Raise ValidationError unless every scope exists and there is one."""
    if not scopes or not set(scopes) <= set(SCOPES):
        raise ValidationError({"scopes": f"Choose one or more of {', '.join(SCOPES)}."})


def _store(row: ScimToken, fields: Sequence[str] | None = None) -> None:
    check_scopes(row.scopes)
    credentials.check_new_expiry(row)
    row.full_clean()
    agreed = ScimToken.objects.filter(pk=row.pk, may_give_privileged=True).exists()
    waits = row.may_give_privileged and not agreed and four_eyes.is_needed()
    row.may_give_privileged = row.may_give_privileged and not waits
    row.save(update_fields=fields)
    if waits:
        _ask(row)


def _ask(row: ScimToken) -> None:
    four_eyes.hold(
        ACT,
        row=row,
        title=f"SCIM token {row.name} may give privileged roles",
        target=f"sct_{row.public_id}",
        parameters={"token": row.pk.hex, "secret_of": _secret_of(row)},
    )


def _secret_of(row: ScimToken) -> str:
    """Say which of a token's secrets is the present one."""
    return row.rotated_at.isoformat() if row.rotated_at else ""


def let_give_privileged(request: GrantRequest) -> None:
    """Let a token give privileged roles, as two people agreed. Raises ValidationError when it is not the token they agreed about any more."""
    row = ScimToken.objects.select_for_update().filter(pk=request.parameters["token"]).first()
    if row is None or row.state == ScimToken.State.REVOKED:
        raise ValidationError("This SCIM token is revoked.")
    if _secret_of(row) != request.parameters["secret_of"]:
        raise ValidationError("This SCIM token has another secret by now. Ask for it again.")
    row.may_give_privileged = True
    row.save(update_fields=["may_give_privileged"])


def find_by_token(text: bytes, peppers: Mapping[int, bytes], ip: str | None = None, agent: str = "") -> ScimToken | None:
    """Return the usable SCIM token of a text, None for any other text; notes its use at most once a minute."""
    try:
        parsed = keys.parse(text)
    except keys.BadShape:
        return None
    row = ScimToken.objects.filter(public_id=parsed.public_id).first() if parsed.kind == "sc" else None
    if row is None or not credentials.is_good(row, text, peppers):
        return None
    credentials.note_use(row, ip, agent)
    return row
