"""A project with a budget of its own in the started product, and many callers at once under it."""

import asyncio
import uuid
from collections import Counter
from typing import Any

import httpx

from tests.fakes.service import Service

FLAT = "sim-flat"
SHOWN_S = 0.05


class Budgeted:
    """A key under one new budget, made through the management API."""

    def __init__(self, service: Service, amount: str | int, *, scope: str = "key", **more: Any) -> None:
        self.service = service
        self.api = httpx.Client(base_url=f"{service.origin}/api/v1/", headers={"authorization": f"Bearer {service.demo['service_account']}"}, timeout=30)
        name = f"unit {uuid.uuid4()}"
        self.unit = self.made("business-units", {"name": name})["id"]
        self.project = self.made("projects", {"name": name, "business_unit": self.unit})["id"]
        made = self.made("keys", {"project": self.project, "name": "budgeted", "models": ["*"]})
        self.key_id, self.key = made["id"], made["key"]
        place = {"key": self.key_id, "project": self.project, "business_unit": self.unit}[scope]
        self.budget = self.made("budgets", {"scope": {scope: place}, "mode": "hard", "period": "monthly", "amount": amount} | more)["id"]

    def made(self, path: str, body: dict[str, Any]) -> Any:
        """Create something and return it."""
        answer = self.api.post(path, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def figures(self) -> tuple[float, float, float]:
        """Return amount, spent and held of the current window in USD."""
        shown = self.api.get(f"budgets/{self.budget}").json()
        return float(shown["amount"]), float(shown["spent"]), float(shown["held"])


def ask(text: str, model: str = FLAT, **more: Any) -> dict[str, Any]:
    """Return the body of a call."""
    return {"model": model, "messages": [{"role": "user", "content": text}]} | more


async def many(budgeted: Budgeted, count: int, origins: list[str], **more: Any) -> tuple[list[httpx.Response], list[tuple[float, float, float]]]:
    """Make that many calls at once, spread over the origins, and sample the budget's figures all the while."""
    seen: list[tuple[float, float, float]] = []
    done = asyncio.Event()

    async def sample() -> None:
        while not done.is_set():
            seen.append(await asyncio.to_thread(budgeted.figures))
            await asyncio.sleep(SHOWN_S)

    sampler = asyncio.create_task(sample())
    limits = httpx.Limits(max_connections=400)
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {budgeted.key}"}, timeout=60, limits=limits) as client:
        calls = [client.post(f"{origins[number % len(origins)]}/v1/chat/completions", json=ask(f"call {number}", **more)) for number in range(count)]
        answers = await asyncio.gather(*calls)
    done.set()
    await sampler
    return answers, seen


def statuses(answers: list[httpx.Response]) -> dict[int, int]:
    """Return how often each status came."""
    return dict(Counter(answer.status_code for answer in answers))
