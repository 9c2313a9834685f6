"""An administrator sets up a webhook in a real browser, sends a test message and sees it arrive."""

import pytest
from playwright.sync_api import expect, sync_playwright

from accounts.models import NotificationChannel
from gateway.models import Revision
from tests.accounts.notices import SECRET, tell, webhook
from tests.fakes.receiver import receiving
from tests.journeys.signing_in import sign_in
from tests.journeys.test_admin import CHROMIUM, administrator, look

pytestmark = pytest.mark.journey


@pytest.mark.django_db(transaction=True)
def test_an_administrator_sets_up_a_webhook(live_server) -> None:  # type: ignore[no-untyped-def]
    Revision.objects.get_or_create(id=1)
    secret = administrator()
    problems: list[str] = []
    with receiving() as receiver, sync_playwright() as player:
        webhook(receiver.url, "Another")
        tell(title="Budget Research of project Search has reached 80 %")
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        sign_in(page, f"{live_server.url}/admin/", "ada@example.com", "a-long-enough-one", secret)
        page.get_by_role("link", name="Notification channels").click()
        page.goto(f"{live_server.url}/admin/accounts/notificationchannel/add/")
        expect(page.locator("input[name=webhook_url]")).to_be_hidden()
        page.fill("input[name=name]", "Operations")
        page.select_option("select[name=kind]", "email")
        expect(page.locator("input[name=email_to]")).to_be_visible()
        expect(page.locator("input[name=secret]")).to_be_hidden()
        page.select_option("select[name=kind]", "webhook")
        expect(page.locator("input[name=email_to]")).to_be_hidden()
        page.fill("input[name=webhook_url]", receiver.url)
        page.fill("input[name=secret]", SECRET)
        look(page, "channel")
        page.get_by_role("button", name="Save and continue editing").click()
        page.get_by_role("button", name="Save and send a test message").click()
        expect(page.get_by_text("Operations: ok: 127.0.0.1 answered HTTP 200")).to_be_visible()
        look(page, "channels")
        page.goto(f"{live_server.url}/admin/accounts/outboxmessage/")
        expect(page.get_by_text("has reached 80 %")).to_be_visible()
        look(page, "outbox")
        browser.close()
        assert receiver.bodies()[0]["data"]["test"] is True
    assert (NotificationChannel.objects.filter(name="Operations").count(), problems) == (1, [])
