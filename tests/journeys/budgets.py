"""A project with a budget of its own in the started product, and many callers at once under it."""

import uuid
from typing import Any

import httpx

from tests.fakes.service import Service

FLAT = "sim-flat"


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
        # as usage rows name the key
        self.public_key = self.key.split("_")[2]
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
