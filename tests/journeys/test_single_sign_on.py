"""People of a real OpenID provider, in a real browser: in by single sign-on, roles by group, out again; their access tokens on the data plane."""

import base64
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.fakes.oidc_provider import AUDIENCE, PROGRAM, PROGRAM_BACK, RealProvider
from tests.fakes.service import Service, wait_for
from tests.journeys.single_sign_on import agree, prove, sign_in

pytestmark = pytest.mark.journey

CHROMIUM = os.environ.get("SYMBIOSIS_CHROMIUM") or shutil.which("chromium")
ADA = {"email": "ada@example.com", "email_verified": True, "name": "Ada Lovelace"}
ASKED = {"model": "sim-chat", "messages": [{"role": "user", "content": "Hello"}]}
DEACTIVATE = """
from accounts import actions
from accounts.models import User
actions.set_users_active(list(User.objects.filter(email="ada@example.com")), False)
"""


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def look(page: Page, name: str) -> None:
    """Keep a picture where SYMBIOSIS_TEST_PICTURES says, if it says."""
    folder = os.environ.get("SYMBIOSIS_TEST_PICTURES")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png")


def roles_of(service: Service, email: str) -> set[str]:
    rows = service.query(f"SELECT m.role FROM accounts_membership m JOIN accounts_user u ON u.id = m.user_id WHERE u.email = '{email}'")
    return {row["role"] for row in rows}


def refusals(service: Service) -> list[str]:
    rows = service.query("SELECT texts FROM accounts_auditevent WHERE action = 'session.sign-in' AND outcome = 'refused' ORDER BY seq")
    return [json.loads(row["texts"])["reason"]["value"] for row in rows]


def access_token(context: BrowserContext, told: RealProvider, name: str) -> str:
    """Have a command-line program get an access token for our API, as RFC 8252 says."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "client_id": PROGRAM, "response_type": "code", "scope": "openid", "redirect_uri": PROGRAM_BACK, "resource": AUDIENCE, "state": "s",
        "nonce": "n", "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    page = context.new_page()
    page.goto(str(httpx.URL(f"{told.issuer}/auth", params=asked)))
    with page.expect_request(re.compile(re.escape(PROGRAM_BACK))) as back:
        prove(page, name)
    form = {"grant_type": "authorization_code", "client_id": PROGRAM, "redirect_uri": PROGRAM_BACK, "code_verifier": verifier, "resource": AUDIENCE}
    answer = httpx.post(f"{told.issuer}/token", data={**form, "code": httpx.URL(back.value.url).params["code"]}).json()
    return str(answer["access_token"])


def test_people_come_by_single_sign_on_hold_what_their_groups_give_and_leave(provider: tuple[RealProvider, Service], browser: Browser) -> None:
    told, service = provider
    told.say({"ada": {**ADA, "groups": ["developers"]}, "grace": {"email": "grace@example.com", "email_verified": True, "name": "Not Grace"}})
    page = sign_in(browser, service, "ada")
    agree(page, service)
    expect(page.get_by_text("ada@example.com").first).to_be_visible()
    look(page, "signed-in")
    assert roles_of(service, "ada@example.com") == {"developer"}

    taken = sign_in(browser, service, "grace")
    expect(taken.get_by_role("heading", name="You are not signed in")).to_be_visible()
    look(taken, "refused")
    assert refusals(service) == ["account_exists"]

    told.say({"ada": {**ADA, "groups": []}})
    again = sign_in(browser, service, "ada")
    again.wait_for_url(f"http://localhost:{service.port}/")
    assert roles_of(service, "ada@example.com") == set()

    page.evaluate(
        """() => {
            const form = document.createElement('form');
            Object.assign(form, {method: 'post', action: '/oidc/leave'});
            const token = document.createElement('input');
            Object.assign(token, {name: 'csrfmiddlewaretoken', value: JSON.parse(document.body.getAttribute('hx-headers'))['x-csrftoken']});
            form.append(token); document.body.append(form); form.submit();
        }"""
    )
    page.get_by_role("button", name="Yes, sign me out").click()
    page.wait_for_url(re.compile(rf"http://localhost:{service.port}/(admin/)?login"))
    page.goto(f"http://localhost:{service.port}/oidc/start")
    expect(page.locator("input[name=login]")).to_be_visible()


def test_an_access_token_calls_models_for_its_person_until_they_are_closed(provider: tuple[RealProvider, Service], browser: Browser) -> None:
    told, service = provider
    told.say({"ada": {**ADA, "groups": ["developers"]}})
    page = sign_in(browser, service, "ada")
    agree(page, service)
    token = access_token(browser.new_context(), told, "ada")
    person = service.query("SELECT id FROM accounts_user WHERE email = 'ada@example.com'")[0]["id"]

    status, headers, body = wait_for_answer(service, token)
    assert (status, body["choices"][0]["message"]["role"]) == (200, "assistant")
    row = service.row_of(headers["x-request-id"])
    assert (row["person"], row["key"][0], len(row["key"]), row["cost_nanousd"] > 0) == (person, "u", 16, True)
    assert httpx.get(f"{service.origin}/api/v1/projects", headers={"authorization": f"Bearer {token}"}).status_code == 200

    service.change(DEACTIVATE)
    status, _, body = service.post("/v1/chat/completions", ASKED, key=token)
    assert (status, body["error"]["code"]) == (403, "key_suspended")
    assert httpx.get(f"{service.origin}/api/v1/projects", headers={"authorization": f"Bearer {token}"}).status_code == 401
    page.goto(f"http://localhost:{service.port}/")
    assert "login" in page.url


def wait_for_answer(service: Service, token: str) -> tuple[int, dict[str, str], Any]:
    """Call until the keys of the provider have arrived: they are fetched within a minute, and at once for a token that needs them."""
    return wait_for(lambda: (answer := service.post("/v1/chat/completions", ASKED, key=token))[0] == 200 and answer, 10, "the token is taken")  # type: ignore[no-any-return]
