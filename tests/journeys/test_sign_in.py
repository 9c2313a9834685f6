"""Signing in in a real browser: an app set up from its code, a passkey made and used, every page clean for screen readers and without a script of its own."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from accounts.models import AuditEvent, Authenticator, Session, User
from accounts.signin.factors import passkeys_of
from gateway.models import Revision
from tests.accounts.signin.people import PASSWORD, person
from tests.journeys.signing_in import next_code
from tests.journeys.test_admin import CHROMIUM, look

pytestmark = pytest.mark.journey


class Visit:
    """A browser of one visitor that notes what goes wrong on its pages, and looks at each page twice: for axe and for a picture."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.url, self.page = url, browser.new_page(viewport={"width": 1280, "height": 900})
        self.problems: list[str] = []
        self.page.set_default_timeout(20_000)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda message: self._noted(message.text) if message.type == "error" else None)

    def _noted(self, text: str) -> None:
        if "status of 4" not in text:  # the browser's own word for answers that the test asks for
            self.problems.append(text)

    def see(self, name: str) -> None:
        """Check that the page is clean, once it is whole."""
        self.page.wait_for_load_state()
        self.page.locator("main").wait_for()
        found = Axe().run(self.page)
        self.problems += [f"{name}: {one['id']} {node['html'][:120]} {node['failureSummary']}" for one in found.response["violations"] for node in one["nodes"]]
        look(self.page, f"sign-in-{name}")

    def first_step(self, email: str, path: str = "/login") -> Page:
        """Give e-mail address and password."""
        self.page.goto(f"{self.url}{path}")
        self.page.fill("input[name=username]", email)
        self.page.fill("input[name=password]", PASSWORD)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        return self.page


def with_passkeys(page: Page) -> None:
    """Give the browser a virtual authenticator that holds passkeys and knows its owner's finger."""
    protocol = page.context.new_cdp_session(page)
    protocol.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }  # fmt: skip
    protocol.send("WebAuthn.addVirtualAuthenticator", {"options": options})


@pytest.fixture
def visit(live_server: Any) -> Any:
    Revision.objects.get_or_create(id=1)
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        visit = Visit(browser, live_server.url.replace("127.0.0.1", "localhost"))
        yield visit
        browser.close()
    assert "\n".join(visit.problems) == ""


@pytest.mark.django_db(transaction=True)
def test_an_administrator_sets_up_an_app_and_signs_in_with_it(visit: Visit) -> None:
    user = person("it_admin")
    page = visit.first_step(user.email, "/admin/")
    expect(page.get_by_role("heading", name="Set up an authenticator app")).to_be_visible()
    visit.see("authenticator")
    secret = page.inner_text("#secret")
    page.fill("input[name=code]", next_code(secret))
    page.get_by_role("button", name="Use this app").click()
    expect(page.get_by_role("heading", name="Your backup codes")).to_be_visible()
    backup = page.inner_text("#codes").split()
    visit.see("backup-codes")
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("Calls, 24 h")).to_be_visible()
    page.goto(f"{visit.url}/account")
    expect(page.get_by_text("10 left")).to_be_visible()
    visit.see("account")
    page.get_by_role("link", name="Change the password").click()
    expect(page.get_by_role("heading", name="Change the password")).to_be_visible()
    visit.see("password")
    page.goto(f"{visit.url}/account")
    page.get_by_role("button", name=user.email).click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    visit.see("login")
    visit.first_step(user.email, "/account")
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()
    visit.see("code")
    page.fill("input[name=code]", backup[3])
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("9 left")).to_be_visible()
    Session.objects.all().delete()
    for _ in range(5):
        visit.page.goto(f"{visit.url}/login")
        page.fill("input[name=username]", user.email)
        page.fill("input[name=password]", "not the password")
        page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("closed for 15 minutes")).to_be_visible()
    visit.see("locked")
    assert Authenticator.objects.get().user_id == user.pk


@pytest.mark.django_db(transaction=True)
def test_a_passkey_is_made_used_alone_and_as_second_step_renamed_and_removed(visit: Visit) -> None:
    user = person("auditor")
    page = visit.page
    with_passkeys(page)
    visit.first_step(user.email, "/account")
    page.get_by_role("link", name="Use a passkey instead").click()
    page.fill("input[name=name]", "Laptop")
    visit.see("new-passkey")
    page.get_by_role("button", name="Make a passkey").click()
    expect(page.get_by_text("Laptop is ready")).to_be_visible()
    page.fill("input[name=name]", "Blue key <b>")
    page.get_by_role("button", name="Rename Laptop").click()
    expect(page.get_by_label("Name of the passkey Blue key <b>")).to_be_visible()
    visit.see("passkeys")
    page.context.clear_cookies()
    page.goto(f"{visit.url}/login?next=/account")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_label("Name of the passkey Blue key <b>")).to_be_visible()
    expect(page.get_by_role("cell", name="passkey", exact=True)).to_be_visible()
    page.context.clear_cookies()
    visit.first_step(user.email, "/admin/")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("Calls, 24 h")).to_be_visible()
    page.goto(f"{visit.url}/login/confirm?next=/account")
    visit.see("confirm")
    page.get_by_role("button", name="Use a passkey").click()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove Blue key").click()
    expect(page.get_by_text("this is your last")).to_be_visible()
    assert passkeys_of(user).count() == 1
    passkeys_of(user).delete()
    page.context.clear_cookies()
    page.goto(f"{visit.url}/login")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("This passkey was not accepted")).to_be_visible()
    refused = AuditEvent.objects.filter(action="session.sign-in", outcome="refused").count()
    signed_in = [event.texts["how"]["value"] for event in AuditEvent.objects.filter(action="session.sign-in", outcome="done").order_by("seq")]
    assert (refused, signed_in, User.objects.count()) == (1, ["password", "passkey", "password and Blue key <b>"], 1)
