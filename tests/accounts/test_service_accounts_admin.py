"""The admin's page of service accounts."""

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts.models import ServiceAccount, User
from accounts.service_accounts import find_by_token

pytestmark = pytest.mark.django_db
FIELDS = {"name": "Pipeline", "project": "", "business_unit": "", "expires_at_0": f"{timezone.now() + timedelta(days=90):%Y-%m-%d}", "expires_at_1": "00:00:00"}


@pytest.fixture
def browser() -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_user("it@example.com", "x" * 14, is_staff=True, role="it_admin"))
    return client


def test_a_token_is_shown_once_and_works(browser: Client) -> None:
    page = browser.post("/admin/accounts/serviceaccount/add/", {**FIELDS, "scopes": ["keys:read", "calls:read"]})
    (token,) = re.findall(r"sgw_sa_\w{49}", page.content.decode())
    found = find_by_token(token.encode(), settings.KEY_PEPPERS)
    row = ServiceAccount.objects.get()
    assert (found, row.scopes, str(row.created_by), "no-store" in page.headers["Cache-Control"]) == (row, ["keys:read", "calls:read"], "it@example.com", True)
    listing = browser.get("/admin/accounts/serviceaccount/").content.decode()
    assert (token in listing, "the whole platform" in listing) == (False, True)


def test_a_service_account_is_revoked_for_good(browser: Client) -> None:
    browser.post("/admin/accounts/serviceaccount/add/", {**FIELDS, "scopes": ["keys:read"]})
    chosen = {"_selected_action": [ServiceAccount.objects.get().pk]}
    states = []
    for action in ("suspend", "resume", "revoke", "resume"):
        browser.post("/admin/accounts/serviceaccount/", {**chosen, "action": action})
        states.append(ServiceAccount.objects.get().state)
    assert states == ["suspended", "active", "revoked", "revoked"]


def test_scopes_are_those_there_are(browser: Client) -> None:
    page = browser.post("/admin/accounts/serviceaccount/add/", {**FIELDS, "scopes": ["everything:write"]})
    assert (page.status_code, ServiceAccount.objects.count()) == (200, 0)
