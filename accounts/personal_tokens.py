"""Every write to personal tokens, and the check of them. Each write is one transaction; callers check who may ask."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from accounts import audit, credentials, keys
from accounts.models import PersonalToken, User
from accounts.service_accounts import check_scopes


@audit.act()
def make_personal_token(
    *, user: User, name: str, scopes: Sequence[str], expires_at: datetime, pepper: bytes, pepper_version: int, is_demo: bool = False
) -> tuple[PersonalToken, str]:
    """Make a token that acts as a person within scopes; return its row with its text, which is kept nowhere. Raises ValidationError."""
    check_scopes(scopes)
    made = keys.make("pt")
    row = PersonalToken(
        user=user, name=name, scopes=list(scopes), expires_at=expires_at, is_demo=is_demo,
        public_id=made.public_id, digest=keys.digest(made.text.encode(), pepper), pepper_version=pepper_version,
    )  # fmt: skip
    credentials.check_new_expiry(row)
    row.full_clean()
    row.save()
    return row, made.text


def find_person(text: bytes, peppers: Mapping[int, bytes], ip: str | None = None, agent: str = "") -> User | None:
    """Return the active person a good token acts as, narrowed to it (see accounts.access), None for any other text; notes its use."""
    try:
        parsed = keys.parse(text)
    except keys.BadShape:
        return None
    row = PersonalToken.objects.select_related("user").filter(public_id=parsed.public_id).first() if parsed.kind == "pt" else None
    if row is None or not row.user.is_active or not credentials.is_good(row, text, peppers):
        return None
    credentials.note_use(row, ip, agent)
    row.user.__dict__["token"] = row
    return row.user
