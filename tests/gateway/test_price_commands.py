"""`manage.py rerate` and `manage.py import_prices`, with the prices that deployments' calls really have."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from accounts.models import User
from billing.actions import add_price, approve_price, withdraw_price
from billing.models import Price, UsageRecord
from billing.prices import seed_prices
from gateway.models import Deployment, Model, ProviderAccount, Revision
from gateway.pricing import PricesOfCalls
from tests.billing.spent import project, usage

pytestmark = pytest.mark.django_db
THEN = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEFORE = THEN - timedelta(days=1)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def output(command: str, **options: Any) -> list[str]:
    out = StringIO()
    call_command(command, stdout=out, **options)
    return out.getvalue().splitlines()


@pytest.fixture
def approver() -> User:
    return User.objects.create_user("fay@example.com", role="finance")


def seeded(name: str, nanousd: int, provider: str = "openai") -> Price:
    return Price.objects.create(provider=provider, upstream_model=name, valid_from=LONG_AGO, input_nanousd=nanousd, output_nanousd=0, source="genai-prices")


def entered(approver: User, name: str, nanousd: int, since: datetime = BEFORE) -> Price:
    price = add_price(provider="openai", upstream_model=name, valid_from=since, rates={"input_nanousd": nanousd, "output_nanousd": 0})
    approve_price(price, approver, "contract")
    return price


def call(call_id: str = "call_1", name: str = "up", **fields: Any) -> UsageRecord:
    """A call of a million input tokens that cost a nano-USD."""
    given = {"upstream_model": name, "input_tokens": 10**6, "cached_tokens": 0, "output_tokens": 0, "reasoning_tokens": 0, "cost_nanousd": 1, **fields}
    row = usage(call_id, project(), THEN, deployment=f"openai-eu/{name}", **given)
    row.save()
    return row


def deployment(name: str = "up", price: Price | None = None, **model: Any) -> Deployment:
    account = ProviderAccount.objects.create(slug="openai-eu", name="E", provider="openai", base_url="https://api.example/v1")
    return Deployment.objects.create(model=Model.objects.create(name="gpt-5", **model), account=account, upstream_model=name, price=price)


def test_a_call_has_the_price_that_held_for_it_then(approver: User) -> None:
    old = seeded("up", 1)
    row = call(price=old.pk)
    assert PricesOfCalls()(row) == old
    late = entered(approver, "up", 2, since=THEN + timedelta(seconds=1))
    assert PricesOfCalls()(row) == old
    own = entered(approver, "up", 3)
    withdraw_price(late, approver, "off")
    assert PricesOfCalls()(row) == own


def test_a_call_billed_with_a_price_of_its_deployment_follows_that_price_under_its_name(approver: User) -> None:
    seeded("up", 1)
    pinned = entered(approver, "contract-7", 5)
    row = call(price=pinned.pk)
    assert PricesOfCalls()(row) == pinned
    better = entered(approver, "contract-7", 4, since=BEFORE + timedelta(hours=1))
    assert PricesOfCalls()(row) == better


def test_a_call_billed_with_an_assumed_price_follows_the_book_once_it_knows(approver: User) -> None:
    stand_in = seeded("similar", 9)
    row = call(price=stand_in.pk, flags="assumed_price")
    assert PricesOfCalls()(row) == stand_in
    known = entered(approver, "up", 2)
    assert PricesOfCalls()(row) == known


def test_a_call_without_a_price_asks_its_deployment_as_it_is_today(approver: User) -> None:
    row = call(flags="unpriced", cost_nanousd=0)
    assert PricesOfCalls()(row) is None
    similar = seeded("similar", 9)
    served = deployment(unknown_price="assume", assumed_price=similar)
    assert PricesOfCalls()(row) == similar
    book = entered(approver, "up", 2)
    assert PricesOfCalls()(row) == book
    served.price = entered(approver, "contract-7", 5)
    served.save()
    assert PricesOfCalls()(row) == served.price


def test_rerate_shows_and_then_posts_the_difference(approver: User) -> None:
    call("call_1", price=seeded("up", 1).pk)
    call("call_2", "nowhere", price=None, cost_nanousd=0)
    entered(approver, "up", 2_500_000_000)
    table = [
        "project  model  calls    before     after  difference",
        "Search   gpt-5      1  0.000000  2.500000   +2.500000",
        "2 calls, 1 of another price, 1 without a known price; difference +2.499999999 USD.",
    ]
    assert output("rerate", since="2026-03-01") == [*table, 'Nothing is posted. Add --post --reason "..." to post it.']
    assert output("rerate", since="2026-03-01T12:00", until="2026-03-02", post=True, reason="contract") == [*table, "1 corrections posted."]
    nothing = "2 calls, 0 of another price, 1 without a known price; difference +0.000000000 USD."
    assert output("rerate", since="2026-03-01", post=True, reason="contract") == [nothing, "0 corrections posted."]
    assert output("rerate", since="2026-03-02")[0].startswith("0 calls")
    assert output("rerate", since="2026-03-01", model="other")[0].startswith("0 calls")


@pytest.mark.parametrize(("options", "says"), [({"since": "yesterday"}, "no day or moment"), ({"since": "2026-03-01", "post": True}, "Say why")])
def test_rerate_says_what_is_missing(options: dict[str, Any], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        output("rerate", **options)


def test_import_prices_shows_and_applies_what_is_chosen(approver: User) -> None:
    seed_prices()
    assert output("import_prices") == ["0 differences. Add --apply to take over what is new or changed."]
    Price.objects.filter(provider="openai", upstream_model__in=["gpt-4o", "gpt-4"]).delete()
    Price.objects.create(provider="openai", upstream_model="gpt-4o", valid_from=LONG_AGO, input_nanousd=10**9, output_nanousd=10**10, source="genai-prices")
    own = entered(approver, "gpt-4o", 5)
    seeded("gone", 7)
    told = output("import_prices", model=["openai/gpt-4o", "openai/gone"])
    assert told[0] == "vanished openai/gone: input 0.000000007 → -; output 0 → -"
    assert told[1].startswith("changed  openai/gpt-4o from 2026-10-14, an entered price stays in force: input 1 → 2.5; cached - → 1.25; ")
    before = Revision.objects.get().number
    assert output("import_prices", apply=True, model=["openai/gpt-4"])[-1].endswith("prices added.")
    assert (Price.objects.filter(upstream_model="gpt-4").exists(), Revision.objects.get().number) == (True, before + 1)
    output("import_prices", apply=True)
    assert [line for line in output("import_prices") if "gpt-4o" in line] == []
    row = call(name="gpt-4o", price=own.pk)
    assert PricesOfCalls()(row) == own


def test_import_prices_knows_no_difference_of_an_unknown_model() -> None:
    seed_prices()
    with pytest.raises(CommandError, match="No difference for openai/none"):
        output("import_prices", model=["openai/none"])
