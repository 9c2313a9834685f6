"""The admin's pages of prices, calls and receipts put aside."""

from pathlib import Path

import pytest
from django.test import Client
from msgspec import structs

from accounts.models import User
from billing.intake import Intake
from billing.models import Price, QuarantinedReceipt, UsageRecord
from billing.receipts import Attempted, Charge
from tests.billing.receipts import PRICE, settle, write_segment

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser() -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_user("it@example.com", "x" * 14, is_staff=True, role="it_admin"))
    return client


def test_a_price_is_added_in_usd_and_cannot_be_edited_or_deleted(browser: Client) -> None:
    fields = {"valid_from_0": "2026-01-01", "valid_from_1": "00:00:00", "input_nanousd": "1.25", "output_nanousd": "10", "tiers": "[]"}
    added = browser.post("/admin/billing/price/add/", {"provider": "openai", "upstream_model": "m", **fields})
    price = Price.objects.get()
    assert (added.status_code, price.input_nanousd, price.output_nanousd, price.source) == (302, 1_250_000_000, 10_000_000_000, "entered")
    assert "$1.25" in browser.get("/admin/billing/price/").content.decode()
    page = f"/admin/billing/price/{price.pk}"
    assert [browser.post(f"{page}/{verb}/", {"post": "yes"}).status_code for verb in ("change", "delete")] == [403, 403]


def test_a_call_is_found_by_its_id_alone(browser: Client, tmp_path: Path) -> None:
    write_segment(tmp_path, settle("call_first"), settle("call_second"))
    Intake(tmp_path).run_once()
    found = browser.get("/admin/billing/usagerecord/?q=call_first").content.decode()
    assert [text in found for text in ("call_first", "call_second", "$0.000123456", "1,200 / 300")] == [True, False, True, True]
    page = f"/admin/billing/usagerecord/{UsageRecord.objects.get(call_id='call_first').pk}"
    assert [browser.post(f"{page}/{verb}/", {"post": "yes"}).status_code for verb in ("change", "delete")] == [403, 403]


def test_a_call_shows_what_each_attempt_cost(browser: Client, tmp_path: Path) -> None:
    charge = Charge("<b>azure", "gpt-5", PRICE, "estimated", "usage_missing", 321, 0, 0, 0, 45, 0, 0, 7_000_000)
    broken = Attempted("gpt-5@azure", "azure", "reset", 200, 30, charge, 417)
    served = Attempted("gpt-5@eu", "eu", "ok", 200, 12, structs.replace(charge, provider="openai", cost_nanousd=116_456))
    write_segment(tmp_path, settle("call_1", flags="attempts_billed", attempts=(broken, Attempted("gpt-5@b", "b", "503", 503, 2), served)), settle("call_2"))
    Intake(tmp_path).run_once()
    pages = [browser.get(f"/admin/billing/usagerecord/{UsageRecord.objects.get(call_id=name).pk}/change/").content.decode() for name in ("call_1", "call_2")]
    texts = ("gpt-5@azure", "&lt;b&gt;azure", "321 / 45", "$0.007", "(usage_missing)", "revision 417", PRICE, "gpt-5@b", "(503)", "$0.000116456")
    assert [text in pages[0] for text in texts] == [True] * len(texts)
    assert [text in pages[1] for text in ("gpt-5@openai-eu", "1200 / 300", "$0.000123456", "provider")] == [True] * 4


def test_a_receipt_put_aside_is_released_from_the_list(browser: Client, tmp_path: Path) -> None:
    write_segment(tmp_path, settle("call_1", cached_tokens=9_999))
    Intake(tmp_path).run_once()
    chosen = {"action": "release", "_selected_action": [QuarantinedReceipt.objects.get().pk]}
    assert browser.post("/admin/billing/quarantinedreceipt/", chosen).status_code == 302
    assert (list(UsageRecord.objects.values_list("call_id", "flags")), QuarantinedReceipt.objects.count()) == ([("call_1", "mended")], 0)
