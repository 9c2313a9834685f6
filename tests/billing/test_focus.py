"""The FOCUS file keeps the specification's column rules, version 1.0."""

import csv
import json
import re
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from accounts.models import Project
from billing.focus import COLUMNS, lines
from billing.models import UsageRecord
from billing.reports.periods import month_of
from billing.rollups import fold
from tests.billing.spent import NOON, key, project, record, usage

pytestmark = pytest.mark.django_db
REQUIRED = [column for column in COLUMNS if not column.startswith("x_")]
NOT_NULL = (
    "BilledCost", "BillingAccountId", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargePeriodEnd",
    "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "ProviderName", "PublisherName",
    "ServiceCategory", "ServiceName",
)  # fmt: skip
DECIMALS = (
    "BilledCost", "ConsumedQuantity", "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "ListCost", "ListUnitPrice", "PricingQuantity",
)  # fmt: skip
MOMENTS = ("BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart")
ALLOWED = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"", "Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {"", "Standard", "Dynamic", "Committed", "Other"},
    "ServiceCategory": {"AI and Machine Learning"},
    "BillingCurrency": {"USD"},
}


def mistakes(row: dict[str, str]) -> list[str]:
    """What in a row the specification does not allow."""
    found = [f"{name} is null" for name in NOT_NULL if not row[name]]
    found += [f"{name}={row[name]}" for name, values in ALLOWED.items() if row[name] not in values]
    found += [f"{name} is no decimal" for name in DECIMALS if row[name] and ("E" in row[name] or not Decimal(row[name]).is_finite())]
    found += [f"{name} is no UTC moment" for name in MOMENTS if not re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", row[name])]
    if not row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]:
        found.append("the charge lies outside its billing period")
    if not all(isinstance(value, str) for value in json.loads(row["Tags"]).values()):
        found.append("Tags are no key-value pairs")
    if row["ChargeClass"] == "":
        found += [f"{n} is null" for n in ("ConsumedUnit", "PricingUnit", "PricingCategory", "PricingQuantity", "ListUnitPrice") if not row[n]]
        for cost, price in (("ListCost", "ListUnitPrice"), ("ContractedCost", "ContractedUnitPrice")):
            if abs(Fraction(row[price]) * Fraction(row["PricingQuantity"]) - Fraction(row[cost])) > Fraction(1, 10**12):
                found.append(f"{cost} is not {price} times PricingQuantity")
    return found


def rows(projects: object = None) -> list[dict[str, str]]:
    """The file of October as rows."""
    every = Project.objects.all() if projects is None else projects
    return list(csv.DictReader(lines(every, month_of(date(2026, 10, 1)))))  # type: ignore[arg-type]


def test_the_file_has_every_required_column_and_keeps_its_rules() -> None:
    search = project("=Search", code="CC-1")
    key(search)
    record(usage("1", search, cost_nanousd=1), usage("2", search, NOON.replace(day=31), cost_nanousd=123_456_789_012_345_678))
    record(usage("3", search, input_tokens=0, cached_tokens=0, output_tokens=0, reasoning_tokens=0, model="fee", provider=""))
    fold()
    found = rows()
    assert (len(REQUIRED), set(REQUIRED) - set(found[0]), [mistakes(row) for row in found]) == (43, set(), [[], [], []])
    assert sum(Decimal(row["BilledCost"]) for row in found) == Decimal(sum(UsageRecord.objects.values_list("cost_nanousd", flat=True))).scaleb(-9)
    least = min(found, key=lambda row: Decimal(row["BilledCost"]))
    shown = {name: least[name] for name in ("BilledCost", "ResourceId", "ResourceName", "SubAccountName", "SkuId", "x_ChargebackCode")}
    assert shown == {
        "BilledCost": "0.000000001",
        "ResourceId": "abcdefghij",
        "ResourceName": "Shop",
        "SubAccountName": "'=Search",
        "SkuId": "openai/gpt-5-2025-08-07",
        "x_ChargebackCode": "CC-1",
    }


def test_nothing_of_other_projects_is_in_it() -> None:
    record(usage("1", project()))
    fold()
    assert rows(Project.objects.none()) == []
