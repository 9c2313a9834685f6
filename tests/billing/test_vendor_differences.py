"""Vendors' exports: read whole or refused by row and column, and laid beside our own figures."""

from datetime import date
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError

from billing import vendor_usage
from billing.models import ReconciliationImport, ReconciliationLine
from billing.rollups import fold
from billing.vendor_differences import Difference, differences, import_usage
from billing.vendor_usage.cells import Counted
from tests.billing.spent import MILLION, finance, project, record, usage

CASES = Path(__file__).parents[1] / "cases" / "vendor_usage"
DAY = date(2026, 10, 5)


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("openai_costs.csv", Counted(DAY, "gpt-5-2025-08-07", None, None, 2_100_000)),
        ("openai_usage.json", Counted(DAY, "gpt-5-2025-08-07", 1200, 300, None)),
        ("anthropic_cost.json", Counted(DAY, "claude-sonnet-4-5", None, None, 1_235_000_000)),
        ("anthropic_usage.csv", Counted(DAY, "claude-sonnet-4-5", 123, 40, None)),
        ("azure_cost.csv", Counted(DAY, "gpt-4o-0806", 1200, 300, 6_000_000)),
    ],
)
def test_each_export_is_read_as_days_and_models(name: str, counted: Counted) -> None:
    assert vendor_usage.read(name.split("_", maxsplit=1)[0], (CASES / name).read_bytes()) == [counted]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe\x00", "no UTF-16 text"),
        (b"caf\xe9", "no UTF-8 text"),
        (b"a\0b", "NUL characters"),
        (b"", "no usage and no cost"),
        (b"x" * (32 * 1024 * 1024 + 1), "larger than 32 MiB"),
        (b"start_time,amount_value\n1791158400,1,2\n", "Row 2: there are more cells than columns"),
        (b"amount_value\n1\n", "Row 2: there is no column start_time or start_time_iso or date"),
        (b"start_time,amount_value\n1791158400,NaN\n", "Row 2, column amount_value: 'NaN' is no number"),
        (b"start_time,amount_value\n1791158400,=1+1\n", "Row 2, column amount_value: '=1[+]1' is no number"),
        (b"start_time,amount_value\n1791158400,1e999999\n", "Row 2, column amount_value: '1e999999' is no number"),
        (b"start_time,amount_value\n1791158400,1e12\n", "too much to be true"),
        (b"start_time,amount_value,amount_currency\n1791158400,1,eur\n", "column amount_currency: only amounts in USD"),
        (b"start_time,input_tokens\n1791158400,-5\n", "Row 2, column input_tokens: '-5' is no number of tokens"),
        (b"start_time,input_tokens\n1791158400,1.5\n", "'1.5' is no number of tokens"),
        (b"start_time,input_tokens\n99999999999999999999,5\n", "is no day"),
        (b"start_time,input_tokens\n5,5\n", "1970-01-01 is not between"),
        (b'{"data": 5}', "no list named data"),
        (b'{"data": [{"start_time": 1791158400}]}', "Bucket 1: results is missing"),
        (b'{"data": [{"start_time": 1791158400, "results": [{"input_tokens": Infinity}]}]}', "Infinity is no number"),
        (b'{"data": [{"start_time": 1791158400, "results": [{"input_tokens": true}]}]}', "Bucket 1, result 1, column input_tokens"),
        (b"[" * 100_000, "no readable JSON"),
    ],
)
def test_a_hostile_file_is_refused_with_its_place(content: bytes, words: str) -> None:
    with pytest.raises(vendor_usage.Unreadable, match=words):
        vendor_usage.read("openai", content)


@pytest.mark.django_db
def test_an_import_is_laid_beside_our_usage() -> None:
    record(usage("1", project()), usage("2", project(), upstream_model="o3"))
    fold()
    content = (CASES / "openai_costs.csv").read_bytes()
    row = import_usage("openai", "costs\n.csv", content, finance())
    assert (row.file_name, row.first_day, row.last_day, row.has_tokens, row.has_cost) == ("costs.csv", DAY, DAY, False, True)
    table = differences(row)
    assert table == (
        Difference(DAY, "gpt-5-2025-08-07", 1500, 0, 2 * MILLION, 2_100_000),
        Difference(DAY, "o3", 1500, 0, 2 * MILLION, 0),
    )
    assert [(line.cost_difference, line.permille) for line in table] == [(100_000, 50), (-2 * MILLION, -1000)]
    with pytest.raises(ValidationError, match="imported before"):
        import_usage("openai", "again.csv", content, row.imported_by)
    assert (ReconciliationImport.objects.count(), ReconciliationLine.objects.count()) == (1, 1)
    with pytest.raises(ValidationError, match="No vendor acme"):
        import_usage("acme", "x.csv", content, row.imported_by)
