"""Which price deployments are published with: own, from the book, assumed or none, and when the next one takes over."""

from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from accounts.sealing import Sealer
from billing.actions import add_price, approve_price, withdraw_price
from billing.models import Price
from gateway import actions
from gateway.models import Deployment, Model, ProviderAccount
from gateway.publish import Publisher
from gateway.settings import settings

pytestmark = pytest.mark.django_db


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(tmp_path / "snapshot", Sealer(settings.kek))


@pytest.fixture
def approver() -> User:
    return User.objects.create_user("fay@example.com", role="finance")


def deployment(**fields: object) -> Deployment:
    account = ProviderAccount.objects.create(slug="acme", name="Acme", provider="openai", base_url="https://api.acme.example/v1")
    return Deployment.objects.create(model=Model.objects.create(name="chat"), account=account, upstream_model="up-1", **fields)


def entered(in_hours: float = -1, nanousd: int = 1, name: str = "up-1") -> Price:
    rates = {"input_nanousd": nanousd, "output_nanousd": nanousd}
    return add_price(provider="openai", upstream_model=name, valid_from=timezone.now() + timedelta(hours=in_hours), rates=rates)


def published(publisher: Publisher) -> tuple[str, int | None, bool]:
    """The model's policy, and its input rate and whether it is assumed."""
    publisher.poll()
    assert publisher.current is not None
    model = publisher.current.models["chat"]
    price = model.deployments[0].price
    return model.unknown_price, price.rates.input_nanousd if price else None, price.is_assumed if price else False


def test_only_an_approved_price_is_published_and_a_withdrawn_one_goes(publisher: Publisher, approver: User) -> None:
    deployment()
    price = entered()
    seen = [published(publisher)]
    approve_price(price, approver, "contract")
    seen.append(published(publisher))
    withdraw_price(price, approver, "over")
    seen.append(published(publisher))
    assert seen == [("refuse", None, False), ("refuse", 1, False), ("refuse", None, False)]


def test_a_deployments_own_price_counts_while_it_may_be_used(publisher: Publisher, approver: User) -> None:
    book, own = entered(nanousd=1), entered(nanousd=2, name="own")
    approve_price(book, approver, "book")
    deployment(price=own)
    seen = [published(publisher)[1]]
    approve_price(own, approver, "own")
    seen.append(published(publisher)[1])
    withdraw_price(own, approver, "over")
    seen.append(published(publisher)[1])
    assert seen == [1, 2, 1]


def test_a_future_price_takes_effect_at_its_moment_without_any_change(publisher: Publisher, approver: User, django_assert_num_queries: object) -> None:
    deployment()
    for price in (entered(nanousd=1), entered(in_hours=1, nanousd=2), entered(in_hours=2, nanousd=3)):
        approve_price(price, approver, "plan")
    start = timezone.now()
    assert published(publisher)[1] == 1
    with time_machine.travel(start + timedelta(minutes=59), tick=False), django_assert_num_queries(1):  # type: ignore[operator]
        assert publisher.poll() is None
    for minutes, expected in ((61, 2), (122, 3)):
        with time_machine.travel(start + timedelta(minutes=minutes), tick=False):
            update = publisher.poll()
            assert update is not None and update.structure is not None
            assert (update.keys, published(publisher)[1], publisher.poll()) == ((), expected, None)


def test_an_assumed_price_is_marked_and_gives_way_to_a_known_one(publisher: Publisher, approver: User) -> None:
    row = deployment()
    stand_in = entered(nanousd=9, name="similar")
    approve_price(stand_in, approver, "similar model")
    row.model.unknown_price, row.model.assumed_price = "assume", stand_in
    actions.save_row(row.model)
    seen = [published(publisher)]
    known = entered(nanousd=4)
    approve_price(known, approver, "told")
    seen.append(published(publisher))
    withdraw_price(known, approver, "wrong")
    withdraw_price(stand_in, approver, "no more")
    seen.append(published(publisher))
    assert seen == [("refuse", 9, True), ("refuse", 4, False), ("refuse", None, False)]


def test_a_model_assumes_only_a_price_that_holds(approver: User) -> None:
    model = Model.objects.create(name="chat")
    model.unknown_price = "assume"
    with pytest.raises(ValidationError, match="Choose the price to assume"):
        actions.save_row(model)
    model.assumed_price = entered()
    with pytest.raises(ValidationError, match="Choose a price that is approved and holds now"):
        actions.save_row(model)
    with pytest.raises(IntegrityError), transaction.atomic():
        Model.objects.filter(pk=model.pk).update(unknown_price="assume")
    approve_price(model.assumed_price, approver, "similar model")
    actions.save_row(model)
    assert Model.objects.get().unknown_price == "assume"
