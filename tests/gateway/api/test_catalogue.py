"""The catalogue and the price book on the management API: from a provider account to a model with a price, and what is never told."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AuditEvent, GrantRequest, User
from accounts.signin.enter import PROVED_AT
from billing.models import Price
from gateway.actions import opened_credential
from gateway.models import Deployment, Model, ProviderAccount
from tests.fakes.listing import CREDENTIAL as LISTED
from tests.fakes.listing import listing_provider
from tests.gateway.api.callers import Caller, person, program, service_account

pytestmark = pytest.mark.django_db
CREDENTIAL = "sk-canary-credential-0123456789"
ACCOUNT = {"slug": "acme", "provider": "vllm", "base_url": "http://127.0.0.1:9009/v1", "credential": CREDENTIAL}


@pytest.fixture
def it() -> Caller:
    return person("it_admin", "it")


def fields(answer: Any) -> list[str]:
    assert answer.status_code == 400, answer.content
    return [error["field"] for error in answer.json()["errors"]]


def test_a_credential_goes_in_and_never_comes_out(it: Caller) -> None:
    made = it.post("providers", ACCOUNT, idempotency_key="k1")
    changed = it.patch(f"providers/{made.json()['id']}", {"max_parallel": 5})
    row = ProviderAccount.objects.get()
    told = [made, changed, it.get("providers"), it.get("audit-events?limit=200"), it.get("config")]
    assert (made.status_code, changed.json()["max_parallel"], row.max_parallel, opened_credential(row)) == (201, 5, 5, CREDENTIAL)
    assert made.json()["credential_hint"] == f"…{CREDENTIAL[-4:]}"
    assert [CREDENTIAL in answer.content.decode() for answer in told] == [False] * 5
    events = AuditEvent.objects.filter(object_kind="provider-account").order_by("seq").values_list("action", flat=True)
    assert list(events) == ["provider-account.create", "provider-account.update"]


def test_another_host_needs_the_credential_again_and_a_second_person(it: Caller) -> None:
    made = it.made("providers", ACCOUNT)
    other = {"base_url": "http://127.0.0.2:9009/v1"}
    assert fields(it.patch(f"providers/{made['id']}", other)) == ["credential"]
    answer = it.patch(f"providers/{made['id']}", {**other, "credential": "another-credential-1"})
    waiting = GrantRequest.objects.get()
    row = ProviderAccount.objects.get()
    assert (answer.status_code, answer.headers["X-Sgw-Waits-For"], row.base_url, opened_credential(row)) == (
        202, waiting.shown_id, ACCOUNT["base_url"], CREDENTIAL,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**ACCOUNT, "slug": "v1"}, "slug"),
        ({**ACCOUNT, "slug": "models"}, "slug"),
        ({**ACCOUNT, "base_url": "http://169.254.169.254/v1"}, "base_url"),
        ({**ACCOUNT, "base_url": "file:///etc/passwd"}, "base_url"),
        ({**ACCOUNT, "base_url": "http://user:pw@127.0.0.1:9009/"}, "base_url"),
        ({"slug": "acme", "provider": "openai_compatible"}, "base_url"),
        ({**ACCOUNT, "provider": "nobody"}, "provider"),
        ({**ACCOUNT, "credential": "sgw_vk_x"}, "credential"),
        ({**ACCOUNT, "options": {"unknown": "x"}}, "options"),
        ({**ACCOUNT, "state": "active"}, "state"),
        ({**ACCOUNT, "sealed_credential": "x"}, "sealed_credential"),
    ],
)
def test_an_account_that_could_not_work_or_harms_is_refused_by_field(it: Caller, body: dict[str, Any], field: str) -> None:
    assert (fields(it.post("providers", body)), ProviderAccount.objects.count()) == ([field], 0)


def test_a_provider_is_tested_and_its_models_go_into_the_catalogue(it: Caller) -> None:
    with listing_provider() as url:
        made = it.made("providers", {**ACCOUNT, "base_url": f"{url}/v1", "credential": LISTED})
        path = f"providers/{made['id']}"
        tested = it.post(f"{path}/test").json()
    added = it.post(f"{path}/add-models", {"models": tested["models"][:1]}).json()
    (deployment,) = it.get(f"deployments?account={made['id']}").json()["data"]
    (model,) = it.get(f"models?name={tested['models'][0]}").json()["data"]
    assert (tested["check_result"], added, deployment["model"], deployment["account_slug"], model["served"], model["prices"]) == (
        "ok: 2 models", {"added": 1}, model["id"], "acme", True, [],
    )  # fmt: skip
    assert AuditEvent.objects.filter(action="provider-account.test", object_id=made["id"]).count() == 1


def test_a_test_that_fails_says_why_and_is_no_failure_of_the_request(it: Caller) -> None:
    path = f"providers/{it.made('providers', ACCOUNT)['id']}"
    answer = it.post(f"{path}/test")
    assert (answer.status_code, answer.json()["models"], "connection is refused" in answer.json()["check_result"]) == (200, [], True)
    assert it.get(path).json()["check_result"] == answer.json()["check_result"]


def test_a_session_needs_a_fresh_proof_for_accounts_and_a_token_does_not(it: Caller) -> None:
    session = it.client.session
    del session[PROVED_AT]
    session.save()
    refused = it.post("providers", ACCOUNT)
    assert (refused.status_code, refused.json()["code"], ProviderAccount.objects.count()) == (403, "step_up_required", 0)
    assert (it.get("providers").status_code, program().post("providers", ACCOUNT).status_code) == (200, 201)


def test_states_are_set_by_verbs_and_an_account_in_use_is_not_deleted(it: Caller) -> None:
    account = it.made("providers", ACCOUNT)
    it.made("models", {"name": "small"})
    deployment = it.made("deployments", {"model": "small", "account": "acme", "upstream_model": "small-8b", "weight": 50})
    for path in (f"providers/{account['id']}", f"deployments/{deployment['id']}"):
        assert [it.post(f"{path}/{verb}").json()["state"] for verb in ("drain", "disable", "activate")] == ["draining", "disabled", "active"]
    assert it.ask("DELETE", f"providers/{account['id']}").status_code == 409
    assert [it.ask("DELETE", f"{kind}/{row['id']}").status_code for kind, row in (("deployments", deployment), ("providers", account))] == [204, 204]
    assert (Deployment.objects.count(), ProviderAccount.objects.count(), Model.objects.count()) == (0, 0, 1)


def test_a_provider_is_verified_by_a_person_and_renewed(it: Caller) -> None:
    path = f"providers/{it.made('providers', ACCOUNT)['id']}"
    later = (timezone.now() + timedelta(days=90)).date().isoformat()
    body = {"agreement": "DPA 17", "region": "EU", "training_use": "never", "review_on": later}
    assert (it.get(path).json()["verification"], program().post(f"{path}/verify", body).status_code) == (None, 403)
    assert it.post(f"{path}/renew-verification", {"review_on": later}).status_code == 400
    made = it.post(f"{path}/verify", body).json()["verification"]
    (who,) = it.get("me").json()["id"].split()
    assert made == {**body, "verified_on": timezone.now().date().isoformat(), "verified_by": who}


def test_models_are_seen_by_all_and_inactive_ones_by_the_platform() -> None:
    it = program()
    it.made("models", {"name": "open"})
    hidden = it.made("models", {"name": "hidden", "active": False})
    somebody = person("", "somebody")
    assert ([row["name"] for row in somebody.get("models").json()["data"]], somebody.get(f"models/{hidden['id']}").status_code) == (["open"], 404)
    assert (somebody.ids("deployments"), somebody.ids("providers"), somebody.ids("prices"), somebody.post("models", {"name": "x"}).status_code) == (
        [], [], [], 403,
    )  # fmt: skip


def test_a_model_shows_what_it_costs_where_it_is_served(it: Caller) -> None:
    it.made("providers", ACCOUNT)
    model = it.made("models", {"name": "small"})
    price = it.made("prices", {"provider": "acme-prices", "upstream_model": "x", "valid_from": "2026-01-01T00:00:00Z", "input_usd": "1.5", "output_usd": "3"})
    it.made("deployments", {"model": model["id"], "account": "acme", "upstream_model": "small-8b", "region": "eu", "price": price["id"]})
    assert it.get(f"models/{model['id']}").json()["prices"] == []  # nobody has approved it
    person("finance", "fin").post(f"prices/{price['id']}/approve", {"reason": "contract"})
    (shown,) = it.get(f"models/{model['id']}").json()["prices"]
    assert {name: shown[name] for name in ("provider", "region", "input_usd", "output_usd", "assumed")} == {
        "provider": "vllm", "region": "eu", "input_usd": "1.50", "output_usd": "3.00", "assumed": False,
    }  # fmt: skip


PRICE = {
    "provider": "acme", "upstream_model": "small-8b", "valid_from": "2026-01-01T00:00:00Z", "input_usd": "1.25", "output_usd": "10", "cached_usd": "0.125",
    "tiers": [{"above_input_tokens": 200_000, "input_usd": "2.5", "output_usd": "15"}],
    "modes": [{"name": "flex", "rates": {"input_usd": "0.625", "output_usd": "5"}}],
}  # fmt: skip


def test_a_price_is_proposed_and_approved_by_somebody_else(it: Caller) -> None:
    made = it.made("prices", PRICE)
    row = Price.objects.get()
    assert (row.input_nanousd, row.tiers[0]["output_nanousd"], row.modes[0]["rates"]["input_nanousd"], row.valid_from) == (
        1_250_000_000, 15_000_000_000, 625_000_000, datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    assert [made[name] for name in ("state", "source", "input_usd", "cached_usd", "reasoning_usd", "decisions")] == [
        "proposed", "entered", "1.25", "0.125", None, [],
    ]  # fmt: skip
    path = f"prices/{made['id']}"
    assert it.post(f"{path}/approve", {"reason": "mine"}).status_code == 400
    approved = person("finance", "fin").post(f"{path}/approve", {"reason": "contract 4711"}).json()
    assert (approved["state"], [decision["reason"] for decision in approved["decisions"]]) == ("approved", ["contract 4711"])
    assert it.post(f"{path}/reject", {"reason": "late"}).status_code == 400
    assert (it.ids("prices?state=approved"), it.ids("prices?state=proposed&provider=acme")) == ([made["id"]], [])
    assert it.post(f"{path}/withdraw", {"reason": "wrong"}).json()["state"] == "withdrawn"


def test_a_program_proposes_for_its_owner_who_then_cannot_approve() -> None:
    owner = User.objects.create_user("owner@example.com", "x" * 14, role="finance")
    caller = Caller(service_account(owner=owner)[1])
    path = f"prices/{caller.made('prices', PRICE)['id']}"
    assert caller.post(f"{path}/approve", {"reason": "why not"}).status_code == 403
    assert Caller(user=owner).post(f"{path}/approve", {"reason": "why not"}).status_code == 400
    assert person("it_admin", "it").post(f"{path}/approve", {"reason": "contract"}).json()["state"] == "approved"


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_usd": 1.25}, {"input_usd": "-1"}, {"input_usd": "1e3"}, {"state": "approved"}, {"entered_by": "usr_x"}, {"modes": [{"name": "nobody"}]},
        {"tiers": [{"above_input_tokens": 2, "input_usd": "1", "output_usd": "1"}, {"above_input_tokens": 1, "input_usd": "1", "output_usd": "1"}]},
        {"tiers": [{"above_input_tokens": 1, "input_usd": "1", "output_usd": "1", "free": True}]}, {"valid_from": "2026-01-01"},
    ],
)  # fmt: skip
def test_a_price_that_could_not_be_billed_with_is_refused(it: Caller, wrong: dict[str, Any]) -> None:
    assert (it.post("prices", {**PRICE, **wrong}).status_code, Price.objects.count()) == (400, 0), json.dumps(wrong)
