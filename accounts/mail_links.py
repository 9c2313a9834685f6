"""Tokens of links in mails: the id of a row with a signature under the installation's secret, so that nothing stored gives a link away."""

from uuid import UUID

from django.core.signing import BadSignature, Signer

SALT = "decision-link"


def token_of(row: UUID) -> str:
    """Return the token of a row, the same every time."""
    return Signer(sep=".", salt=SALT).sign(row.hex)


def row_of(token: str) -> UUID | None:
    """Return the row a token names, None for a token that nobody made."""
    try:
        return UUID(hex=Signer(sep=".", salt=SALT).unsign(token))
    except (BadSignature, ValueError):
        return None
