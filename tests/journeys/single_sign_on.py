"""A real OpenID provider and a copy of the product that trusts it, and people who come by it in a browser."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.fakes.oidc_provider import AUDIENCE, SECRET, RealProvider, oidc_provider
from tests.fakes.service import Service

SET_UP = """
from accounts import actions, groups
from accounts.models import GroupMapping, Membership, Project, User
project = Project.objects.filter(is_demo=True).order_by("name").first()
groups.save_mapping(GroupMapping(group="developers", project=project, place_role="developer"))
actions.save_user(User(email="grace@example.com", role="it_admin"), "a-long-enough-one")
"""


@contextmanager
def trusting(folder: Path) -> Iterator[tuple[RealProvider, Service]]:
    """Run both."""
    service = Service(folder / "data")
    with oidc_provider(folder / "provider", f"http://localhost:{service.port}") as told:
        service.environment |= {
            "SYMBIOSIS_OIDC_ISSUER": told.issuer,
            "SYMBIOSIS_OIDC_CLIENT_ID": "symbiosis",
            "SYMBIOSIS_OIDC_CLIENT_SECRET": SECRET,
            "SYMBIOSIS_OIDC_SCOPES": "openid email profile groups",
            "SYMBIOSIS_OIDC_AUDIENCE": AUDIENCE,
            "SYMBIOSIS_PRIVATE_ISSUERS": "loopback",
        }
        with service.running():
            service.change(SET_UP)
            yield told, service


def prove(page: Page, name: str) -> None:
    """Sign in at the provider and agree to what it asks."""
    page.fill("input[name=login]", name)
    page.fill("input[name=password]", "anything")
    page.click("button[type=submit]")
    page.locator("input[name=login]").wait_for(state="detached")
    page.wait_for_load_state()
    agree = page.get_by_role("button", name="Continue")
    if agree.is_visible():
        agree.click()


def agree(page: Page, service: Service) -> None:
    """Accept the acceptable-use policy where somebody new is asked to."""
    page.wait_for_url(re.compile(rf"http://localhost:{service.port}/(acceptable-use\?next=/)?$"))
    if "acceptable-use" in page.url:
        page.get_by_label("I have read this").check()
        page.get_by_role("button", name="Accept and go on").click()
        page.wait_for_url(f"http://localhost:{service.port}/onboarding")


def sign_in(browser: Browser, service: Service, name: str) -> Page:
    """Come to the portal in a fresh browser by single sign-on."""
    page = browser.new_page()
    page.set_default_timeout(20_000)
    page.goto(f"http://localhost:{service.port}/oidc/start")
    prove(page, name)
    return page
