"""Four eyes on prices: who may decide, what holds when, and what the database itself refuses."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.utils import timezone

from accounts.models import User
from billing.actions import add_price, approve_price, reject_price, withdraw_price
from billing.models import Price, PriceDecision
from billing.prices import current, holds_at, next_start
from billing.prices.book import with_state

pytestmark = pytest.mark.django_db
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def person(name: str, role: str = "finance", **fields: object) -> User:
    return User.objects.create_user(f"{name}@example.com", role=role, **fields)


def propose(author: User | None, valid_from: datetime = NEW_YEAR, dollars: int = 1) -> Price:
    rates = {"input_nanousd": dollars * 10**9, "output_nanousd": 2 * 10**9}
    return add_price(provider="openai", upstream_model="m", valid_from=valid_from, rates=rates, entered_by=author)


def seed(valid_from: datetime = NEW_YEAR) -> Price:
    return Price.objects.create(provider="openai", upstream_model="m", valid_from=valid_from, input_nanousd=7, output_nanousd=7, source=Price.Source.SEED)


def state(price: Price) -> str:
    return str(with_state().values_list("state", flat=True).get(pk=price.pk))


def now_in_force() -> Price | None:
    return current("openai", "m", timezone.now())


def test_an_entered_price_holds_only_once_somebody_else_approves_it() -> None:
    price, seeded = propose(person("ann")), seed()
    assert (state(price), now_in_force(), holds_at(price, timezone.now())) == ("proposed", seeded, False)
    approve_price(price, person("bob", "it_admin"), "contract")
    assert (state(price), now_in_force(), holds_at(price, timezone.now())) == ("approved", price, True)
    assert list(PriceDecision.objects.values_list("decision", "decided_by__email", "reason")) == [("approved", "bob@example.com", "contract")]


def test_the_author_may_not_approve_and_is_told_what_to_do() -> None:
    ann = person("ann")
    price = propose(ann)
    with pytest.raises(ValidationError, match="Give a second person the role finance or IT administrator"):
        approve_price(price, ann, "me")
    person("left", is_active=False)
    with pytest.raises(ValidationError, match="Give a second person"):
        approve_price(price, ann, "me")
    person("bob")
    with pytest.raises(ValidationError, match="Ask somebody else"):
        approve_price(price, ann, "me")
    assert state(price) == "proposed"


@pytest.mark.parametrize("role", ["", "auditor", "security_officer"])
def test_others_decide_nothing(role: str) -> None:
    price, eve = propose(person("ann")), person("eve", role)
    for decide in (approve_price, reject_price, withdraw_price):
        with pytest.raises(ValidationError, match="Only finance and IT administrators"):
            decide(price, eve, "because")
    assert PriceDecision.objects.count() == 0


def test_a_price_is_decided_once_and_with_a_reason() -> None:
    bob, price = person("bob"), propose(person("ann"))
    with pytest.raises(ValidationError, match="Say why"):
        reject_price(price, bob, " ")
    reject_price(price, bob, "wrong figure")
    for decide in (approve_price, reject_price, withdraw_price):
        with pytest.raises(ValidationError, match="is rejected already"):
            decide(price, bob, "again")
    assert (state(price), now_in_force()) == ("rejected", None)
    again = propose(person("cid"), dollars=3)
    approve_price(again, bob, "right now")
    assert now_in_force() == again


def test_a_withdrawn_price_held_until_then_and_gives_way_to_the_seed() -> None:
    ann, bob = person("ann"), person("bob")
    seeded, price = seed(timezone.now() - timedelta(days=1)), propose(ann)
    approve_price(price, bob, "contract")
    before = timezone.now()
    assert now_in_force() == price  # although the seed is younger
    withdraw_price(price, ann, "contract ended")
    assert (state(price), now_in_force(), current("openai", "m", before)) == ("withdrawn", seeded, price)
    with pytest.raises(ValidationError, match="is withdrawn already"):
        withdraw_price(price, bob, "again")


def test_an_author_takes_a_proposal_back_and_nobody_withdraws_a_seed() -> None:
    ann = person("ann")
    price, seeded = propose(ann), seed()
    withdraw_price(price, ann, "typed wrong")
    assert (state(price), now_in_force()) == ("withdrawn", seeded)
    with pytest.raises(ValidationError, match="Only entered prices are withdrawn"):
        withdraw_price(seeded, ann, "dear")


def test_a_later_price_takes_over_at_its_moment_and_the_next_start_is_known() -> None:
    bob = person("bob")
    soon = timezone.now() + timedelta(hours=1)
    first, second = propose(person("ann")), propose(None, valid_from=soon, dollars=2)
    approve_price(first, bob, "now")
    assert next_start(timezone.now()) is None
    approve_price(second, bob, "next")
    assert next_start(timezone.now()) == soon
    assert [current("openai", "m", soon + timedelta(seconds=s)) for s in (-1, 0)] == [first, second]
    withdraw_price(second, bob, "off")
    assert next_start(timezone.now()) is None


def test_the_database_refuses_an_author_who_approves_and_changed_or_double_decisions() -> None:
    ann, bob = person("ann"), person("bob")
    price = propose(ann)
    for decider in (ann, None):
        with pytest.raises(DatabaseError, match="Somebody else than its author"), transaction.atomic():
            PriceDecision.objects.create(price=price, decision="approved", decided_by=decider, reason="r")
    PriceDecision.objects.create(price=price, decision="rejected", decided_by=bob, reason="r")
    with pytest.raises(DatabaseError, match=r"price_decided_once|UNIQUE"), transaction.atomic():
        PriceDecision.objects.create(price=price, decision="approved", decided_by=bob, reason="r")
    with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
        PriceDecision.objects.update(decision="approved")
    for wrong in ({"decision": "maybe", "reason": "r"}, {"decision": "withdrawn", "reason": ""}):
        with pytest.raises(DatabaseError, match="price_decision"), transaction.atomic():
            PriceDecision.objects.create(price=price, decided_by=bob, **wrong)
    with pytest.raises(DatabaseError, match=r"price_once_per_moment|UNIQUE"), transaction.atomic():
        seed(), seed()
