"""Signing in with both steps in journeys, where the codes of one user must not repeat."""

import base64
import time
from typing import Any

from django_otp.oath import TOTP
from playwright.sync_api import Page

STEP_S = 30
_used: dict[str, int] = {}


def next_code(secret: str) -> str:
    """Return a code of a base32 secret that counts now and was not used by this process before; one step ahead of the clock is allowed."""
    step = max(int(time.time()) // STEP_S, _used.get(secret, 0) + 1)
    while step > int(time.time()) // STEP_S + 1:
        time.sleep(0.2)  # codes come with the clock alone
    _used[secret] = step
    clock = TOTP(base64.b32decode(secret), STEP_S)
    clock.time = step * STEP_S
    return f"{clock.token():06}"


def sign_in(page: Page, url: str, email: str, password: str, secret: str) -> None:
    """Open a page that asks to sign in, and go through both steps."""
    page.goto(url)
    page.fill("input[name=username]", email)
    page.fill("input[name=password]", password)
    page.click("main button[type=submit]")
    page.fill("input[name=code]", next_code(secret))
    page.click("main form:has(input[name=code]) button[type=submit]")


def sign_in_plainly(browser: Any, email: str, password: str, secret: str) -> Any:
    """Go through both steps with an HTTP client that keeps cookies and knows its base URL; return the last answer."""
    fields: dict[str, str] = {"username": email, "password": password}
    answer = browser.get("/login")
    for more in (fields, {"code": next_code(secret)}):
        token = answer.text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        answer = browser.post(answer.url.path, data={**more, "csrfmiddlewaretoken": token, "next": "/admin/"}, headers={"referer": str(answer.url)})
    return answer
