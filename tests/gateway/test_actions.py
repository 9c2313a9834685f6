"""Provider accounts, catalogue and revision: what is stored, refused and published."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import actions as account_actions
from accounts.models import BusinessUnit, Project
from accounts.sealing import SealBroken
from gateway import actions
from gateway.discovery import ProbeFailed
from gateway.models import Change, Deployment, Model, ProviderAccount, Revision
from gateway.providers import shelf
from tests.fakes.listing import CREDENTIAL, listing_provider

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """A running provider."""
    with listing_provider() as url:
        yield url


def far() -> datetime:
    return timezone.now() + timedelta(days=30)


def account_at(base_url: str, credential: str = CREDENTIAL, **fields: str) -> ProviderAccount:
    values = {"slug": "mine", "name": "Mine", "provider": "openai_compatible", "base_url": base_url, **fields}
    return actions.save_provider_account(ProviderAccount(**values), credential)


def test_the_credential_is_sealed_and_bound_to_its_row(origin: str) -> None:
    account = account_at(f"{origin}/v1")
    stored = ProviderAccount.objects.get()
    assert (actions.opened_credential(stored), stored.credential_hint) == (CREDENTIAL, "…Zq81")
    assert CREDENTIAL.encode() not in bytes(stored.sealed_credential)
    stored.id = type(account.id)(int=1)
    with pytest.raises(SealBroken):
        actions.opened_credential(stored)


def test_a_new_host_needs_the_credential_again(origin: str) -> None:
    account = account_at(f"{origin}/v1")
    account.base_url = "http://localhost:9009/v1"
    with pytest.raises(ValidationError, match="enter the credential again"):
        actions.save_provider_account(account)
    account.base_url = f"{origin}/v2"
    assert actions.opened_credential(actions.save_provider_account(account)) == CREDENTIAL
    account.base_url = "http://localhost:9009/v1"
    assert actions.opened_credential(actions.save_provider_account(account, "another-credential")) == "another-credential"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"slug": "models"}, "slug"),
        ({"slug": "v1beta"}, "slug"),
        ({"slug": "UPPER"}, "slug"),
        ({"provider": "nobody"}, "provider"),
        ({"provider": "azure"}, "options"),
        ({"base_url": "http://169.254.169.254/v1"}, "base_url"),
        ({"base_url": "http://10.1.2.3/v1"}, "base_url"),
        ({"base_url": "http://user:pass@127.0.0.1/v1"}, "base_url"),
        ({"base_url": "ftp://127.0.0.1/v1"}, "base_url"),
        ({"base_url": "http://127.0.0.1:22/"}, "base_url"),
        ({"base_url": "http://[::ffff:10.0.0.1]/v1"}, "base_url"),
    ],
)
def test_nonsense_is_refused(fields: dict[str, str], named: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        account_at(**{"base_url": "http://127.0.0.1:9009/v1", **fields})
    assert (list(refusal.value.message_dict), ProviderAccount.objects.count()) == ([named], 0)


@pytest.mark.parametrize("credential", ["sgw_vk_0123456789_x", "two words", "kæy"])
def test_bad_credentials_are_refused_unseen(credential: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        account_at("http://127.0.0.1:9009/v1", credential)
    assert (list(refusal.value.message_dict), credential in str(refusal.value)) == (["credential"], False)


def test_the_own_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "settings", actions.settings.model_copy(update={"public_url": "http://localhost:8000"}))
    with pytest.raises(ValidationError, match="own address"):
        account_at("http://127.0.0.1:8000/v1")


def test_models_are_discovered_and_added(origin: str) -> None:
    account = account_at(f"{origin}/v1")
    assert actions.discover_models(account) == ["sim-chat", "sim-embed"]
    account.refresh_from_db()
    assert account.check_result == "ok: 2 models"
    assert [actions.add_models(account, ["sim-chat", "sim-embed"]) for _ in range(2)] == [2, 0]
    assert list(Deployment.objects.values_list("model__name", "model__kind", "account__slug")) == [
        ("sim-chat", "chat", "mine"),
        ("sim-embed", "embeddings", "mine"),
    ]


@pytest.mark.parametrize(
    ("path", "credential", "words"),
    [
        ("/v1", "wrong-credential", "refuses the credential (HTTP 401)"),
        ("/redirect", CREDENTIAL, "redirects (HTTP 302)"),
        ("/html", CREDENTIAL, "not with a list of models"),
        ("/huge", CREDENTIAL, "longer than 2 MiB"),
    ],
)
def test_failures_are_told_in_words_without_the_credential(origin: str, path: str, credential: str, words: str) -> None:
    account = account_at(origin + path, credential)
    with pytest.raises(ProbeFailed) as failure:
        actions.discover_models(account)
    account.refresh_from_db()
    assert (words in str(failure.value), credential in str(failure.value), account.check_result) == (True, False, str(failure.value))


def test_an_unreachable_provider_is_told() -> None:
    with listing_provider() as url:
        account = account_at(f"{url}/v1")
    with pytest.raises(ProbeFailed, match="cannot be reached"):
        actions.discover_models(account)


def test_every_change_raises_the_revision_and_a_check_does_not() -> None:
    def numbers() -> tuple[int, list[tuple[str, object]]]:
        return Revision.objects.get().number, list(Change.objects.order_by("number").values_list("kind", "object_id"))

    before = numbers()[0]
    unit = account_actions.save_business_unit(BusinessUnit(name="u"))
    project = account_actions.save_project(Project(name="p", business_unit=unit))
    key, _ = actions.create_virtual_key(project=project, name="app", models=["*"], expires_at=far())
    assert numbers() == (before + 3, [("structure", None), ("structure", None), ("key", key.pk)])
    key.last_used_at = far()
    key.save(update_fields=["last_used_at"])
    actions.record_check(account_at("http://127.0.0.1:9009/v1"), "ok")
    assert numbers()[0] == before + 4
    account_actions.set_key_state(key, "revoked")
    assert numbers()[1][-1] == ("key", key.pk)


def test_a_refused_change_leaves_no_revision() -> None:
    before = Revision.objects.get().number
    with pytest.raises(ValidationError), transaction.atomic():
        account_at("http://127.0.0.1:9009/v1")
        raise ValidationError("no")
    assert (Revision.objects.get().number, ProviderAccount.objects.count()) == (before, 0)


def test_keys_name_models_of_the_catalogue() -> None:
    actions.save_row(Model(name="sim-chat"))
    for names in (["sim-chat", "gone"], ["*", "sim-chat"], []):
        with pytest.raises(ValidationError):
            actions.check_key_models(names)
    actions.check_key_models(["sim-chat"])
    actions.check_key_models(["*"])


def test_the_database_refuses_nonsense() -> None:
    account = account_at("http://127.0.0.1:9009/v1")
    model = Model.objects.create(name="m")
    nonsense = [
        lambda: ProviderAccount.objects.filter(pk=account.pk).update(state="odd"),
        lambda: ProviderAccount.objects.filter(pk=account.pk).update(base_url="ftp://x"),
        lambda: Model.objects.create(name="M"),
        lambda: Deployment.objects.create(model=model, account=account, upstream_model=""),
        lambda: Deployment.objects.create(model=model, account=account, upstream_model="x", weight=0),
        lambda: Revision.objects.create(id=2),
    ]
    refused = 0
    for attempt in nonsense:
        try:
            with transaction.atomic():
                attempt()
        except IntegrityError:
            refused += 1
    assert refused == len(nonsense)


def test_options_are_those_an_account_needs_and_may_have() -> None:
    vertex, needed = shelf()["vertex"], {"project": "p", "location": "global"}
    for options in (needed, {**needed, "reads": "gs://shared/"}):
        actions.check_options(vertex, options)
    for wrong in ({"reads": "gs://shared/"}, {**needed, "region": "x"}, {**needed, "reads": 7}):
        with pytest.raises(ValidationError):
            actions.check_options(vertex, wrong)


def test_an_address_that_names_options_is_filled_in_with_them() -> None:
    assert actions.address_of("bedrock", "", {"region": "eu-central-1"}) == "https://bedrock-runtime.eu-central-1.amazonaws.com"
    assert actions.address_of("bedrock", "https://vpce-1.example", {}) == "https://vpce-1.example"
    for options in ({}, None, [], {"region": 1}, {"region": "evil.example/"}, {"region": ""}):
        with pytest.raises(ValidationError, match="Enter region"):
            actions.address_of("bedrock", "", options)
