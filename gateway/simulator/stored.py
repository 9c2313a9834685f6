"""What the simulated vendor stores of its responses, the last thousand, in memory: found by id, and gone on from.

What is made in the background is done when it was looked at as often as `looks` says; until then it can be cancelled.
"""

from collections.abc import Callable
from typing import Any

import orjson

from gateway.simulator.problems import Problem
from gateway.simulator.responses_wire import items_of

MOST = 1_000
ENDED = (b"response.completed", b"response.incomplete")


class Stored:
    """Responses by id, each with the input items that led to it."""

    def __init__(self, has_conversation: Callable[[str], bool]) -> None:
        self._has_conversation = has_conversation
        # what was said in conversations, by their ids
        self._said: dict[str, list[dict[str, Any]]] = {}
        self._kept: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {}
        # how often one in the background is still to be looked at, and the events of one that is streamed
        self._looks: dict[str, int] = {}
        self._events: dict[str, list[bytes]] = {}

    def expanded(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return a request with the conversation it goes on from in front of its input, and stored items where it refers to them; raises Problem."""
        if isinstance(fields.get("input"), list):
            fields = {**fields, "input": [self._item(item) for item in fields["input"]]}
        previous, conversation = fields.get("previous_response_id"), _conversation_in(fields)
        if conversation:
            if not self._has_conversation(conversation):
                raise Problem(404, f"Conversation with id '{conversation}' not found.", None, "conversation")
            return {**fields, "input": [*self._said.get(conversation, ()), *items_of(fields)]}
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

    def worker(self, fields: dict[str, Any], looks: int) -> Callable[[bytes], bytes]:
        """Return what keeps an answer's body as one that is made in the background, and tells how it stands at first."""

        def work(said: bytes) -> bytes:
            response = {**orjson.loads(said), "background": True}
            self._keep(orjson.dumps(response), fields)
            self._looks[response["id"]] = looks
            return orjson.dumps(_standing(response, "queued"))

        return work

    def streamed(self, fields: dict[str, Any], events: list[bytes], looks: int) -> None:
        """Keep an answer that is made in the background and streamed, so that it can be streamed again."""
        for event in events:
            self._keep(event, fields)
        identity = orjson.loads(events[0].partition(b"\ndata: ")[2])["response"]["id"]
        self._looks[identity], self._events[identity] = looks, events

    def again(self, path: str, query: dict[str, str]) -> list[bytes]:
        """Return the events of a streamed answer behind the one last seen; raises Problem."""
        if path not in self._events:
            raise Problem(400, "This response cannot be streamed: it was not created with stream=true.", "invalid_request", "stream")
        after = query.get("starting_after", "-1")
        if not after.removeprefix("-").isdecimal():
            raise Problem(400, "Invalid type for 'starting_after': expected an integer.", "invalid_type", "starting_after")
        self._looks.pop(path, None)
        return self._events[path][int(after) + 1 :]

    def _keep(self, said: bytes, fields: dict[str, Any]) -> None:
        if said.startswith(b"event: "):
            name, _, data = said.partition(b"\ndata: ")
            if name.removeprefix(b"event: ") not in ENDED:
                return
            response = orjson.loads(data)["response"]
        else:
            response = orjson.loads(said)
        self._kept[response["id"]] = (response, items_of(fields))
        if conversation := _conversation_in(fields):
            self._said[conversation] = [*items_of(fields), *response["output"]]
        if len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]

    def answer(self, method: str, path: str) -> bytes:
        """Return what is stored under `{id}` or `{id}/input_items`, or that it is gone; raises Problem."""
        identity, _, rest = path.partition("/")
        if identity not in self._kept:
            raise Problem(404, f"Response with id '{identity}' not found.", "response_not_found")
        response, items = self._kept[identity]
        if (method, rest) == ("GET", ""):
            left = self._looks.pop(identity, 0)
            if left:
                self._looks[identity] = left - 1
                return orjson.dumps(_standing(response, "in_progress"))
            return orjson.dumps(response)
        if (method, rest) == ("DELETE", ""):
            del self._kept[identity]
            return orjson.dumps({"id": identity, "object": "response", "deleted": True})
        if (method, rest) == ("GET", "input_items"):
            rows = [{"id": f"item_{identity}_{place}", **item} for place, item in enumerate(items)][::-1]
            return orjson.dumps({"object": "list", "data": rows, "first_id": rows[0]["id"], "last_id": rows[-1]["id"], "has_more": False})
        if (method, rest) == ("POST", "cancel"):
            if self._looks.pop(identity, 0):
                self._kept[identity] = (_standing(response, "cancelled"), items)
            if response.get("background"):
                return orjson.dumps(self._kept[identity][0])
            raise Problem(400, "Cannot cancel a synchronous response.", "invalid_request")
        raise Problem(405, f"Not allowed to {method} on {rest}.", "method_not_supported")


def _conversation_in(fields: dict[str, Any]) -> str:
    """Return the id of the conversation a request belongs to, "" for none."""
    named = fields.get("conversation") or ""
    return str(named.get("id", "") if isinstance(named, dict) else named)


def _standing(response: dict[str, Any], status: str) -> dict[str, Any]:
    """Return a response as it is told of before it is done, or when it was cancelled."""
    return {**response, "status": status, "output": [], "usage": None, "incomplete_details": None}
