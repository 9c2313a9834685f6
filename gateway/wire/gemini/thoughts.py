"""Thought signatures as Gemini's clients keep them: base64 in `thoughtSignature`, Google's own as they are, another vendor's sealed with its wire."""

import base64
import binascii

from gateway.terms import Part, PartKind
from gateway.wire.given import invalid
from gateway.wire.signatures import seal, unseal

NAME = "gemini"
# what the seal of a vendor's redacted reasoning says, which has no text of its own
_REDACTED = "+redacted"
# with what every seal begins once it is base64: "sgw1."
SEALED = b'"c2d3MS'
# stands at a call that no vendor signed: Google's models refuse calls without a signature, so it is told that another's model made it
OTHERS = base64.b64encode(seal("other", "").encode()).decode()
_TO_STANDARD = str.maketrans("-_", "+/")


def written(signature: str, signed_by: str) -> str:
    """Return a signature for `thoughtSignature`, "" for none."""
    if not signature or signed_by in ("", NAME):
        return signature
    return base64.b64encode(seal(signed_by, signature).encode()).decode()


def written_redacted(sealed: str, signed_by: str) -> str:
    """Return redacted reasoning for `thoughtSignature`."""
    return base64.b64encode(seal((signed_by or NAME) + _REDACTED, sealed).encode()).decode()


def standard(text: str, param: str) -> str:
    """Return base64 in the standard alphabet with its padding; Google takes both alphabets, other vendors do not. Raises WireError for what is none.

    Only the length and the kind of letters are looked at: it may be the data of a film.
    """
    if "-" in text or "_" in text:
        text = text.translate(_TO_STANDARD)
    if not text or not text.isascii() or len(text.rstrip("=")) % 4 == 1:
        raise invalid(param, f"{param} must be base64")
    return text + "=" * (-len(text) % 4)


def read(text: str, param: str) -> Part:
    """Return what a `thoughtSignature` stands for: REASONING with a signature and no text, or REDACTED. Raises WireError for no base64."""
    try:
        plain = base64.b64decode(standard(text, param), validate=True)
    except binascii.Error:
        raise invalid(param, f"{param} must be base64") from None
    if plain.startswith(b"sgw1."):
        wire, signature = unseal(plain.decode("utf-8", "replace"))
        if wire.endswith(_REDACTED):
            return Part(PartKind.REDACTED, text=signature, signed_by=wire.removesuffix(_REDACTED))
        if wire:
            return Part(PartKind.REASONING, signature=signature, signed_by=wire)
    return Part(PartKind.REASONING, signature=text, signed_by=NAME)
