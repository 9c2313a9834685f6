"""IT automation against the started product: from a business unit to a call that stands in the list, and the page that explains the API."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.fakes.service import Service, wait_for
from tests.journeys.signing_in import sign_in

pytestmark = pytest.mark.journey
CHROMIUM = os.environ.get("SYMBIOSIS_CHROMIUM") or shutil.which("chromium")
SHOWN_WITHIN_S = 2.0


def look(page: Page, name: str) -> None:
    folder = os.environ.get("SYMBIOSIS_TEST_PICTURES")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png")


def test_a_new_key_under_a_new_budget_calls_and_the_call_is_listed(service: Service) -> None:
    headers = {"authorization": f"Bearer {service.demo['service_account']}"}
    with httpx.Client(base_url=f"{service.origin}/api/v1/", headers=headers, timeout=20) as api:

        def made(path: str, body: dict[str, Any]) -> Any:
            answer = api.post(path, json=body)
            assert answer.status_code == 201, answer.text
            return answer.json()

        unit = made("business-units", {"name": "Automated"})
        project = made("projects", {"name": "Automated", "business_unit": unit["id"]})
        key = made("keys", {"project": project["id"], "name": "backend", "models": ["*"]})
        budget = made("budgets", {"scope": {"project": project["id"]}, "mode": "hard", "period": "monthly", "amount": "12.50"})
        ask = {"model": "sim-chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 20}
        status, answered, _ = service.post("/v1/chat/completions", ask, key["key"])
        settled = time.monotonic()
        row = wait_for(lambda: api.get("calls", params={"key": key["id"]}).json()["data"], 10, "the call is listed")[0]
        took_s = time.monotonic() - settled
        assert (status, row["id"], row["model"], row["usage_source"], row["project"]) == (
            200, answered["x-request-id"], "sim-chat", "provider", project["id"],
        )  # fmt: skip
        assert took_s < SHOWN_WITHIN_S
        assert float(row["cost_usd"]) > 0 and row["output_tokens"] > 0
        shown = api.get(f"budgets/{budget['id']}").json()
        assert (shown["amount"], float(shown["remaining"]) <= 12.5) == ("12.50", True)
        api.post(f"keys/{key['id']}/revoke").raise_for_status()
        assert wait_for(lambda: service.post("/v1/chat/completions", ask, key["key"])[0] == 401, 5, "the revoked key is refused")


def test_a_virtual_key_does_not_manage(service: Service) -> None:
    answer = httpx.get(f"{service.origin}/api/v1/projects", headers={"authorization": f"Bearer {service.key}"}, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (401, "wrong_credential_kind")


def test_the_api_and_the_budgets_are_seen_in_a_browser(service: Service) -> None:
    problems: list[str] = []
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 900})
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.goto(f"{service.origin}/api/docs/")
        # made at the first look
        expect(page.get_by_text("Symbiosis Gateway management API")).to_be_visible(timeout=20_000)
        page.get_by_role("link", name="budgets", exact=True).click()
        expect(page.get_by_text("/api/v1/budgets", exact=True).first).to_be_visible()
        look(page, "api-docs")
        assert problems == []
        sign_in(page, f"{service.origin}/admin/", "admin@demo.local", service.demo["password"], service.demo["totp"]["admin"])
        expect(page.get_by_text("Calls, 24 h")).to_be_visible()
        page.goto(f"{service.origin}/admin/billing/budget/")
        expect(page.get_by_text("Sandbox, monthly")).to_be_visible()
        look(page, "budgets")
        page.get_by_text("Sandbox, monthly").click()
        expect(page.get_by_text("Raise for a time")).to_be_visible()
        look(page, "budget")
        page.goto(f"{service.origin}/admin/billing/creditaccount/")
        expect(page.get_by_text("$250.00")).to_be_visible()
        page.get_by_role("link", name="Sandbox credit").click()
        look(page, "credit")
        page.get_by_text("Grant credit").click()
        look(page, "grant")
        assert problems == []
        browser.close()
