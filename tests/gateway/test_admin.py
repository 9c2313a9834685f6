"""The admin as a browser sees it: who may do what, keys shown once, credentials never."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions as account_actions
from accounts.models import BusinessUnit, Project, User, VirtualKey
from gateway import actions
from gateway.models import Deployment, ProviderAccount
from tests.fakes.listing import CREDENTIAL, listing_provider

pytestmark = pytest.mark.django_db
PAGES = (
    "index",
    "accounts_user_changelist",
    "accounts_user_add",
    "accounts_businessunit_changelist",
    "accounts_businessunit_add",
    "accounts_project_changelist",
    "accounts_project_add",
    "accounts_virtualkey_changelist",
    "accounts_virtualkey_add",
    "gateway_provideraccount_changelist",
    "gateway_provideraccount_add",
    "gateway_model_changelist",
    "gateway_model_add",
    "billing_price_changelist",
    "billing_usagerecord_changelist",
    "django_celery_beat_periodictask_changelist",
)
ACCOUNT_FORM = {
    "slug": "mine",
    "name": "Mine",
    "provider": "openai_compatible",
    "options": "{}",
    "state": "active",
    "transport": "own",
    "connect_timeout_ms": "5000",
    "first_byte_timeout_ms": "60000",
    "idle_timeout_ms": "60000",
    "total_timeout_ms": "600000",
    "max_parallel": "0",
}


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(account_actions.save_user(User(email=f"{role or 'nobody'}@example.com", role=role)))
    return client


@pytest.fixture
def admin() -> Client:
    """A browser of an IT administrator."""
    return signed_in("it_admin")


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """A running provider."""
    with listing_provider() as url:
        yield url


def made_account(origin: str) -> ProviderAccount:
    return actions.save_provider_account(
        ProviderAccount(slug="mine", name="Mine", provider="openai_compatible", base_url=f"{origin}/v1"), CREDENTIAL
    )


def project() -> Project:
    return account_actions.save_project(Project(name="p", business_unit=account_actions.save_business_unit(BusinessUnit(name="u"))))


def test_every_page_opens_for_an_administrator(admin: Client) -> None:
    assert {page: admin.get(reverse(f"admin:{page}")).status_code for page in PAGES} == dict.fromkeys(PAGES, 200)


def test_an_auditor_reads_and_changes_nothing(origin: str) -> None:
    auditor, account, own = signed_in("auditor"), made_account(origin), project()
    assert auditor.get(reverse("admin:gateway_provideraccount_change", args=[account.pk])).status_code == 200
    for page in (
        "accounts_user_add",
        "accounts_project_add",
        "accounts_virtualkey_add",
        "gateway_model_add",
        "gateway_provideraccount_add",
    ):
        assert auditor.get(reverse(f"admin:{page}")).status_code == 403
    assert auditor.post(reverse("admin:gateway_provideraccount_connect", args=[account.pk]), {"test": ""}).status_code == 403
    auditor.post(reverse("admin:accounts_project_changelist"), {"action": "suspend", "_selected_action": str(own.pk)})
    own.refresh_from_db()
    assert own.state == "active"


def test_a_stranger_is_sent_to_the_login() -> None:
    assert Client().get(reverse("admin:index")).headers["location"] == "/login?next=/admin/"
    refused = signed_in("").get(reverse("admin:index"))
    assert (refused.status_code, "You have no role that opens the admin" in refused.content.decode()) == (403, True)
    assert Client().get("/").headers["location"].endswith("?next=/")


def test_pages_carry_a_policy(admin: Client) -> None:
    strict, relaxed = Client().get("/"), admin.get("/admin/")
    assert ("unsafe" in strict.headers["content-security-policy"], "unsafe-eval" in relaxed.headers["content-security-policy"]) == (
        False,
        True,
    )
    assert (relaxed.headers["x-frame-options"], relaxed.headers["x-content-type-options"]) == ("DENY", "nosniff")


def test_a_new_key_is_shown_once(admin: Client) -> None:
    form = {"name": "app", "project": str(project().pk), "models": "*", "environment": "dev"}
    moment = timezone.now() + timedelta(days=9)
    answer = admin.post(reverse("admin:accounts_virtualkey_add"), form | {"expires_at_0": f"{moment:%Y-%m-%d}", "expires_at_1": "12:00:00"})
    key = VirtualKey.objects.get()
    shown = answer.content.decode().split('id="new-key">')[1].split("<")[0]
    assert (shown[:17], len(shown), "no-store" in answer.headers["cache-control"], key.created_by.email if key.created_by else "") == (
        f"sgw_vk_{key.public_id}",
        56,
        True,
        "it_admin@example.com",
    )
    for page in (reverse("admin:accounts_virtualkey_changelist"), reverse("admin:accounts_virtualkey_change", args=[key.pk])):
        assert shown not in admin.get(page).content.decode()


def test_a_key_without_expiry_or_with_an_unknown_model_is_refused(admin: Client) -> None:
    answer = admin.post(
        reverse("admin:accounts_virtualkey_add"), {"name": "app", "project": str(project().pk), "models": "gone", "environment": "dev"}
    )
    assert (
        VirtualKey.objects.count(),
        "Not in the catalogue: gone." in answer.content.decode(),
        "This field is required" in answer.content.decode(),
    ) == (0, True, True)


def test_bulk_actions_change_keys_and_projects(admin: Client) -> None:
    own = project()
    key, _ = actions.create_virtual_key(project=own, name="app", models=["*"], expires_at=timezone.now() + timedelta(days=1))
    states = []
    for action in ("suspend", "resume", "revoke", "resume"):
        admin.post(reverse("admin:accounts_virtualkey_changelist"), {"action": action, "_selected_action": str(key.pk)})
        key.refresh_from_db()
        states.append(key.state)
    admin.post(reverse("admin:accounts_project_changelist"), {"action": "suspend", "_selected_action": str(own.pk)})
    own.refresh_from_db()
    assert (states, own.state) == (["suspended", "active", "revoked", "revoked"], "suspended")


def test_an_account_is_created_tested_and_its_models_added(admin: Client, origin: str) -> None:
    answer = admin.post(reverse("admin:gateway_provideraccount_add"), ACCOUNT_FORM | {"base_url": f"{origin}/v1", "credential": CREDENTIAL})
    assert answer.status_code == 302
    page = reverse("admin:gateway_provideraccount_connect", args=[ProviderAccount.objects.get().pk])
    assert "works: 2 models found" in admin.post(page, {"test": ""}).content.decode()
    assert 'value="sim-chat"' in admin.post(page, {"discover": ""}).content.decode()
    assert admin.post(page, {"add": "", "models": ["sim-chat"]}).status_code == 302
    assert Deployment.objects.get().model.name == "sim-chat"


def test_a_changed_host_is_refused_in_the_form(admin: Client, origin: str) -> None:
    page = reverse("admin:gateway_provideraccount_change", args=[made_account(origin).pk])
    answer = admin.post(page, ACCOUNT_FORM | {"base_url": "http://127.0.0.1:9009/v1", "credential": ""})
    assert ("enter the credential again" in answer.content.decode(), ProviderAccount.objects.get().base_url) == (True, f"{origin}/v1")


@pytest.mark.django_db(transaction=True)
def test_the_credential_is_on_no_page_and_not_in_the_database_file(origin: str) -> None:
    from gateway.models import Revision

    Revision.objects.get_or_create(id=1)
    admin, account = signed_in("it_admin"), made_account(origin)
    texts = [admin.get(reverse("admin:gateway_provideraccount_change", args=[account.pk])).content]
    texts += [admin.get(reverse("admin:gateway_provideraccount_history", args=[account.pk])).content]
    texts += [admin.post(reverse("admin:gateway_provideraccount_connect", args=[account.pk]), {"test": ""}).content]
    texts += [admin.get(reverse(f"admin:{page}")).content for page in PAGES]
    if connection.vendor == "sqlite":
        name = Path(str(connection.settings_dict["NAME"]))
        texts += [path.read_bytes() for path in name.parent.glob(name.name + "*")]
    assert [CREDENTIAL.encode() in text for text in texts] == [False] * len(texts)
    assert connection.vendor != "sqlite" or any(b"mine" in text for text in texts[-3:])


def test_users_are_made_by_e_mail_with_a_role_and_a_strong_password(admin: Client) -> None:
    page = reverse("admin:accounts_user_add")
    admin.post(page, {"email": "New@Example.com", "role": "auditor", "is_active": "on", "new_password": "short"})
    assert not User.objects.filter(email="new@example.com").exists()
    admin.post(page, {"email": "New@Example.com", "role": "auditor", "is_active": "on", "new_password": "a-long-enough-one"})
    made = User.objects.get(email="new@example.com")
    assert (made.role, made.is_staff, made.check_password("a-long-enough-one")) == ("auditor", True, True)


def test_a_ring_is_refused_in_the_form(admin: Client) -> None:
    top = account_actions.save_business_unit(BusinessUnit(name="top"))
    low = account_actions.save_business_unit(BusinessUnit(name="low", parent=top))
    inline = {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}
    answer = admin.post(reverse("admin:accounts_businessunit_change", args=[top.pk]), {"name": "top", "parent": str(low.pk), **inline})
    top.refresh_from_db()
    assert ("cannot lie below itself" in answer.content.decode(), top.parent) == (True, None)


def test_moments_are_written_the_same_everywhere(admin: Client) -> None:
    own = project()
    actions.create_virtual_key(project=own, name="app", models=["*"], expires_at=timezone.now() + timedelta(days=1))
    VirtualKey.objects.update(expires_at=datetime(2030, 1, 2, 15, 4, 5, tzinfo=UTC))
    assert "2030-01-02 15:04:05" in admin.get(reverse("admin:accounts_virtualkey_changelist")).content.decode()


def test_a_new_key_is_not_asked_for_its_past(admin: Client) -> None:
    page = admin.get(reverse("admin:accounts_virtualkey_add")).content.decode()
    assert ("Expires at" in page, "Last used at" in page, "Created by" in page) == (True, False, False)
