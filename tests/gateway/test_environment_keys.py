"""Provider keys of the environment under `make run`: accounts with priced models, nothing overwritten, no key of our own."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from billing.models import Price
from gateway import actions
from gateway.environment_keys import ALSO_NAMED, KNOWN, import_keys
from gateway.models import Deployment, ProviderAccount
from tests.fakes.listing import CREDENTIAL, listing_provider

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without provider keys."""
    for credential, url, options in KNOWN.values():
        for name in (credential, url, *options.values(), *ALSO_NAMED.values()):
            monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """A running provider."""
    with listing_provider() as url:
        yield url


def accounts() -> list[tuple[str, str, str, str, str]]:
    """Return what is stored of every account, with its credential in clear."""
    return [
        (account.slug, account.provider, account.base_url, account.state, actions.opened_credential(account))
        for account in ProviderAccount.objects.order_by("slug")
    ]


def test_without_keys_nothing_is_made() -> None:
    assert (import_keys(), accounts()) == ([], [])


def test_a_key_becomes_an_account_with_the_models_that_have_a_price(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    Price.objects.create(
        provider="openai", upstream_model="sim-chat", valid_from=datetime(2026, 1, 1, tzinfo=UTC), input_nanousd=1_000, output_nanousd=2_000,
        source=Price.Source.SEED,
    )  # fmt: skip
    monkeypatch.setenv("OPENAI_API_KEY", f" {CREDENTIAL} ")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{origin}/v1")
    assert import_keys() == ["Provider account openai is made from the environment with 1 models."]
    assert accounts() == [("openai", "openai", f"{origin}/v1", "active", CREDENTIAL)]
    assert list(Deployment.objects.values_list("model__name", "account__slug", "upstream_model")) == [("sim-chat", "openai", "sim-chat")]


def test_googles_key_has_two_names(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", CREDENTIAL)
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", origin)
    import_keys()
    assert accounts() == [("google", "google", origin, "active", CREDENTIAL)]


def test_existing_accounts_stay_as_they_are(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    kept = ProviderAccount(slug="openai", name="Ours", provider="openai", base_url=f"{origin}/kept", state="disabled")
    actions.save_provider_account(kept, "the-credential-of-old")
    monkeypatch.setenv("OPENAI_API_KEY", CREDENTIAL)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{origin}/v1")
    assert (import_keys(), accounts()) == ([], [("openai", "openai", f"{origin}/kept", "disabled", "the-credential-of-old")])


def test_a_second_start_makes_nothing_new(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CREDENTIAL)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{origin}/v1")
    assert [len(import_keys()) for _ in range(2)] == [1, 0]


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "ANTHROPIC_API_KEY"])
def test_a_key_of_the_gateway_itself_is_refused(monkeypatch: pytest.MonkeyPatch, origin: str, name: str) -> None:
    text = "sgw_vk_0123456789_" + "s" * 38
    monkeypatch.setenv(name, text)
    monkeypatch.setenv(name.replace("API_KEY", "BASE_URL"), f"{origin}/v1")
    assert import_keys() == [f"{name} is not used: This is a key of the gateway. Enter the provider's own credential."]
    assert accounts() == []


def test_the_gateways_own_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "settings", actions.settings.model_copy(update={"public_url": "http://localhost:8000"}))
    monkeypatch.setenv("OPENAI_API_KEY", CREDENTIAL)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1")
    assert import_keys() == ["OPENAI_API_KEY is not used: This is the gateway's own address. Enter the provider's."]
    assert accounts() == []


def test_azure_needs_its_endpoint_and_gets_its_version(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", CREDENTIAL)
    (refused,) = import_keys()
    assert (refused.startswith("AZURE_OPENAI_API_KEY is not used: "), CREDENTIAL in refused, accounts()) == (True, False, [])
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", f"{origin}/azure")
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-10-21")
    assert len(import_keys()) == 1
    assert (accounts()[0][:3], ProviderAccount.objects.get().options) == (("azure", "azure", f"{origin}/azure"), {"api_version": "2024-10-21"})


def test_a_provider_that_refuses_the_key_leaves_an_account_to_mend(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "no-longer-valid-credential")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{origin}/v1")
    assert import_keys() == [
        "Provider account openai is made from the environment, without models: The provider refuses the credential (HTTP 401). Enter a valid one."
    ]
    assert (accounts()[0][0], Deployment.objects.count()) == ("openai", 0)
