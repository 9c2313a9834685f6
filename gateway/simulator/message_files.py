"""Files as Anthropic keeps them, in memory: uploaded ones cannot be read back, those that code made can."""

import secrets
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import orjson

from gateway.simulator.kept import found, keep, read_upload
from gateway.simulator.problems import Problem

PAGE, LONGEST_PAGE = 20, 1_000


class MessageFiles:
    """What is kept, the newest last."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[dict[str, Any], bytes]] = {}

    def has(self, name: str) -> bool:
        """Return whether there is such a file."""
        return name in self._kept

    def add(self, name: str, kind: str, content: bytes, *, is_made: bool = False) -> dict[str, Any]:
        """Keep a file; `is_made` for one that code made."""
        row: dict[str, Any] = {
            "id": f"file_{secrets.token_hex(12)}",
            "type": "file",
            "filename": name,
            "mime_type": kind,
            "size_bytes": len(content),
            "created_at": datetime.now(UTC).isoformat(),
            "downloadable": is_made,
        }
        keep(self._kept, row["id"], (row, content))
        return row

    def upload(self, raw: bytes, content_type: bytes) -> bytes:
        """Keep the file of a form; raises Problem."""
        _, files = read_upload(raw, content_type)
        if not files:
            raise Problem(400, "file: Field required")
        return orjson.dumps(self.add(*files[0]))

    def content(self, name: str) -> bytes:
        """Return what a file holds; raises Problem."""
        row, content = found(self._kept, name, "File")
        if not row["downloadable"]:
            raise Problem(400, f"File {name} is not downloadable.")
        return bytes(content)

    def answer(self, method: str, name: str, query: bytes) -> bytes:
        """Return what is told about a file, deleted if that was asked, or a page of all; raises Problem."""
        if not name:
            return orjson.dumps(self._page({key: values[0] for key, values in parse_qs(query.decode()).items()}))
        row, _ = found(self._kept, name, "File")
        if method == "DELETE":
            del self._kept[name]
            return orjson.dumps({"id": name, "type": "file_deleted"})
        return orjson.dumps(row)

    def _page(self, asked: dict[str, str]) -> dict[str, Any]:
        rows = [row for row, _ in self._kept.values()][::-1]
        places = [place for place, row in enumerate(rows) if row["id"] == asked.get("after_id")]
        left = rows[places[0] + 1 :] if places else rows
        page = left[: min(int(asked.get("limit", PAGE)), LONGEST_PAGE)]
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
        return {"data": page, **ends, "has_more": len(left) > len(page)}
