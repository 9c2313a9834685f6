"""An administrator's first minutes in a real browser: sign in, create a provider account, test it, put a model in the catalogue."""

import base64
import os
import secrets
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from accounts import actions as account_actions
from accounts.models import User
from accounts.signin.factors import store_authenticator
from gateway.models import Deployment, Revision
from tests.fakes.listing import CREDENTIAL, listing_provider
from tests.journeys.signing_in import sign_in

pytestmark = pytest.mark.journey
CHROMIUM = os.environ.get("SYMBIOSIS_CHROMIUM") or shutil.which("chromium")
# Playwright keeps an event loop in this thread; the ORM calls of the test itself are safe beside it.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"


def look(page: Page, name: str) -> None:
    """Keep a picture where SYMBIOSIS_TEST_PICTURES says, if it says."""
    folder = os.environ.get("SYMBIOSIS_TEST_PICTURES")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png")


def administrator() -> str:
    """Make an IT administrator with an authenticator app and return its secret in base32."""
    secret = secrets.token_bytes(20)
    store_authenticator(account_actions.save_user(User(email="ada@example.com", full_name="Ada", role="it_admin"), "a-long-enough-one"), secret, confirmed=True)
    return base64.b32encode(secret).decode()


@pytest.mark.django_db(transaction=True)
def test_an_administrator_connects_a_provider(live_server) -> None:  # type: ignore[no-untyped-def]
    Revision.objects.get_or_create(id=1)
    secret = administrator()
    problems: list[str] = []
    with listing_provider() as origin, sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        sign_in(page, f"{live_server.url}/admin/", "ada@example.com", "a-long-enough-one", secret)
        expect(page.get_by_text("Calls, 24 h")).to_be_visible()
        look(page, "overview")
        page.goto(f"{live_server.url}/admin/gateway/provideraccount/add/")
        page.fill("input[name=slug]", "mine")
        page.fill("input[name=name]", "Mine")
        page.select_option("select[name=provider]", "openai_compatible")
        page.fill("input[name=base_url]", f"{origin}/v1")
        page.fill("input[name=credential]", CREDENTIAL)
        look(page, "account")
        page.click("button[name=_continue], input[name=_continue]")
        page.get_by_role("link", name="Connection and models").click()
        page.get_by_role("button", name="Test connection").click()
        expect(page.get_by_text("mine works: 2 models found.")).to_be_visible()
        page.get_by_role("button", name="Discover models").click()
        page.check("input[value=sim-chat]")
        look(page, "connection")
        page.get_by_role("button", name="Add chosen models").click()
        expect(page.get_by_role("link", name="sim-chat")).to_be_visible()
        assert CREDENTIAL not in page.content()
        look(page, "models")
        page.get_by_role("link", name="sim-chat").click()
        expect(page.locator("input[name=name]")).to_have_value("sim-chat")
        look(page, "model")
        assert page.evaluate("document.documentElement.scrollWidth") == 1280  # fields beside each other that have no room lie on each other
        browser.close()
    assert (Deployment.objects.get().upstream_model, problems) == ("sim-chat", [])
