"""Callers who leave: before the first byte, in the middle, at the end. The vendor is let go within a second, and there is one row."""

import asyncio
import json
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.service import Service, wait_for
from tests.fakes.upstream import EVENTS, JSON, Turn, Upstream

pytestmark = pytest.mark.journey

LEAVES_WITHIN_S = 1.0


async def by_path(turn: Turn) -> None:
    """Answer as the first part of the path says."""
    way = turn.request.path.split("/")[1]
    if way == "silent":
        await turn.hang()
    elif way == "half":
        await turn.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n" + JSON[:40])
        await turn.hang()
    elif way == "talking":
        await turn.start_stream()
        while not turn.is_closed:
            await turn.chunk(EVENTS[0])
            await asyncio.sleep(0.02)
    elif way == "pausing":
        await turn.start_stream()
        await turn.chunk(EVENTS[0])
        await turn.hang()
    else:
        await turn.start_stream()
        for event in EVENTS:
            await turn.chunk(event)
        await turn.chunk(b"")


@pytest.fixture(scope="module")
def vendor(service: Service) -> Iterator[Upstream]:
    """The scripted vendor, behind one model for every way it answers."""
    with Upstream(script=by_path) as upstream:
        ways = ("silent", "half", "talking", "pausing", "whole-stream")
        service.add_models({f"le-{way}": [{"provider": "openai_compatible", "base_url": f"{upstream.url}/{way}"}] for way in ways})
        yield upstream


def call(service: Service, model: str, *, stream: bool, mark: str) -> socket.socket:
    """Send a whole chat call and return its connection."""
    body = json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello"}]}).encode()
    lines = (
        "POST /v1/chat/completions HTTP/1.1",
        f"host: 127.0.0.1:{service.port}",
        f"authorization: Bearer {service.key}",
        "content-type: application/json",
        f"x-request-id: {mark}",
        f"content-length: {len(body)}",
    )
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=10)
    connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    return connection


def leave(connection: socket.socket, *, reset: bool) -> float:
    """Close a connection, politely or with RST, and return the moment."""
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return time.monotonic()


def one_row(service: Service, mark: str) -> dict[str, Any]:
    """Return the one row of a call by the caller's own id."""
    rows: list[dict[str, Any]] = wait_for(lambda: service.rows(f"client_request_id = '{mark}'"), 10, "a row of the call")
    service.row_of(service.post("/v1/chat/completions", {"model": "sim-chat", "messages": [{"role": "user", "content": "a later row"}]})[1]["x-request-id"])
    assert len(service.rows(f"client_request_id = '{mark}'")) == 1
    return rows[0]


def let_go(vendor: Upstream, closed_before: int, left_at: float) -> float:
    """Return how many seconds after the caller the vendor's connection was closed."""
    vendor.wait_closed(closed_before + 1, 5)
    return vendor.closed_at[closed_before] - left_at


@pytest.mark.parametrize("reset", [False, True], ids=["closes", "resets"])
@pytest.mark.parametrize(("way", "stream"), [("silent", False), ("silent", True), ("half", False)])
def test_a_caller_who_leaves_before_the_first_byte(service: Service, vendor: Upstream, way: str, stream: bool, reset: bool) -> None:
    mark = f"before-{way}-{stream}-{reset}"
    asked, closed = len(vendor.requests), len(vendor.closed_at)
    connection = call(service, f"le-{way}", stream=stream, mark=mark)
    vendor.wait_requests(asked + 1)
    assert let_go(vendor, closed, leave(connection, reset=reset)) < LEAVES_WITHIN_S
    row = one_row(service, mark)
    assert (row["outcome"], row["error_code"], row["status"], row["usage_source"]) == ("aborted", "client_closed_request", 499, "estimated")
    # what had come of half an answer is counted, if it came before the caller left: 40 bytes, four to a token
    assert (row["input_tokens"] > 0, row["output_tokens"] in ({0, 10} if way == "half" else {0}), row["cost_nanousd"] > 0) == (True, True, True)


@pytest.mark.parametrize("reset", [False, True], ids=["closes", "resets"])
@pytest.mark.parametrize("way", ["talking", "pausing"])
def test_a_caller_who_leaves_in_the_middle(service: Service, vendor: Upstream, way: str, reset: bool) -> None:
    mark = f"middle-{way}-{reset}"
    closed = len(vendor.closed_at)
    connection = call(service, f"le-{way}", stream=True, mark=mark)
    heard = b""
    while b"hel" not in heard:
        heard += connection.recv(65_536)
    assert let_go(vendor, closed, leave(connection, reset=reset)) < LEAVES_WITHIN_S
    row = one_row(service, mark)
    assert (row["outcome"], row["error_code"], row["usage_source"]) == ("aborted", "client_closed_request", "estimated")
    assert (row["input_tokens"] > 0, row["output_tokens"] > 0, row["cost_nanousd"] > 0) == (True, True, True)


@pytest.mark.parametrize("reset", [False, True], ids=["closes", "resets"])
def test_a_caller_who_leaves_at_the_end_has_a_settled_call(service: Service, vendor: Upstream, reset: bool) -> None:
    mark = f"end-{reset}"
    connection = call(service, "le-whole-stream", stream=True, mark=mark)
    heard = b""
    while b"[DONE]" not in heard:
        heard += connection.recv(65_536)
    leave(connection, reset=reset)
    row = one_row(service, mark)
    found = (row["outcome"], row["status"], row["usage_source"], row["input_tokens"], row["output_tokens"])
    assert found == ("ok", 200, "provider", 7, 2)


@pytest.mark.usefixtures("vendor")
def test_a_caller_who_leaves_while_sending_makes_no_call_and_no_row(service: Service) -> None:
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=10)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {service.key}\r\nx-request-id: half-sent\r\ncontent-length: 100\r\n\r\n"
    connection.sendall(head.encode() + b'{"model"')
    leave(connection, reset=False)
    service.row_of(service.post("/v1/chat/completions", {"model": "sim-chat", "messages": [{"role": "user", "content": "a later row"}]})[1]["x-request-id"])
    assert service.rows("client_request_id = 'half-sent'") == []


def test_many_callers_leave_and_nothing_stays_behind(service: Service, vendor: Upstream) -> None:
    asked, closed = len(vendor.requests), len(vendor.closed_at)
    connections = [call(service, "le-silent", stream=bool(number % 2), mark=f"many-{number}") for number in range(40)]
    vendor.wait_requests(asked + 40, 10)
    left_at = time.monotonic()
    for connection in connections:
        leave(connection, reset=False)
    vendor.wait_closed(closed + 40, 5)
    assert max(vendor.closed_at[closed:]) - left_at < LEAVES_WITHIN_S
    rows = wait_for(lambda: len(found := service.rows("client_request_id LIKE 'many-%'", "outcome")) == 40 and found, 10, "forty rows")
    assert {row["outcome"] for row in rows} == {"aborted"}
    metrics = service.get("/metrics")[1]
    assert [line for line in metrics.splitlines() if line.startswith("sgw_in_flight")] != []
    wait_for(lambda: in_flight(service) == 0, 5, "nothing is in flight")


def in_flight(service: Service) -> float:
    """Return how many calls the workers say they carry."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in service.get("/metrics")[1].splitlines() if line.startswith("sgw_in_flight"))


@pytest.mark.usefixtures("vendor")
def test_a_caller_who_does_not_read_holds_up_nobody(service: Service) -> None:
    """A stream nobody reads is not gathered in memory without end: the vendor is slowed down instead."""
    body = {"model": "sim-chat", "stream": True, "messages": [{"role": "user", "content": "[[sim: endless]]"}]}
    raw = json.dumps(body).encode()
    idle = socket.socket()
    idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    idle.connect(("127.0.0.1", service.port))
    idle.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-request-id: not-reading\r\ncontent-type: application/json\r\n"
        + f"authorization: Bearer {service.key}\r\ncontent-length: {len(raw)}\r\n\r\n".encode()
        + raw
    )
    assert idle.recv(100).startswith(b"HTTP/1.1 200")
    before = service.worker_rss_bytes()
    for _ in range(10):
        assert service.post("/v1/chat/completions", {"model": "sim-chat", "messages": [{"role": "user", "content": "hello"}]})[0] == 200
    assert service.worker_rss_bytes() - before < 20_000_000
    leave(idle, reset=False)
    row = one_row(service, "not-reading")
    assert (row["outcome"], row["usage_source"]) == ("aborted", "estimated")

