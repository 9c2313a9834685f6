"""Somebody new, in a real browser: from single sign-on to the first call without an IT ticket, and from a refused call to one that passes."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.fakes.oidc_provider import RealProvider
from tests.fakes.service import Service, wait_for
from tests.journeys import signing_in
from tests.journeys.single_sign_on import agree, sign_in
from tests.journeys.test_admin import CHROMIUM, look

pytestmark = pytest.mark.journey
NELL = {"email": "nell@example.com", "email_verified": True, "name": "Nell New", "groups": []}
# A project where a rule does not decide, with nothing to spend.
BROKE = """
from accounts import actions
from accounts.models import BusinessUnit, Membership, Project, User
from billing.budgets import save_budget
from billing.models import Budget
project = actions.save_project(Project(name="Broke", environment="test", business_unit=BusinessUnit.objects.get(name="Digital"), is_listed=False))
actions.save_membership(Membership(user=User.objects.get(email="nell@example.com"), project=project, role="developer"))
save_budget(Budget(name="Nothing", project=project, mode="hard", period="total", amount=0))
"""


class Company:
    """Nell, who is new, and the demo's manager, each in a browser; every page they come to is looked at once."""

    def __init__(self, browser: Browser, service: Service, told: RealProvider) -> None:
        self.service, self.home, self.problems = service, f"http://localhost:{service.port}", []
        told.say({"nell": NELL})
        self.nell = self.watched(sign_in(browser, service, "nell"))
        self.nell.wait_for_url(re.compile("/acceptable-use"))
        self.see(self.nell, "policy")
        agree(self.nell, service)
        facts, self.boss = service.demo, browser.new_page()
        self.watched(self.boss).set_default_timeout(20_000)
        signing_in.sign_in(self.boss, f"{self.home}/approvals", facts["users"]["manager"], facts["password"], facts["totp"]["manager"])

    def watched(self, page: Page) -> Page:
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda message: self.problems.append(message.text) if message.type == "error" else None)
        return page

    def see(self, page: Page, name: str) -> None:
        """Have axe check a page once it is whole, and take its picture where pictures are kept."""
        page.wait_for_load_state()
        page.locator("h1").wait_for()
        page.locator("main").wait_for()
        found = Axe().run(page).response["violations"]
        self.problems += [f"{name}: {one['id']} {node['html'][:160]}" for one in found for node in one["nodes"]]
        look(page, f"onboarding-{name}")

    def ask(self, words: str) -> str:
        """Send the form that is open, its reason filled in; return the request's id."""
        self.nell.get_by_label("Reason", exact=True).fill(words)
        self.nell.get_by_role("button", name="What would become of it?").click()
        expect(self.nell.locator("#foreseen")).to_contain_text("To be approved by: managers of the unit")
        self.see(self.nell, words)
        self.nell.get_by_role("button", name="Send request").click()
        self.nell.wait_for_url(re.compile(r"/requests/[ac]rq_[0-9a-f]{32}$"))
        return self.nell.url.rsplit("/", 1)[1]

    def approve(self, request: str) -> float:
        """Have the manager approve a request from the inbox; return when they were told so, in seconds of the monotonic clock."""
        self.boss.goto(f"{self.home}/approvals")
        self.boss.locator(f"a[href$='{request}']").click()
        self.boss.wait_for_url(f"**/{request}")
        self.see(self.boss, "decision")
        self.boss.get_by_role("button", name="Approve").click()
        self.boss.get_by_text("Approved.").wait_for()
        return time.monotonic()

    def new_key(self, project: str, models: str) -> str:
        """Make a key in the portal and return what it shows this once."""
        self.nell.goto(f"{self.home}/keys/new")
        self.nell.get_by_label("Project", exact=True).select_option(label=project)
        self.nell.get_by_label("Name", exact=True).fill(f"{project} {models}")
        self.nell.get_by_label("Models", exact=True).fill(models)
        self.nell.get_by_label("For me alone").check()
        self.nell.get_by_role("button", name="Create key").click()
        return self.nell.locator("#new-key").input_value()

    def call(self, key: str, model: str) -> tuple[int, Any]:
        """Call a model; return status and body."""
        asked = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        status, _, body = self.service.post("/v1/chat/completions", asked, key=key)
        return status, body


@pytest.fixture
def company(provider: tuple[RealProvider, Service]) -> Iterator[Company]:
    told, service = provider
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield Company(browser, service, told)
        browser.close()


def test_somebody_new_gets_to_a_first_call_and_past_a_refused_one(company: Company, record_property: Any) -> None:
    nell, home, began = company.nell, company.home, time.monotonic()
    expect(nell.get_by_text("Sandbox of nell@example.com").first).to_be_visible()
    company.see(nell, "steps")

    nell.get_by_role("link", name="Ask to join a project").click()
    nell.get_by_label("Project", exact=True).select_option(label="Sandbox (Digital)")
    company.approve(company.ask("I build the assistant"))
    key = company.new_key("Sandbox", "sim-chat")
    assert company.call(key, "sim-chat")[0] == 200
    nell.goto(f"{home}/onboarding")
    expect(nell.get_by_text("Your first call has landed")).to_be_visible(timeout=20_000)
    company.see(nell, "landed")
    record_property("first_call_after_s", round(time.monotonic() - began, 1))

    status, body = company.call(key, "sim-claude")
    assert (status, body["error"]["code"]) == (403, "model_not_allowed")
    nell.goto(body["error"]["sgw"]["request_url"])
    company.approve(company.ask("It writes better"))
    wait_for(lambda: company.call(key, "sim-claude")[0] == 200, 20, "the model is open to the key")

    company.service.change(BROKE)
    key = company.new_key("Broke", "sim-chat")
    status, body = company.call(key, "sim-chat")
    assert (status, body["error"]["code"]) == (402, "budget_exceeded")
    nell.goto(body["error"]["sgw"]["request_url"])
    expect(nell.get_by_label("For", exact=True).locator("option:checked")).to_have_text("Broke (Digital)")
    nell.get_by_label("Amount (USD)").fill("3")
    approved_at = company.approve(company.ask("The load test"))
    wait_for(lambda: company.call(key, "sim-chat")[0] == 200, 60, "the credit is there")
    passed_after_s = round(time.monotonic() - approved_at, 2)
    record_property("credit_passes_after_s", passed_after_s)
    print(f"the same call passes {passed_after_s} s after its approval")
    assert company.problems == []
