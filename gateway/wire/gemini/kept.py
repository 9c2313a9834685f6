"""What Google keeps for a key of the Gemini API. Paths: https://ai.google.dev/api."""

from collections.abc import Mapping
from typing import Any

from gateway.wire.kept import Collection


def _named(path: str, kind: str, tells: tuple[tuple[str, str], ...] = (), *, is_free: bool = False) -> Collection:
    return Collection(
        path=path, kind=kind, root="gemini", name="name", is_name_whole=True, row_name="name", rows=path, cursor="pageToken", next_page="nextPageToken",
        tells=tells, is_free=is_free,
    )  # fmt: skip


COLLECTIONS = (
    # the end of an upload tells the file inside an object
    _named("files", "google_file", (("google_file", "file.name"),), is_free=True),
    _named("cachedContents", "cached_content"),
    _named("fileSearchStores", "file_search_store"),
)

_UPLOAD = ("protocol", "command", "offset", "header-content-length", "header-content-type", "file-name")
# what Google's resumable uploads say in headers
UPLOADING = frozenset(f"x-goog-upload-{word}".encode() for word in _UPLOAD)
_NAMING = frozenset({"fileData", "file_data", "functionResponse", "function_response"})
# members in which a request names things, or in which another request or content stands
_ELSEWHERE = frozenset({"cachedContent", "cached_content", "tools", "requests", "generateContentRequest", "generate_content_request", "content"})
# either may be given, or both, of which nobody knows the one that Google reads
_INSTRUCTIONS = ("systemInstruction", "system_instruction")


def may_name(parsed: Mapping[str, Any]) -> bool:
    """Return whether a request may name any of it: files stand among parts, stores among tools."""
    contents = parsed.get("contents")
    if type(contents) is not list or not _ELSEWHERE.isdisjoint(parsed):
        return True
    instructions = [parsed[name] for name in _INSTRUCTIONS if parsed.get(name) is not None]
    for content in (*contents, *instructions) if instructions else contents:
        parts = content.get("parts") if type(content) is dict else None
        if type(parts) is not list:
            return True
        for part in parts:
            if type(part) is not dict or not _NAMING.isdisjoint(part):
                return True
    return False
