"""The admin's first page names what needs a hand, and leads to it."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditAnchor, BusinessUnit, Project, User
from gateway.attention import matters
from gateway.models import ProviderAccount
from tests.gateway.api.callers import person, service_account
from tests.gateway.api.company import key_of

pytestmark = pytest.mark.django_db


def it() -> User:
    return User.objects.get_or_create(email="first@example.com", role="it_admin")[0]


def test_nothing_is_said_where_nothing_is_wrong() -> None:
    assert matters(it()) == []


def test_what_expires_fails_or_waits_is_counted_once_with_its_list() -> None:
    project = Project.objects.create(name="P", business_unit=BusinessUnit.objects.create(name="U"))
    key_of(project, "k")
    service_account()
    ProviderAccount.objects.create(slug="one", name="One", provider="openai", base_url="https://x.example", checked_at=timezone.now(), check_result="HTTP 401")
    AuditAnchor.objects.create(id="1", name="file:///x", last_error="full", failing_since=timezone.now() - timedelta(days=1))
    assert [(matter.number, matter.words) for matter in matters(it())] == [
        (1, "provider accounts failed their last check"),
        (1, "provider accounts have no verification record"),
        (1, "keys expire within 14 days"),
        (1, "service accounts expire within 14 days"),
        (1, "audit anchors take no checkpoint"),
    ]
    client: Client = person("it_admin", "it").client
    page: Any = client.get("/admin/")
    assert ("keys expire within 14 days" in page.content.decode(), {client.get(matter.link).status_code for matter in matters(it())}) == (True, {200})
