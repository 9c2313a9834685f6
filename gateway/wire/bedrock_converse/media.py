"""Writes images, documents and recordings as Converse's blocks. Knows nothing of the turns around them.

Converse takes their bytes, or an address in S3. Addresses are refused: one in S3 would be read with the rights of the account here, not of the caller.
"""

import re
from typing import Any

from gateway.terms import Part
from gateway.wire import WireError

_IMAGES = {"image/jpeg": "jpeg", "image/jpg": "jpeg", "image/png": "png", "image/gif": "gif", "image/webp": "webp"}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/markdown": "md",
}
_TEXTS = frozenset({"application/json", "application/xml", "application/yaml"})
_RECORDINGS = {
    "audio/wav": "wav", "audio/x-wav": "wav", "audio/mp3": "mp3", "audio/mpeg": "mp3", "audio/flac": "flac", "audio/ogg": "ogg", "audio/opus": "opus",
    "audio/aac": "aac", "audio/mp4": "mp4", "audio/webm": "webm",
}  # fmt: skip
_FOREIGN_IN_NAME = re.compile(r"[^a-zA-Z0-9\s()\[\]-]")
_LONGEST_NAME = 190


def image(part: Part, param: str) -> dict[str, Any]:
    """Return an image's block. Raises WireError naming `param`."""
    known = _IMAGES.get(part.media_type)
    if part.media_type and known is None:
        raise WireError("invalid_request", f"{param}: images must be JPEG, PNG, GIF or WebP, not {part.media_type[:64]}", param)
    return {"image": {"format": known, "source": _bytes(part, param)}}


def audio(part: Part, param: str) -> dict[str, Any]:
    """Return a recording's block. Raises WireError naming `param`."""
    known = _RECORDINGS.get(part.media_type)
    if part.media_type and known is None:
        raise WireError("unsupported_field", f"{param}: the provider of this model takes no recordings of the type {part.media_type[:64]}", param)
    return {"audio": {"format": known, "source": _bytes(part, param)}}


def document(part: Part, param: str, names: set[str]) -> dict[str, Any]:
    """Return a document's block under a name that is not among `names`, and is then. Raises WireError naming `param`."""
    known = _DOCUMENTS.get(part.media_type)
    if known is None and (part.media_type.startswith("text/") or part.media_type in _TEXTS):
        known = "txt"
    if part.media_type and known is None:
        raise WireError("unsupported_field", f"{param}: documents must be PDF, text or of an office, not {part.media_type[:64]}", param)
    block: dict[str, Any] = {"format": known, "name": _name(part.name, names), "source": _bytes(part, param)}
    if part.cites:
        block["citations"] = {"enabled": True}
    return {"document": block}


def _bytes(part: Part, param: str) -> dict[str, str]:
    if not part.media_type:
        raise WireError("unsupported_field", f"{param}: the provider of this model takes no addresses; send the data itself, as base64", param)
    return {"bytes": part.text.partition(",")[2]}


def _name(given: str, names: set[str]) -> str:
    """AWS takes few characters in names, single spaces, and no name twice."""
    plain = " ".join(_FOREIGN_IN_NAME.sub("-", given).split())[:_LONGEST_NAME].strip() or "document"
    name, number = plain, 1
    while name in names:
        number += 1
        name = f"{plain} {number}"
    names.add(name)
    return name
