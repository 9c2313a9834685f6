"""What the simulated vendors keep beside responses: OpenAI's collections and Google's files and caches, in memory, for all who call with any credential."""

import hashlib
from itertools import count
from typing import Any
from urllib.parse import parse_qs

import orjson

from gateway.simulator.catalogue import EPOCH_S, EPOCH_TEXT
from gateway.simulator.problems import Problem

Headers = list[tuple[bytes, bytes]]
# OpenAI's collections by path: what their ids begin with, and what an object is called
COLLECTIONS = {
    "vector_stores": ("vs_", "vector_store"),
    "assistants": ("asst_", "assistant"),
    "threads": ("thread_", "thread"),
    "containers": ("cntr_", "container"),
    "conversations": ("conv_", "conversation"),
}
PAGE = 20


def _chance(*seeds: object) -> str:
    return hashlib.sha256(repr(seeds).encode()).hexdigest()[:24]


class Collections:
    """OpenAI's objects by path, each with what it was made with."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, dict[str, Any]]] = {path: {} for path in COLLECTIONS}
        self._made = count()

    def has(self, path: str) -> bool:
        """Return whether a path leads to a collection."""
        return path.removeprefix("/v1/").partition("/")[0] in COLLECTIONS

    def has_conversation(self, object_id: str) -> bool:
        """Return whether there is a conversation of an id."""
        return object_id in self._rows["conversations"]

    def answer(self, method: str, path: str, query: bytes, fields: dict[str, Any]) -> bytes:
        """Return an answer; raises Problem."""
        name, _, rest = path.removeprefix("/v1/").partition("/")
        rows = self._rows[name]
        if not rest and method == "POST":
            prefix, kind = COLLECTIONS[name]
            object_id = prefix + _chance(name, next(self._made))
            rows[object_id] = {"id": object_id, "object": kind, "created_at": EPOCH_S, "status": "completed", **fields}
            return orjson.dumps(rows[object_id])
        if not rest and method == "GET":
            return orjson.dumps(_page(list(rows.values()), {key: values[0] for key, values in parse_qs(query.decode()).items()}))
        object_id, _, part = rest.partition("/")
        if object_id not in rows:
            raise Problem(404, f"No {COLLECTIONS[name][1]} found with id '{object_id}'.", "not_found")
        if method == "DELETE":
            del rows[object_id]
            return orjson.dumps({"id": object_id, "object": f"{COLLECTIONS[name][1]}.deleted", "deleted": True})
        if part and method == "POST":
            return orjson.dumps({"id": str(fields.get("file_id", "")), "object": f"{COLLECTIONS[name][1]}.{part}", "parent": object_id})
        return orjson.dumps(rows[object_id])


def _page(rows: list[dict[str, Any]], asked: dict[str, str]) -> dict[str, Any]:
    newest = rows[::-1]
    places = [place for place, row in enumerate(newest) if row["id"] == asked.get("after")]
    left = newest[places[0] + 1 :] if places else newest
    page = left[: int(asked.get("limit", PAGE))]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
    return {"object": "list", "data": page, **ends, "has_more": len(left) > len(page)}


class GoogleFiles:
    """Google's files, sent by resumable uploads, and its caches; both have names that repeat their path."""

    def __init__(self) -> None:
        self._made = count()
        self._uploads: dict[str, dict[str, Any]] = {}
        self._rows: dict[str, dict[str, Any]] = {}

    def upload(self, headers: dict[bytes, bytes], path: str, query: bytes, raw: bytes) -> tuple[Headers, bytes]:
        """Return what a step of an upload is answered with; raises Problem."""
        command = headers.get(b"x-goog-upload-command", b"")
        origin = f"http://{headers.get(b'host', b'').decode()}"
        if command == b"start":
            upload_id = _chance("upload", next(self._made))
            told = orjson.loads(raw or b"{}").get("file", {})
            kind = headers.get(b"x-goog-upload-header-content-type", b"").decode()
            self._uploads[upload_id] = {"displayName": told.get("displayName") or told.get("display_name", ""), "mimeType": kind, "data": b""}
            address = f"{origin}{path}?upload_id={upload_id}&upload_protocol=resumable"
            return [(b"x-goog-upload-url", address.encode()), (b"x-goog-upload-status", b"active")], b""
        going = self._uploads.get(parse_qs(query.decode()).get("upload_id", [""])[0])
        if going is None:
            raise Problem(404, "There is no such upload.")
        going["data"] += raw
        if b"finalize" not in command:
            return [(b"x-goog-upload-status", b"active")], b""
        name = "files/" + _chance("file", next(self._made))[:12]
        self._rows[name] = {
            "name": name, "displayName": going["displayName"], "mimeType": going["mimeType"], "sizeBytes": str(len(going["data"])), "state": "ACTIVE",
            "createTime": EPOCH_TEXT, "updateTime": EPOCH_TEXT, "uri": f"{origin}/v1beta/{name}", "source": "UPLOADED",
        }  # fmt: skip
        return [(b"x-goog-upload-status", b"final")], orjson.dumps({"file": self._rows[name]})

    def has(self, path: str) -> bool:
        """Return whether a path without its version leads to files or caches."""
        return path.partition("/")[0] in ("files", "cachedContents")

    def answer(self, method: str, path: str, fields: dict[str, Any]) -> bytes:
        """Return an answer; raises Problem."""
        collection, _, rest = path.partition("/")
        if method == "POST" and not rest and collection == "cachedContents":
            name = f"cachedContents/{_chance('cache', next(self._made))[:12]}"
            self._rows[name] = {**fields, "name": name, "createTime": EPOCH_TEXT, "updateTime": EPOCH_TEXT, "usageMetadata": {"totalTokenCount": 100}}
            return orjson.dumps(self._rows[name])
        if method == "GET" and not rest:
            rows = [row for name, row in self._rows.items() if name.startswith(f"{collection}/")]
            return orjson.dumps({collection: rows} if rows else {})
        if path not in self._rows:
            raise Problem(403, f"You do not have permission to access {path} or it may not exist.")
        if method == "DELETE":
            del self._rows[path]
            return b"{}"
        return orjson.dumps(self._rows[path])
