"""What the simulated vendor stores of its responses, the last thousand, in memory: found by id, and gone on from."""

from collections.abc import Callable
from typing import Any

import orjson

from gateway.simulator.problems import Problem
from gateway.simulator.responses_wire import items_of

MOST = 1_000
ENDED = (b"response.completed", b"response.incomplete")


class Stored:
    """Responses by id, each with the input items that led to it."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {}

    def expanded(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return a request with the conversation it goes on from in front of its input, and stored items where it refers to them; raises Problem."""
        if isinstance(fields.get("input"), list):
            fields = {**fields, "input": [self._item(item) for item in fields["input"]]}
        previous = fields.get("previous_response_id")
        if previous is None:
            return fields
        found = self._kept.get(str(previous))
        if found is None:
            raise Problem(400, f"Previous response with id '{previous}' not found.", "previous_response_not_found", "previous_response_id")
        response, items = found
        return {**fields, "input": [*items, *response["output"], *items_of(fields)]}

    def _item(self, item: Any) -> Any:
        if not isinstance(item, dict) or item.get("type") != "item_reference":
            return item
        for response, _ in self._kept.values():
            for said in response["output"]:
                if said["id"] == item.get("id"):
                    return said
        raise Problem(404, f"Item with id '{item.get('id')}' not found.", None, "input")

    def keeper(self, fields: dict[str, Any]) -> Callable[[bytes], bytes]:
        """Return what keeps an answer's body or last event as it passes."""

        def keep(said: bytes) -> bytes:
            if fields.get("store") is not False:
                self._keep(said, fields)
            return said

        return keep

    def _keep(self, said: bytes, fields: dict[str, Any]) -> None:
        if said.startswith(b"event: "):
            name, _, data = said.partition(b"\ndata: ")
            if name.removeprefix(b"event: ") not in ENDED:
                return
            response = orjson.loads(data)["response"]
        else:
            response = orjson.loads(said)
        self._kept[response["id"]] = (response, items_of(fields))
        if len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]

    def answer(self, method: str, path: str) -> bytes:
        """Return what is stored under `{id}` or `{id}/input_items`, or that it is gone; raises Problem."""
        identity, _, rest = path.partition("/")
        if identity not in self._kept:
            raise Problem(404, f"Response with id '{identity}' not found.", "response_not_found")
        response, items = self._kept[identity]
        if (method, rest) == ("GET", ""):
            return orjson.dumps(response)
        if (method, rest) == ("DELETE", ""):
            del self._kept[identity]
            return orjson.dumps({"id": identity, "object": "response", "deleted": True})
        if (method, rest) == ("GET", "input_items"):
            rows = [{"id": f"item_{identity}_{place}", **item} for place, item in enumerate(items)][::-1]
            return orjson.dumps({"object": "list", "data": rows, "first_id": rows[0]["id"], "last_id": rows[-1]["id"], "has_more": False})
        if (method, rest) == ("POST", "cancel"):
            raise Problem(400, "Cannot cancel a synchronous response.", "invalid_request")
        raise Problem(405, f"Not allowed to {method} on {rest}.", "method_not_supported")
