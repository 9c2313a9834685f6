"""Usage as a FOCUS 1.0 file (FinOps Open Cost and Usage Specification): one row per series and day, written as it is read."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext
from typing import Any

from django.db.models import QuerySet

from accounts.models import BusinessUnit, Project, VirtualKey
from billing.models import DayRollup
from billing.money import to_usd
from billing.reports.periods import Period, month_of
from billing.statements.table import text

VERSION = "1.0"
COLUMNS = (
    "AvailabilityZone", "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart",
    "CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountName", "CommitmentDiscountStatus", "CommitmentDiscountType",
    "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "InvoiceIssuerName", "ListCost",
    "ListUnitPrice", "PricingCategory", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "RegionId", "RegionName",
    "ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName", "SkuId", "SkuPriceId", "SubAccountId",
    "SubAccountName", "Tags", "x_Calls", "x_InputTokens", "x_CachedTokens", "x_OutputTokens", "x_BusinessUnitId", "x_ChargebackCode",
)  # fmt: skip
# Digits of a mean price per token: the product with the quantity differs from the cost by far less than a nano-USD.
PRICE_DIGITS = Decimal(1).scaleb(-24)


def lines(projects: QuerySet[Project], period: Period) -> Iterator[str]:
    """Yield the file line by line, header first, of these projects' usage in the period; costs in USD, exact."""
    yield _line(COLUMNS)
    names = dict(Project.objects.values_list("pk", "name"))
    keys = dict(VirtualKey.objects.values_list("public_id", "name"))
    units = {pk: (name, code) for pk, name, code in BusinessUnit.objects.values_list("pk", "name", "code")}
    rows = DayRollup.objects.filter(day__range=period, series__project__in=projects.values("pk")).select_related("series")
    for row in rows.order_by("day", "series_id").iterator(chunk_size=1000):
        cells = _cells(row, names, keys, units)
        yield _line(["" if (cell := cells.get(column)) is None else _shown(cell) for column in COLUMNS])


def _cells(row: DayRollup, names: dict[Any, str], keys: dict[str, str], units: dict[Any, tuple[str, str]]) -> dict[str, Any]:
    series = row.series
    unit_name, code = units.get(series.business_unit, (str(series.business_unit or ""), ""))
    month = month_of(row.day)
    cost = to_usd(row.cost_nanousd)
    return {
        **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), cost),
        **_quantities(row, cost),
        "BillingAccountId": str(series.business_unit or "none"),
        "BillingAccountName": unit_name,
        "BillingCurrency": "USD",
        "BillingPeriodStart": _moment(month.first),
        "BillingPeriodEnd": _moment(month.last + timedelta(days=1)),
        "ChargePeriodStart": _moment(row.day),
        "ChargePeriodEnd": _moment(row.day + timedelta(days=1)),
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{row.calls} calls to {series.model}",
        "ChargeFrequency": "Usage-Based",
        "InvoiceIssuerName": series.provider or "none",
        "ProviderName": series.provider or "none",
        "PublisherName": series.provider or "none",
        "ResourceId": series.key,
        "ResourceName": keys.get(series.key),
        "ResourceType": "Virtual key",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": series.model or "none",
        "SkuId": f"{series.provider}/{series.upstream_model}",
        "SkuPriceId": f"{series.provider}/{series.upstream_model}",
        "SubAccountId": str(series.project),
        "SubAccountName": names.get(series.project),
        "Tags": json.dumps({"account": series.account, "deployment": series.deployment, "model": series.model}, ensure_ascii=False),
        "x_Calls": row.calls,
        "x_InputTokens": row.input_tokens,
        "x_CachedTokens": row.cached_tokens,
        "x_OutputTokens": row.output_tokens,
        "x_BusinessUnitId": str(series.business_unit or ""),
        "x_ChargebackCode": code,
    }


def _quantities(row: DayRollup, cost: Decimal) -> dict[str, Any]:
    """What was consumed and its mean price; a row of corrections alone has a cost and no quantity."""
    tokens = row.input_tokens + row.output_tokens
    quantity, unit = (tokens, "Tokens") if tokens else (row.calls, "Requests")
    if not quantity:
        return {"ChargeClass": "Correction"}
    with localcontext() as context:
        context.prec = 60
        price = (cost / quantity).quantize(PRICE_DIGITS)
    return {
        "ConsumedQuantity": quantity,
        "ConsumedUnit": unit,
        "PricingQuantity": quantity,
        "PricingUnit": unit,
        "PricingCategory": "Standard",
        "ListUnitPrice": price,
        "ContractedUnitPrice": price,
    }


def _moment(day: date) -> str:
    return datetime.combine(day, time.min, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _shown(cell: Any) -> str:
    return f"{cell:f}" if isinstance(cell, Decimal) else text(cell) if isinstance(cell, str) else str(cell)


def _line(cells: Any) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()
