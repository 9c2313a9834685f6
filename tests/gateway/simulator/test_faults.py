"""Every fault directive, on the real socket."""

import json
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

CHAT = "/v1/chat/completions"
LIMIT_S = 10


def body(directive: str, stream: bool = False, **more: Any) -> dict[str, Any]:
    """Return a chat request that carries a directive."""
    return {"model": "sim-chat", "stream": stream, "messages": [{"role": "user", "content": f"go [[sim: {directive}]]"}], **more}


@contextmanager
def dialled(url: str, request: dict[str, Any], path: str = CHAT) -> Iterator[socket.socket]:
    """Send a request on a socket of its own."""
    address = urlsplit(url)
    payload = json.dumps(request).encode()
    with socket.create_connection((address.hostname, address.port), timeout=LIMIT_S) as connection:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer good\r\ncontent-length: {len(payload)}\r\n\r\n"
        connection.sendall(head.encode() + payload)
        yield connection


def drained(connection: socket.socket) -> tuple[bytes, bool]:
    """Return everything the socket gave, and whether it ended by a reset."""
    got = b""
    try:
        while data := connection.recv(65_536):
            got += data
    except ConnectionResetError:
        return got, True
    return got, False


def data_lines(text: str) -> list[str]:
    """Return what stands behind `data: ` in a stream."""
    return [line[6:] for line in text.splitlines() if line.startswith("data: ")]


@pytest.mark.parametrize("stream", [False, True])
def test_reset_before_the_answer(simulator_url: str, stream: bool) -> None:
    with dialled(simulator_url, body("reset=before", stream)) as connection:
        assert drained(connection) == (b"", True)


@pytest.mark.parametrize("stream", [False, True])
def test_reset_in_the_middle_comes_after_half_of_the_answer(simulator_url: str, stream: bool) -> None:
    with dialled(simulator_url, body("reset=mid tokens=20", stream)) as connection:
        got, reset = drained(connection)
    assert (got.startswith(b"HTTP/1.1 200 OK\r\n"), b"[DONE]" in got, reset) == (True, False, True)
    assert (got.count(b"data: ") == 12) is stream


@pytest.mark.parametrize("stream", [False, True])
def test_close_in_the_middle_is_an_ordinary_end_of_the_connection(simulator_url: str, stream: bool) -> None:
    with dialled(simulator_url, body("close=mid tokens=20", stream)) as connection:
        got, reset = drained(connection)
    assert (got.startswith(b"HTTP/1.1 200 OK\r\n"), b"[DONE]" in got, b"\r\n0\r\n\r\n" in got, reset) == (True, False, False, False)


def test_bytes_that_are_not_http(simulator_url: str) -> None:
    with dialled(simulator_url, body("garbage=http")) as connection:
        assert drained(connection) == (b"\x16\x03\x01\x00\xffthis is not HTTP\r\n\r\n", False)


@pytest.mark.parametrize(("where", "starts"), [("mid", b"HTTP/1.1 200 OK\r\n"), ("before", b"")])
def test_stall_leaves_the_client_waiting(simulator_url: str, where: str, starts: bytes) -> None:
    with dialled(simulator_url, body(f"stall={where} tokens=20", stream=True)) as connection:
        connection.settimeout(0.4)
        got = b""
        with suppress(TimeoutError):
            while data := connection.recv(65_536):
                got += data
            pytest.fail("the connection ended")
    assert (got.startswith(starts), got.count(b"data: ")) == (True, 12 if where == "mid" else 0)


def test_delay_and_pace_take_their_milliseconds(raw: httpx.Client) -> None:
    began_at = time.monotonic()
    raw.post(CHAT, json=body("delay=150"))
    delayed_s = time.monotonic() - began_at
    raw.post(CHAT, json=body("pace=20 tokens=10", stream=True))
    assert (delayed_s >= 0.15, time.monotonic() - began_at - delayed_s >= 0.2) == (True, True)


def test_garbage_in_a_body_and_in_a_stream(raw: httpx.Client) -> None:
    whole = raw.post(CHAT, json=body("garbage")).content
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        json.loads(whole)
    streamed = raw.post(CHAT, json=body("garbage", stream=True)).content
    assert (streamed.count(b"data: {not json \xff\xfe{]\x00\n\n"), streamed.endswith(b"data: [DONE]\n\n")) == (1, True)


def test_usage_can_be_missing_doubled_negative_or_text(raw: httpx.Client) -> None:
    asked = {"stream_options": {"include_usage": True}}

    def reported(directive: str) -> list[Any]:
        lines = data_lines(raw.post(CHAT, json=body(directive + " tokens=3", stream=True, **asked)).text)[:-1]
        return [chunk["usage"]["completion_tokens"] for chunk in map(json.loads, lines) if chunk.get("usage")]

    assert [reported(directive) for directive in ("no_usage", "usage_twice", "usage_negative", "usage_text")] == [[], [3, 3], [-3], ["3"]]
    assert "usage" not in raw.post(CHAT, json=body("no_usage")).json()


def test_usage_faults_on_the_anthropic_wire(raw: httpx.Client) -> None:
    def reported(directive: str) -> list[Any]:
        request = {"model": "sim-claude", "max_tokens": 9, "stream": True, "messages": body(directive + " tokens=3")["messages"]}
        chunks = map(json.loads, data_lines(raw.post("/v1/messages", json=request).text))
        return [chunk.get("usage", {}).get("output_tokens") for chunk in chunks if chunk["type"] == "message_delta"]

    assert [reported(directive) for directive in ("no_usage", "usage_twice", "usage_negative")] == [[None], [3, 3], [-3]]


def test_a_huge_line_is_one_event(raw: httpx.Client) -> None:
    lines = data_lines(raw.post(CHAT, json=body("huge_line=300000", stream=True)).text)
    assert max(len(json.loads(line)["choices"][0]["delta"].get("content") or "") for line in lines[:-1]) == 300_000
    assert len(raw.post(CHAT, json=body("huge_line=300000")).json()["choices"][0]["message"]["content"]) == 300_000


def test_split_utf8_comes_byte_by_byte_and_whole(simulator_url: str, raw: httpx.Client) -> None:
    with dialled(simulator_url, body("split_utf8 tokens=6", stream=True)) as connection:
        got = b""
        while not got.endswith(b"\r\n0\r\n\r\n"):
            got += connection.recv(65_536)
    chunks = got.split(b"\r\n\r\n", 1)[1]
    assert chunks.startswith(b"1\r\nd\r\n1\r\na\r\n1\r\nt\r\n")
    lines = data_lines(raw.post(CHAT, json=body("split_utf8 tokens=6", stream=True)).text)
    text = "".join(json.loads(line)["choices"][0]["delta"].get("content") or "" for line in lines[:-1])
    assert len(text.encode()) > len(text)


def test_an_endless_stream_goes_on_until_the_client_leaves(simulator_url: str) -> None:
    got = 0
    with dialled(simulator_url, body("endless", stream=True)) as connection:
        while got < 4_000_000:
            got += len(connection.recv(1 << 20))
    with httpx.Client(timeout=LIMIT_S) as client:
        assert client.get(simulator_url + "/healthz").json() == {"status": "ok"}


def test_a_gzip_bomb_is_small_on_the_wire(simulator_url: str) -> None:
    with dialled(simulator_url, body("gzip_bomb=8388608")) as connection:
        got = b""
        while not got.endswith(b"\r\n0\r\n\r\n"):
            got += connection.recv(65_536)
    head, _, chunks = got.partition(b"\r\n\r\n")
    assert (b"content-encoding: gzip" in head, len(got) < 20_000) == (True, True)
    packed = b""
    while not chunks.startswith(b"0\r\n"):
        size, _, chunks = chunks.partition(b"\r\n")
        packed, chunks = packed + chunks[: int(size, 16)], chunks[int(size, 16) + 2 :]
    assert len(zlib.decompress(packed, 31)) == 8_388_608


def test_redirect_and_html(raw: httpx.Client) -> None:
    moved = raw.post(CHAT, json=body("redirect"))
    assert (moved.status_code, moved.headers["location"]) == (302, "http://169.254.169.254/latest/meta-data/")
    page = raw.post(CHAT, json=body("html"))
    assert (page.status_code, page.headers["content-type"], page.text[:15]) == (200, "text/html; charset=utf-8", "<!doctype html>")


def test_an_error_inside_a_stream_ends_it(raw: httpx.Client) -> None:
    lines = data_lines(raw.post(CHAT, json=body("in_stream_error tokens=4", stream=True)).text)
    assert json.loads(lines[-1])["error"]["type"] == "server_error"
    assert "[DONE]" not in lines


def test_cut_ends_well_formed_but_too_early(raw: httpx.Client) -> None:
    lines = data_lines(raw.post(CHAT, json=body("cut tokens=20", stream=True)).text)
    assert (len(lines), json.loads(lines[-1])["choices"][0]["finish_reason"]) == (12, None)
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        raw.post(CHAT, json=body("cut")).json()


def test_carriage_returns_and_comments_in_a_stream(raw: httpx.Client) -> None:
    assert raw.post(CHAT, json=body("crlf tokens=3", stream=True)).content.endswith(b"data: [DONE]\r\n\r\n")
    assert raw.post(CHAT, json=body("comments tokens=3", stream=True)).content.count(b"\n: keep-alive\n\n") == 1


def test_a_huge_header(simulator_url: str) -> None:
    with dialled(simulator_url, body("huge_header=70000")) as connection:
        got = b""
        while b"\r\n\r\n" not in got:
            got += connection.recv(65_536)
    assert b"\r\nx-simulated-huge: " + b"x" * 70_000 + b"\r\n" in got


@pytest.mark.parametrize(("finish", "reason"), [("content_filter", "content_filter"), ("length", "length"), ("refusal", "stop")])
def test_a_finish_on_demand(raw: httpx.Client, finish: str, reason: str) -> None:
    choice = raw.post(CHAT, json=body(f"finish={finish}")).json()["choices"][0]
    assert (choice["finish_reason"], bool(choice["message"]["refusal"])) == (reason, finish == "refusal")


def test_reasoning_text_on_demand(raw: httpx.Client) -> None:
    message = raw.post(CHAT, json=body("reasoning_content", model="sim-reasoner")).json()["choices"][0]["message"]
    assert len(message["reasoning_content"]) > 40


def test_tools_called_by_directive(raw: httpx.Client) -> None:
    tools = [
        {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}} for name in ("alpha", "beta")
    ]
    calls = raw.post(CHAT, json=body("call=beta calls=3", tools=tools)).json()["choices"][0]["message"]["tool_calls"]
    assert [call["function"] for call in calls] == [{"name": "beta", "arguments": "{}"}] * 3


def test_echo_shows_what_arrived_but_no_credential(raw: httpx.Client) -> None:
    def echoed(directive: str) -> str:
        return str(
            raw.post(CHAT, json=body(directive, unknown_field=1), headers={"x-mark": "seen"}).json()["choices"][0]["message"]["content"]
        )

    headers = json.loads(echoed("echo=headers"))
    assert (echoed("echo"), json.loads(echoed("echo=body"))["unknown_field"]) == ("go", 1)
    assert (headers["x-mark"], headers["authorization"]) == ("seen", "present")


def test_a_directive_in_the_model_name_counts_too(raw: httpx.Client) -> None:
    answer = raw.post(CHAT, json={"model": "sim-chat[[sim: status=503]]", "messages": [{"role": "user", "content": "x"}]})
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "server_error")


def test_faults_reach_embeddings_too(raw: httpx.Client) -> None:
    limited = raw.post("/v1/embeddings", json={"model": "sim-embed", "input": "[[sim: status=429 retry_after=4]]"})
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "4")
    assert "usage" not in raw.post("/v1/embeddings", json={"model": "sim-embed", "input": "[[sim: no_usage]]"}).json()


@pytest.mark.parametrize(
    "directive", ["tokens=100001", "delay=600001", "status=99", "reset=never", "nonsense", "tokens=-1", "gzip_bomb=99999999999"]
)
def test_a_directive_out_of_bounds_is_refused(raw: httpx.Client, directive: str) -> None:
    answer = raw.post(CHAT, json=body(directive))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_directive")
