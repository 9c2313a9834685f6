"""Models that a vendor newly lists: proposed, told, approved or declined by people, and never served before."""

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEvent, OutboxMessage, User
from gateway import actions, proposals, tasks
from gateway.attention import matters
from gateway.models import Deployment, Model, ProviderAccount
from tests.accounts.notices import webhook
from tests.fakes.listing import CREDENTIAL, listing_provider
from tests.gateway.test_admin import signed_in

pytestmark = pytest.mark.django_db


def account(base_url: str = "http://127.0.0.1:9009/v1", provider: str = "openai") -> ProviderAccount:
    return actions.save_provider_account(ProviderAccount(slug="mine", name="Mine", provider=provider, base_url=base_url), CREDENTIAL)


def catalogue() -> list[tuple[str, str]]:
    return list(Model.objects.values_list("name", "lifecycle"))


def listed(row: ProviderAccount, *names: str) -> int:
    return proposals.follow(ProviderAccount.objects.get(pk=row.pk), names)


def test_the_first_listing_is_for_whoever_made_the_account_to_choose_from() -> None:
    assert (listed(account(), "gpt-4o", "gpt-5"), catalogue()) == (0, [])


def test_what_is_newly_listed_is_proposed_once_with_what_is_known_of_it() -> None:
    row = account()
    listed(row, "gpt-4o")
    assert [listed(row, "gpt-4o", "gpt-5", "text-embedding-3-small") for _ in range(2)] == [2, 0]
    assert catalogue() == [("gpt-5", "requested"), ("text-embedding-3-small", "requested")]
    proposed = Model.objects.get(name="gpt-5")
    assert (proposed.context_tokens, proposed.max_output_tokens, "reasoning" in proposed.capabilities) == (400_000, 128_000, True)
    assert list(Deployment.objects.values_list("upstream_model", flat=True)) == ["gpt-5", "text-embedding-3-small"]


def test_what_the_catalogue_knows_already_is_told_but_not_given_another_deployment() -> None:
    row = account()
    actions.save_row(Model(name="GPT-5"))
    listed(row, "gpt-4o")
    assert (listed(row, "gpt-4o", "gpt-5"), catalogue(), Deployment.objects.count()) == (0, [("GPT-5", "approved")], 0)


def test_people_are_told_what_is_new_and_what_is_gone_though_in_use() -> None:
    webhook("http://127.0.0.1:9999/")
    row = account()
    actions.add_models(row, ["gpt-4o"])
    listed(row, "gpt-4o", "unused")
    listed(row, "gpt-5")
    message = OutboxMessage.objects.get(kind="models.listed")
    assert message.title == "mine lists other models than before"
    assert "newly lists gpt-5." in message.text
    assert "no longer lists gpt-4o," in message.text
    assert "unused" not in message.text


def test_a_listing_that_is_all_new_is_told_and_not_proposed() -> None:
    webhook("http://127.0.0.1:9999/")
    row = account()
    listed(row, "gpt-4o")
    assert (listed(row, "gpt-4o", *(f"model-{number}" for number in range(51))), catalogue()) == (0, [])
    assert "lists 51 more models, too many to propose" in OutboxMessage.objects.get(kind="models.listed").text


def test_an_empty_listing_changes_nothing() -> None:
    row = account()
    listed(row, "gpt-4o")
    assert listed(row) == 0
    assert listed(row, "gpt-4o", "gpt-5") == 1


def test_the_daily_check_follows_the_listing() -> None:
    with listing_provider() as url:
        row = account(f"{url}/v1", "openai_compatible")
        ProviderAccount.objects.filter(pk=row.pk).update(listed_models=["sim-chat"])
        assert tasks.check_provider_accounts() == 0
    assert catalogue() == [("sim-embed", "requested")]


def proposed() -> Model:
    row = account()
    listed(row, "gpt-4o")
    listed(row, "gpt-4o", "gpt-5")
    return Model.objects.get(name="gpt-5")


@pytest.mark.parametrize(("act", "left"), [("approve", [("gpt-5", "approved")]), ("decline", [])])
def test_a_person_decides_in_the_admin_and_it_is_recorded(act: str, left: list[tuple[str, str]]) -> None:
    model = proposed()
    admin: Client = signed_in("it_admin")
    page = reverse("admin:gateway_model_changelist")
    assert "models are proposed" in " ".join(matter.words for matter in matters(User.objects.get(role="it_admin")))
    answer = admin.post(page, {"action": act, "_selected_action": [str(model.pk)]}, follow=True)
    assert (f"1 {act}d" in answer.content.decode(), catalogue()) == (True, left)
    assert AuditEvent.objects.filter(object_id=f"mdl_{model.pk.hex}", action=f"model.{act}").count() == 1


def test_a_declined_model_is_not_proposed_again_while_it_is_listed() -> None:
    row = account()
    listed(row, "gpt-4o")
    listed(row, "gpt-4o", "gpt-5")
    assert proposals.decline(Model.objects.get(name="gpt-5"))
    assert (listed(row, "gpt-4o", "gpt-5"), catalogue()) == (0, [])


def test_only_what_is_proposed_is_decided() -> None:
    served = Model(name="served")
    actions.save_row(served)
    assert (proposals.approve(served), proposals.decline(served), catalogue()) == (False, False, [("served", "approved")])


def test_a_name_that_cannot_be_one_of_the_catalogue_stops_nothing_else() -> None:
    row = account()
    listed(row, "gpt-4o")
    with pytest.raises(ValidationError):
        actions.add_models(row, ["not a name"])
    assert listed(row, "gpt-4o", "not a name", "gpt-5") == 1
    assert catalogue() == [("gpt-5", "requested")]
