"""Reasoning items, both ways: readable summary, and what only the vendor that made it can read.

OpenAI's own encrypted reasoning needs its item's id beside it: in the neutral form its signature is `<id>.<encrypted content>`. Another vendor's
sealed (redacted) thinking is told from the signature of thinking left out by `+redacted` behind the wire's name.
"""

from typing import Any

from gateway.terms import Part, PartKind
from gateway.wire import given as read
from gateway.wire import signatures

NAME = "openai_responses"
_REDACTED = "+redacted"


def sealed(signature: str, signed_by: str, *, is_redacted: bool) -> str:
    """Return what a client keeps as `encrypted_content`."""
    if signed_by == NAME:
        return signature.partition(".")[2]
    return signatures.seal(signed_by + _REDACTED if is_redacted else signed_by, signature)


def read_reasoning(item: dict[str, Any], param: str) -> Part | None:
    """Return a reasoning item as a part; None for one that says and proves nothing. Raises WireError."""
    text = _words(item.get("summary"), f"{param}.summary", "summary_text")
    if not text:
        text = _words(item.get("content"), f"{param}.content", "reasoning_text")
    encrypted = read.text(item.get("encrypted_content") or "", f"{param}.encrypted_content")
    if not encrypted:
        return Part(kind=PartKind.REASONING, text=text) if text else None
    wire, signature = signatures.unseal(encrypted)
    if not wire:
        wire, signature = NAME, f"{read.text(item.get('id') or '', f'{param}.id')}.{encrypted}"
    if wire.endswith(_REDACTED):
        return Part(kind=PartKind.REDACTED, text=signature, signed_by=wire.removesuffix(_REDACTED))
    if wire == NAME and not text:
        return Part(kind=PartKind.REDACTED, text=signature, signed_by=NAME)
    return Part(kind=PartKind.REASONING, text=text, signature=signature, signed_by=wire)


def _words(given: object, param: str, kind: str) -> str:
    """Return the text of a summary's or content's parts, a blank line between them."""
    if given is None:
        return ""
    parts = [read.object_(part, f"{param}[{index}]") for index, part in enumerate(read.list_(given, param))]
    for index, part in enumerate(parts):
        if part.get("type") != kind:
            raise read.invalid(f"{param}[{index}].type", f"{param}[{index}].type must be {kind}")
    return "\n\n".join(read.text(part.get("text"), f"{param}[{index}].text") for index, part in enumerate(parts))


def written(text: str, signature: str) -> dict[str, Any]:
    """Return OpenAI's own reasoning as the input item it wants back."""
    identity, _, encrypted = signature.partition(".")
    summary = [{"type": "summary_text", "text": text}] if text else []
    return {"type": "reasoning", "id": identity, "summary": summary, "encrypted_content": encrypted}
