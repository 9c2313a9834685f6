"""Signatures of reasoning that travel through a client of another wire: sealed with the name of the wire that made them, so that only it gets them back.

A vendor signs (or encrypts) its reasoning and believes it in later turns only with that signature. A client of another wire keeps it unread in its own
place for such things, written as `sgw1.<wire>.<signature>`. Where a signature is a tool call's and the client has a place for reasoning alone, the seal
says so: `sgw1.<wire>+call.<signature>`.
"""

from gateway.terms import Part

_VERSION = "sgw1."
_CALL = "+call"


def seal(wire: str, signature: str) -> str:
    """Return a signature of another wire's vendor as the client keeps it."""
    return f"{_VERSION}{wire}.{signature}"


def unseal(text: str) -> tuple[str, str]:
    """Return the wire and the signature of a sealed text; ("", text) for a signature that is no seal: the client's own vendor made it."""
    if text.startswith(_VERSION):
        wire, dot, signature = text[len(_VERSION) :].partition(".")
        if wire and dot:
            return wire, signature
    return "", text


def seal_call(wire: str, signature: str) -> str:
    """Return a tool call's signature for a client that has a place for the signatures of reasoning alone."""
    return f"{_VERSION}{wire}{_CALL}.{signature}"


def unseal_call(text: str) -> tuple[str, str]:
    """Return the wire and the signature of a text sealed by `seal_call`; ("", "") for any other."""
    wire, signature = unseal(text)
    return (wire.removesuffix(_CALL), signature) if wire.endswith(_CALL) else ("", "")


def told(signature: str, signed_by: str, client: str) -> str:
    """Return a signature as a client whose wire is `client` keeps it: its own vendor's as it is, another's sealed, none as ""."""
    return signature if not signature or not signed_by or signed_by == client else seal(signed_by, signature)


def kept(text: str, client: str) -> tuple[str, str]:
    """Return signature and `signed_by` of what a client whose wire is `client` kept; ("", "") for nothing."""
    if not text:
        return "", ""
    wire, signature = unseal(text)
    return signature, wire or client


def is_valid(part: Part, wire: str) -> bool:
    """Return whether the vendors of a wire believe a part's signature."""
    return bool(part.signature) and part.signed_by == wire
