"""What the door makes of a request's bytes: a Call."""

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.consumers import GatewayConsumer
from gateway.terms import Besides
from gateway.visitors import Visitor

SEARCHES = {"tools": [{"type": "web_search"}]}


async def _nothing(*_: Any) -> Any:
    raise AssertionError("the body was read before")


@pytest.mark.parametrize(
    ("path", "body", "besides"),
    [
        (b"/v1/chat/completions", {"model": "m", **SEARCHES}, None),
        (b"/v1/responses", {"model": "m", **SEARCHES, "max_tool_calls": 2}, Besides(2)),
        (b"/v1/messages", {"model": "m", **SEARCHES}, Besides(10, 0, 50_000)),
        (b"/v1beta/models/m:generateContent", {"tools": [{"googleSearch": {}}]}, Besides(10)),
        (b"/v1beta/models/m:streamGenerateContent", {"tools": [{"googleSearch": {}}]}, Besides(10)),
    ],
)
def test_what_a_request_asks_for_besides_its_answer_is_known_of_the_call(path: bytes, body: dict[str, Any], besides: Besides | None) -> None:
    worker: Any = SimpleNamespace(settings=SimpleNamespace(trusted_proxies=()))
    visitor = Visitor("POST", path, b"alt=sse", "1.1", [], ("127.0.0.1", 1), _nothing, _nothing, None, b"{}", None)
    call = GatewayConsumer(worker)._call(visitor, visitor.door, "", b"{}", body, "")
    assert (call.model, call.besides) == ("m", besides)
