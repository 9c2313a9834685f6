"""What the simulated vendors keep: files and batches, in memory. A batch is worked at when it is next looked at; its first custom_id may say otherwise.

`sim-wait...` is worked at for ever and can be cancelled, `sim-expire...` ends half done, `sim-fail...` is refused when it is looked at.
"""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from python_multipart.multipart import parse_form

from gateway.simulator.problems import Problem

# answers one request: its path and fields, to a status and a body
Answer = Callable[[str, dict[str, Any]], tuple[int, bytes]]
Row = dict[str, Any]
DAY_S = 86_400
MOST = 1_000


def read_upload(raw: bytes, content_type: bytes) -> tuple[dict[str, str], list[tuple[str, str, bytes]]]:
    """Return the text fields of a form, and of its files name, type and content; raises Problem."""
    fields: dict[str, str] = {}
    files: list[tuple[str, str, bytes]] = []

    def keep(file: Any) -> None:
        file.file_object.seek(0)
        kind = (file.content_type or "application/octet-stream").partition(";")[0]
        files.append(((file.file_name or b"upload").decode("utf-8", "replace"), kind, file.file_object.read()))

    try:
        parse_form(
            {"Content-Type": content_type},
            _Once(raw),
            lambda field: fields.__setitem__((field.field_name or b"").decode(), (field.value or b"").decode("utf-8", "replace")),
            keep,
        )
    except ValueError as error:
        raise Problem(400, "We could not parse your form.", "invalid_form") from error
    return fields, files


def read_form(raw: bytes, content_type: bytes) -> tuple[str, str, bytes]:
    """Return purpose, name and content of an uploaded file; raises Problem."""
    fields, files = read_upload(raw, content_type)
    if not files or not fields.get("purpose"):
        raise Problem(400, "'file' and 'purpose' are required properties.", "missing_required_parameter")
    return fields["purpose"], files[0][0], files[0][2]


class _Once:
    """Bytes as a stream."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        taken, self._raw = self._raw[:size], self._raw[size:]
        return taken


def found(rows: dict[str, Any], name: str, what: str) -> Any:
    """Return what is kept under a name; raises Problem."""
    if name not in rows:
        raise Problem(404, f"No such {what} object: {name}", "not_found")
    return rows[name]


def keep(rows: dict[str, Any], name: str, row: Any) -> None:
    """Keep something, and no more than the last thousand."""
    rows[name] = row
    if len(rows) > MOST:
        del rows[next(iter(rows))]


class Files:
    """Uploaded files, and those that batches leave behind."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Row, bytes]] = {}

    def add(self, purpose: str, name: str, content: bytes) -> Row:
        """Keep a file."""
        row: Row = {
            "id": f"file-{secrets.token_hex(12)}",
            "object": "file",
            "bytes": len(content),
            "created_at": int(time.time()),
            "expires_at": None,
            "filename": name,
            "purpose": purpose,
            "status": "processed",
            "status_details": None,
        }
        keep(self._kept, row["id"], (row, content))
        return row

    def content(self, name: str) -> bytes:
        """Return what a file holds; raises Problem."""
        content: bytes = found(self._kept, name, "File")[1]
        return content

    def answer(self, method: str, name: str) -> bytes:
        """Return what is told about a file, deleted if that was asked, or about all; raises Problem."""
        if not name:
            return orjson.dumps({"object": "list", "data": [row for row, _ in self._kept.values()][::-1], "has_more": False})
        row, _ = found(self._kept, name, "File")
        if method == "DELETE":
            del self._kept[name]
            return orjson.dumps({"id": name, "object": "file", "deleted": True})
        return orjson.dumps(row)


class Batches:
    """Batches as OpenAI has them."""

    def __init__(self, files: Files, answer: Answer) -> None:
        self._files, self._answer = files, answer
        self._kept: dict[str, Row] = {}

    def create(self, fields: dict[str, Any]) -> bytes:
        """Begin a batch of a file; raises Problem."""
        self._files.content(str(fields.get("input_file_id")))
        now = int(time.time())
        row = {
            "id": f"batch_{secrets.token_hex(12)}",
            "object": "batch",
            "endpoint": fields.get("endpoint"),
            "errors": None,
            "input_file_id": fields["input_file_id"],
            "completion_window": fields.get("completion_window") or "24h",
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": now,
            "expires_at": now + DAY_S,
            "completed_at": None,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": fields.get("metadata"),
        }
        keep(self._kept, row["id"], row)
        return orjson.dumps(row)

    def look(self, name: str) -> bytes:
        """Return what is told about a batch, worked at if it waits for that, or about all; raises Problem."""
        if not name:
            return orjson.dumps({"object": "list", "data": list(self._kept.values())[::-1], "has_more": False})
        row = found(self._kept, name, "Batch")
        if row["status"] in ("validating", "in_progress"):
            lines = self._lines(row)
            fate = lines[0]["custom_id"] if lines else ""
            row["request_counts"]["total"] = len(lines)
            if fate.startswith("sim-wait"):
                row["status"] = "in_progress"
            elif fate.startswith("sim-fail") or not lines:
                row |= {"status": "failed", "errors": {"object": "list", "data": [{"code": "simulated", "message": "Simulated.", "line": 1}]}}
            elif fate.startswith("sim-expire"):
                self._end(row, lines, "expired", len(lines) // 2)
            else:
                self._end(row, lines, "completed", len(lines))
        return orjson.dumps(row)

    def cancel(self, name: str) -> bytes:
        """Cancel a batch, half done; raises Problem."""
        row = found(self._kept, name, "Batch")
        if row["status"] not in ("validating", "in_progress"):
            raise Problem(409, f"Cannot cancel a batch with status '{row['status']}'.", "invalid_request")
        lines = self._lines(row)
        self._end(row, lines, "cancelled", len(lines) // 2)
        return orjson.dumps(row)

    def _lines(self, row: Row) -> list[Row]:
        return [orjson.loads(line) for line in self._files.content(row["input_file_id"]).splitlines() if line.strip()]

    def _end(self, row: Row, lines: list[Row], status: str, done: int) -> None:
        """Answer the first requests; the others end with the batch."""
        answered, refused = list[Row](), list[Row]()
        for place, line in enumerate(lines):
            told: Row = {"id": f"batch_req_{secrets.token_hex(8)}", "custom_id": line["custom_id"], "response": None, "error": None}
            if place >= done:
                refused.append({**told, "error": {"code": f"batch_{status}", "message": "This request could not be executed."}})
                continue
            code, body = self._answer(line["url"], line["body"])
            told["response"] = {"status_code": code, "request_id": secrets.token_hex(8), "body": orjson.Fragment(body)}
            (answered if code == 200 else refused).append(told)
        row |= {"status": status, f"{status}_at": int(time.time())}
        row["request_counts"] |= {"total": len(lines), "completed": len(answered), "failed": len(refused)}
        for name, rows in (("output", answered), ("error", refused)):
            if rows:
                content = b"".join(orjson.dumps(each) + b"\n" for each in rows)
                row[f"{name}_file_id"] = self._files.add("batch_output", f"{row['id']}_{name}.jsonl", content)["id"]


class MessageBatches:
    """Batches as Anthropic has them."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._kept: dict[str, tuple[Row, list[Row], list[Row]]] = {}

    def create(self, fields: dict[str, Any]) -> bytes:
        """Begin a batch; raises Problem."""
        asks = fields.get("requests")
        if not isinstance(asks, list) or not asks or not all(isinstance(ask, dict) and isinstance(ask.get("params"), dict) for ask in asks):
            raise Problem(400, "requests: Field required")
        now = datetime.now(UTC)
        row: Row = {
            "id": f"msgbatch_{secrets.token_hex(12)}",
            "type": "message_batch",
            "processing_status": "in_progress",
            "request_counts": {"processing": len(asks), "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
            "ended_at": None,
            "created_at": now.isoformat(),
            "expires_at": (now + timedelta(days=1)).isoformat(),
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": None,
        }
        keep(self._kept, row["id"], (row, asks, []))
        return orjson.dumps(row)

    def look(self, name: str, origin: str) -> bytes:
        """Return what is told about a batch, worked at if it waits for that, or about all; raises Problem."""
        if not name:
            rows = [row for row, _, _ in self._kept.values()][::-1]
            return orjson.dumps({"data": rows, "has_more": False, "first_id": None, "last_id": None})
        row, asks, results = found(self._kept, name, "message batch")
        fate = str(asks[0]["custom_id"])
        if row["processing_status"] == "in_progress" and not fate.startswith("sim-wait"):
            done = len(asks) // 2 if fate.startswith("sim-expire") else 0 if fate.startswith("sim-fail") else len(asks)
            self._end(row, asks, results, "expired", done)
        if row["processing_status"] == "ended":
            row["results_url"] = f"{origin}/v1/messages/batches/{name}/results"
        return orjson.dumps(row)

    def cancel(self, name: str) -> bytes:
        """Cancel a batch, half done; raises Problem."""
        row, asks, results = found(self._kept, name, "message batch")
        if row["processing_status"] != "ended":
            row["cancel_initiated_at"] = datetime.now(UTC).isoformat()
            self._end(row, asks, results, "canceled", len(asks) // 2)
        return orjson.dumps(row)

    def delete(self, name: str) -> bytes:
        """Delete a batch that ended; raises Problem."""
        if found(self._kept, name, "message batch")[0]["processing_status"] != "ended":
            raise Problem(400, "A message batch in progress cannot be deleted.")
        del self._kept[name]
        return orjson.dumps({"id": name, "type": "message_batch_deleted"})

    def results(self, name: str) -> bytes:
        """Return what became of a batch's requests, a line each; raises Problem."""
        row, _, results = found(self._kept, name, "message batch")
        if row["processing_status"] != "ended":
            raise Problem(404, "The results are not there yet.")
        return b"".join(orjson.dumps(each) + b"\n" for each in results)

    def _end(self, row: Row, asks: list[Row], results: list[Row], otherwise: str, done: int) -> None:
        counts = dict.fromkeys(row["request_counts"], 0)
        for place, ask in enumerate(asks):
            kind, told = otherwise, dict[str, Any]()
            if place < done:
                code, body = self._answer("/v1/messages", ask["params"])
                kind, name = ("succeeded", "message") if code == 200 else ("errored", "error")
                told = {name: orjson.Fragment(body)}
            counts[kind] += 1
            results.append({"custom_id": ask["custom_id"], "result": {"type": kind, **told}})
        row |= {"processing_status": "ended", "ended_at": datetime.now(UTC).isoformat(), "request_counts": counts}
