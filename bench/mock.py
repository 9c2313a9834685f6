"""A very cheap OpenAI-speaking upstream for the bench, told by the prompt how to stream. Knows nothing of the gateway.

`[[bench chunks=16 pace_ms=5]]` anywhere in the body sets how many content chunks a stream has and the pause between them; the first one
leaves at once. `broken=1` cuts the stream half way. Every content chunk, and the one answer that is not streamed, holds MARK and the
moment it was sent, so that a load generator can count chunks and see how long they travelled.
"""

import argparse
import asyncio
import json
import os
import re
import time

import httptools
import uvloop

MARK = b"@chunk-of-the-bench@"
MOMENT = "0" * 19
PLAN = re.compile(rb"\[\[bench chunks=(\d+) pace_ms=(\d+)( broken=1)?\]\]")
STREAMED = re.compile(rb'"stream"\s*:\s*true')
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"x-request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n"
)
COMMON = {
    "id": "chatcmpl-bench",
    "created": 1_700_000_000,
    "model": "bench-mock",
    "system_fingerprint": "fp_bench",
}


def framed(payload: bytes) -> bytes:
    """Return one server-sent event as one HTTP chunk."""
    event = b"data: " + payload + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


def chunk(delta: object, finish: str | None) -> bytes:
    """Return the JSON of one streamed chunk."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return json.dumps(
        {"object": "chat.completion.chunk", **COMMON, "choices": [choice]},
        separators=(",", ":"),
    ).encode()


def usage(output_tokens: int) -> dict[str, int]:
    """Return the usage block for so many output tokens."""
    return {
        "prompt_tokens": 250,
        "completion_tokens": output_tokens,
        "total_tokens": 250 + output_tokens,
    }


def ending(chunks: int) -> bytes:
    """Return the finish chunk, the usage chunk, the terminal event and the end of the message."""
    last = {
        "object": "chat.completion.chunk",
        **COMMON,
        "choices": [],
        "usage": usage(chunks),
    }
    return framed(chunk({}, "stop")) + framed(json.dumps(last).encode()) + framed(b"[DONE]") + b"0\r\n\r\n"


def answer() -> tuple[bytes, bytes]:
    """Return an answer of about 1 kB in two pieces; the moment it is sent, 19 digits of nanoseconds, goes between them."""
    message = {
        "role": "assistant",
        "content": MARK.decode() + MOMENT + " benchmark words" * 30,
        "refusal": None,
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = json.dumps(
        {
            "object": "chat.completion",
            **COMMON,
            "choices": [choice],
            "usage": usage(120),
        }
    ).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\ncontent-length: %d\r\n\r\n" % len(body)
    before, after = body.split(MOMENT.encode())
    return head + before, after


BEFORE, AFTER = answer()
LEAD, TAIL = framed(chunk({"content": MARK.decode() + MOMENT + " word"}, None)).split(MOMENT.encode())


class Upstream(asyncio.Protocol):
    """One connection of the mock: reads a request, answers it as the prompt says."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.parser = httptools.HttpRequestParser(self)
        self.body = b""
        self.left = self.chunks = self.pace_ms = 0
        self.broken = False
        self.due_s = 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the transport; a running stream ends at its next step."""
        self.transport = None

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        """Start a new body."""
        self.body = b""

    def on_body(self, data: bytes) -> None:
        """Collect the body."""
        self.body += data

    def on_message_complete(self) -> None:
        """Answer at once, or start the stream."""
        if self.transport is None:
            return
        if not STREAMED.search(self.body):
            self.transport.write(b"%b%019d%b" % (BEFORE, time.monotonic_ns(), AFTER))
            return
        plan = PLAN.search(self.body)
        self.chunks, self.pace_ms = (int(plan[1]), int(plan[2])) if plan else (16, 0)
        self.broken = bool(plan and plan[3])
        self.left = self.chunks
        self.due_s = self.loop.time()
        self.transport.write(HEAD)
        self.step()

    def step(self) -> None:
        """Send the next chunk, or the end; the schedule is absolute, so a late step does not delay the ones after it."""
        while self.transport is not None and self.left:
            self.transport.write(b"%b%019d%b" % (LEAD, time.monotonic_ns(), TAIL))
            self.left -= 1
            if self.broken and self.left * 2 <= self.chunks:
                self.transport.abort()
                return
            if self.pace_ms:
                self.due_s += self.pace_ms / 1000
                self.loop.call_later(max(0.0, self.due_s - self.loop.time()), self.step)
                return
        if self.transport is not None:
            self.transport.write(ending(self.chunks))


async def listen(port: int = 0) -> asyncio.Server:
    """Listen on 127.0.0.1; port 0 takes a free one."""
    return await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=4096)


async def serve(port: int) -> None:
    """Serve until killed; prints the port taken as the first line."""
    server = await listen(port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--cpu", type=int, default=-1, help="pin to this core")
    asked = arguments.parse_args()
    if asked.cpu >= 0:
        os.sched_setaffinity(0, {asked.cpu})
    uvloop.run(serve(asked.port))
