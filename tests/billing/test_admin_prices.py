"""The admin's price book: entering, deciding with four eyes, and following a release."""

from datetime import UTC, datetime
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from billing.actions import add_price
from billing.models import Price, PriceDecision
from billing.prices import seed_prices
from billing.prices.book import with_state

pytestmark = pytest.mark.django_db
LIST = "/admin/billing/price/"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def signed_in(name: str, role: str = "finance") -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_user(f"{name}@example.com", "x" * 14, role=role, is_staff=True))
    return client


def proposal(author: str | None = None, name: str = "m") -> Price:
    rates = {"input_nanousd": 1_250_000_000, "output_nanousd": 10**10}
    who = User.objects.get(email=f"{author}@example.com") if author else None
    return add_price(provider="openai", upstream_model=name, valid_from=LONG_AGO, rates=rates, entered_by=who)


def act(client: Client, price: Price, name: str, reason: str = "contract") -> str:
    answer = client.post(reverse("admin:billing_price_act", args=[price.pk, name]), {"reason": reason}, follow=True)
    return unescape(answer.content.decode())


def states() -> list[tuple[str, str]]:
    return list(with_state().order_by("upstream_model", "created_at").values_list("upstream_model", "state"))


def test_finance_enters_a_price_and_somebody_else_approves_it() -> None:
    ann, bob = signed_in("ann"), signed_in("bob", "it_admin")
    modes = '[{"name": "flex", "rates": {"input_nanousd": 5, "output_nanousd": 6}}]'
    fields = {"valid_from_0": "2026-01-01", "valid_from_1": "00:00:00", "input_nanousd": "1.25", "output_nanousd": "10", "tiers": "[]", "modes": modes}
    added = ann.post(f"{LIST}add/", {"provider": "openai", "upstream_model": "m", **fields}, follow=True)
    assert "It holds once somebody else in finance or IT administration approves it." in added.content.decode()
    price = Price.objects.get()
    assert (price.entered_by, price.modes[0]["name"], states()) == (User.objects.get(email="ann@example.com"), "flex", [("m", "proposed")])
    assert "Ask somebody else" in act(ann, price, "approve")
    assert "Approve: done." in act(bob, price, "approve")
    page = bob.get(f"{LIST}{price.pk}/change/").content.decode()
    assert [text in page for text in ("input: $1.25", "flex output: $0.000000006", "contract", "bob@example.com")] == [True] * 4
    assert "Withdraw: done." in act(ann, price, "withdraw", "ended")
    assert states() == [("m", "withdrawn")]


def test_an_author_who_is_alone_is_told_to_find_a_second_person() -> None:
    ann = signed_in("ann")
    fields = {"valid_from_0": "2026-01-01", "valid_from_1": "00:00:00", "input_nanousd": "1", "output_nanousd": "2", "tiers": "[]", "modes": "[]"}
    page = ann.post(f"{LIST}add/", {"provider": "openai", "upstream_model": "m", **fields}, follow=True).content.decode()
    assert ("nobody else may approve it. Give a second person the role finance or IT administrator." in page, states()) == (True, [("m", "proposed")])


def test_a_mode_that_cannot_be_billed_with_is_refused_in_the_form() -> None:
    fields = {"valid_from_0": "2026-01-01", "valid_from_1": "00:00:00", "input_nanousd": "1", "output_nanousd": "1", "tiers": "[]"}
    for modes, says in (('[{"name": "gold", "rates": {"input_nanousd": 5, "output_nanousd": 6}}]', "A mode is one of"), ('[{"name": "flex"}]', "rates")):
        page = signed_in(f"u{len(modes)}").post(f"{LIST}add/", {"provider": "openai", "upstream_model": "m", **fields, "modes": modes})
        assert (page.status_code, says in page.content.decode(), Price.objects.count()) == (200, True, 0)


def test_a_deciding_page_asks_first_and_wants_a_reason() -> None:
    bob, price = signed_in("bob"), proposal()
    asked = bob.get(f"{LIST}{price.pk}/approve/", follow=True)
    assert (asked.status_code, "somebody else than its author" in asked.content.decode().lower(), PriceDecision.objects.count()) == (200, True, 0)
    assert (act(bob, price, "reject", ""), states())[1] == [("m", "proposed")]
    act(bob, price, "reject")
    assert states() == [("m", "rejected")]


def test_who_only_reads_decides_and_enters_nothing() -> None:
    eve, price = signed_in("eve", "auditor"), proposal()
    assert eve.get(LIST).status_code == 200
    tries = [eve.post(reverse("admin:billing_price_act", args=[price.pk, name]), {"reason": "r"}).status_code for name in ("approve", "reject", "withdraw")]
    chosen = {"action": "approve_chosen", "_selected_action": [str(price.pk)], "reason": "r", "confirmed": "yes"}
    eve.post(LIST, chosen)
    tries += [eve.get(f"{LIST}add/").status_code, eve.post(f"{LIST}compare/", {"chosen": "x"}).status_code]
    assert (tries, states()) == ([403] * 5, [("m", "proposed")])


def test_several_prices_are_decided_with_one_reason_and_each_refusal_is_told() -> None:
    ann, bob = signed_in("ann"), signed_in("bob")
    mine, others = proposal("ann", "mine"), proposal("bob", "others")
    chosen = {"action": "approve_chosen", "_selected_action": [str(mine.pk), str(others.pk)]}
    asked = ann.post(LIST, chosen)
    assert ("Approve: 2 prices" in asked.content.decode(), PriceDecision.objects.count()) == (True, 0)
    told = unescape(ann.post(LIST, {**chosen, "reason": "release", "confirmed": "yes"}, follow=True).content.decode())
    assert ("You entered this price." in told, "Approve: 1 of 2 done." in told) == (True, True)
    assert states() == [("mine", "proposed"), ("others", "approved")]
    bob.post(LIST, {"action": "reject_chosen", "_selected_action": [str(mine.pk)], "reason": "dear", "confirmed": "yes"})
    assert states() == [("mine", "rejected"), ("others", "approved")]


def test_prices_are_filtered_by_state() -> None:
    proposal(name="waiting")
    Price.objects.create(provider="openai", upstream_model="seeded", valid_from=LONG_AGO, input_nanousd=1, output_nanousd=1, source="genai-prices")
    client = signed_in("ann")
    shown = [client.get(LIST, {"state": state}).content.decode() for state in ("proposed", "approved")]
    assert [("waiting" in page, "seeded" in page) for page in shown] == [(True, False), (False, True)]


def test_what_a_release_changes_is_shown_and_proposed() -> None:
    Price.objects.create(provider="openai", upstream_model="gpt-4", valid_from=LONG_AGO, input_nanousd=10**9, output_nanousd=6 * 10**10, source="genai-prices")
    seed_prices()
    ann, bob = signed_in("ann"), signed_in("bob")
    page = ann.get(f"{LIST}compare/").content.decode()
    assert [text in page for text in ("openai/gpt-4", "changed", "$1<", "$30<")] == [True] * 4
    names = [part.split('"')[0] for part in page.split('name="chosen" value="')[1:]]
    assert [name.rpartition("/")[0] for name in names] == ["openai/gpt-4"] * len(names)
    assert "Nothing was chosen." in ann.post(f"{LIST}compare/", follow=True).content.decode()
    told = ann.post(f"{LIST}compare/", {"chosen": names}, follow=True).content.decode()
    assert (f"{len(names)} prices are proposed." in told, "gpt-4" in told) == (True, True)
    assert 'name="chosen"' not in ann.get(f"{LIST}compare/").content.decode()
    waiting = [str(price.pk) for price in Price.objects.filter(entered_by__email="ann@example.com")]
    bob.post(LIST, {"action": "approve_chosen", "_selected_action": waiting, "reason": "release", "confirmed": "yes"})
    assert "The book has everything" in bob.get(f"{LIST}compare/").content.decode()


def test_the_button_leads_to_the_comparison() -> None:
    ann = signed_in("ann")
    answer = ann.get(f"{LIST}to-compare/", follow=True)
    assert (answer.status_code, [url for url, _ in answer.redirect_chain]) == (200, [f"{LIST}compare/"])
