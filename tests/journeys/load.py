"""Callers of the real product in a background loop, who remember what was fully delivered to them."""

import asyncio
import json
import threading
from dataclasses import dataclass, field
from typing import Self

import httpx

from tests.fakes.service import Service


@dataclass
class Delivered:
    """What callers saw: ids of calls whose answer arrived whole, and how the others ended."""

    whole: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)


def chat(text: str, *, stream: bool = False, model: str = "sim-chat") -> dict[str, object]:
    """Return the body of a chat call."""
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}


async def call(client: httpx.AsyncClient, service: Service, body: dict[str, object], seen: Delivered) -> None:
    """Make one call and remember how it ended."""
    try:
        async with client.stream(
            "POST", service.base_url + "/chat/completions", json=body, headers={"authorization": f"Bearer {service.key}"}
        ) as answer:
            call_id = answer.headers.get("x-request-id", "")
            data = b"".join([part async for part in answer.aiter_bytes()])
            if answer.status_code != 200:
                seen.other.append(f"{answer.status_code} {data[:200]!r}")
            elif body["stream"] and not data.endswith(b"data: [DONE]\n\n"):
                seen.other.append(f"cut {call_id}")
            else:
                if not body["stream"]:
                    json.loads(data)
                seen.whole.append(call_id)
    except httpx.HTTPError as error:
        seen.other.append(type(error).__name__)


class Callers:
    """Some callers who call without a pause until told to stop."""

    def __init__(self, service: Service, count: int = 12) -> None:
        self.service, self.count = service, count
        self.seen = Delivered()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=self.count, max_keepalive_connections=self.count)
        async with httpx.AsyncClient(timeout=10, limits=limits) as client:
            await asyncio.gather(*(self._one(client, number) for number in range(self.count)))

    async def _one(self, client: httpx.AsyncClient, number: int) -> None:
        turn = 0
        while not self._stop.is_set():
            turn += 1
            stream = (number + turn) % 3 == 0
            text = f"hello {number} {turn} [[sim: tokens=12{' pace=5' if stream else ''}]]"
            before = len(self.seen.other)
            await call(client, self.service, chat(text, stream=stream, model="sim-claude" if number % 4 == 0 else "sim-chat"), self.seen)
            if len(self.seen.other) > before:
                await asyncio.sleep(0.05)  # the product is down: try again a little later
