"""Month close: locked statements that add up to the usage rows, whatever comes late, in three formats with the same totals."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.db.models import Sum
from openpyxl import load_workbook
from pypdf import PdfReader

from accounts.models import BusinessUnit
from billing.close import close_month, correct_statement
from billing.models import Statement, StatementLine, UsageRecord
from billing.statements import as_csv, as_pdf, as_xlsx, table
from tests.billing.spent import MILLION, NOON, finance, key, project, record, usage

pytestmark = pytest.mark.django_db
OCTOBER = date(2026, 10, 1)
COMPARED = ("month", "is_late", "project_name", "key_name", "model", "provider", "calls", "input_tokens", "output_tokens", "cost_nanousd")


@pytest.fixture(autouse=True)
def _november() -> Iterator[None]:
    with time_machine.travel(datetime(2026, 11, 3, 9, tzinfo=UTC), tick=False):
        yield


def retail() -> BusinessUnit:
    """The business unit of the ordinary project."""
    return BusinessUnit.objects.get(name="Retail")


def lines_of(statement: Statement) -> list[tuple[object, ...]]:
    """The stored lines in order."""
    return list(statement.lines.values_list(*COMPARED))


def test_a_month_is_closed_with_one_line_per_project_key_and_model() -> None:
    search = project()
    key(search)
    record(usage("1", search), usage("2", search), usage("3", search, model="o3", cost_nanousd=7), usage("4", project("Bulk", "Wholesale")))
    record(usage("november", search, datetime(2026, 11, 1, tzinfo=UTC)))
    statement = close_month(retail(), date(2026, 10, 17), finance())
    assert lines_of(statement) == [
        (OCTOBER, False, "Search", "Shop", "gpt-5", "openai", 2, 2400, 600, 4 * MILLION),
        (OCTOBER, False, "Search", "Shop", "o3", "openai", 1, 1200, 300, 7),
    ]
    shown = (statement.number, statement.month, statement.chargeback_code, statement.calls, statement.total_nanousd, statement.late_nanousd)
    assert shown == (1, OCTOBER, "CC-1", 3, 4 * MILLION + 7, 0)


def test_late_receipts_go_into_the_next_statement_and_every_row_into_exactly_one() -> None:
    search = project()
    actor = finance()
    record(usage("1", search), usage("2", search, datetime(2026, 11, 2, tzinfo=UTC)))
    close_month(retail(), OCTOBER, actor)
    record(usage("late", search, NOON, cost_nanousd=5))
    with time_machine.travel(datetime(2026, 12, 1, 2, tzinfo=UTC), tick=False):
        november = close_month(retail(), date(2026, 11, 1), actor)
        assert lines_of(november) == [
            (date(2026, 11, 1), False, "Search", "", "gpt-5", "openai", 1, 1200, 300, 2 * MILLION),
            (OCTOBER, True, "Search", "", "gpt-5", "openai", 1, 1200, 300, 5),
        ]
        record(usage("later still", search, NOON, cost_nanousd=9))
        correction = correct_statement(retail(), actor, "A host came back.")
    assert (correction.kind, correction.month, correction.number, correction.late_nanousd) == ("correction", date(2026, 11, 1), 3, 9)
    assert Statement.objects.aggregate(Sum("total_nanousd"), Sum("calls")) == {
        "total_nanousd__sum": UsageRecord.objects.aggregate(cost=Sum("cost_nanousd"))["cost"],
        "calls__sum": 4,
    }


def test_a_month_is_not_closed_early_twice_or_out_of_order() -> None:
    search, actor = project(), finance()
    record(usage("1", search), usage("2", search, NOON - timedelta(days=40)))
    with pytest.raises(ValidationError, match="can be closed from 2026-12-01 01:00 UTC on"):
        close_month(retail(), date(2026, 11, 1), actor)
    with pytest.raises(ValidationError, match="Close 2026-08 first"):
        close_month(retail(), OCTOBER, actor)
    with pytest.raises(ValidationError, match="No month of Retail is closed"):
        correct_statement(retail(), actor, "why not")
    close_month(retail(), date(2026, 8, 1), actor)
    close_month(retail(), OCTOBER, actor)
    with pytest.raises(ValidationError, match=r"Retail 2026-10 is closed\. Post a correction"):
        close_month(retail(), OCTOBER, actor)
    with pytest.raises(ValidationError, match="2026-10 is closed already"):
        close_month(retail(), date(2026, 9, 1), actor)
    with pytest.raises(ValidationError, match="Nothing has come in"):
        correct_statement(retail(), actor, "why not")
    with pytest.raises(ValidationError, match="Say why"):
        correct_statement(retail(), actor, " ")


def test_the_database_refuses_to_change_a_statement() -> None:
    record(usage("1", project()))
    statement = close_month(retail(), OCTOBER, finance())
    for rows in (Statement.objects.filter(pk=statement.pk), StatementLine.objects.all()):
        with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
            rows.update(calls=0)


def test_all_three_formats_show_the_totals_of_the_usage_rows() -> None:
    search = project()
    record(*[usage(f"{n}", search, model=f"model-{n % 90:02d}", cost_nanousd=1_234_567_891 + n) for n in range(180)])
    statement = close_month(retail(), OCTOBER, finance())
    cost = UsageRecord.objects.aggregate(cost=Sum("cost_nanousd"))["cost"]
    usd = Decimal(cost).scaleb(-9)
    cells = list(csv.reader(io.StringIO(as_csv.render(statement).decode())))
    assert (tuple(cells[0]), len(cells), cells[-1][0], cells[-1][9], Decimal(cells[-1][-1])) == (table.COLUMNS, 92, "Total", "180", usd)
    assert sum(Decimal(row[-1]) for row in cells[1:-1]) == usd
    sheet = list(load_workbook(io.BytesIO(as_xlsx.render(statement))).active.values)
    assert (sheet[0], len(sheet), sheet[-1][9], round(Decimal(str(sheet[-1][-1])), 9)) == (table.COLUMNS, 92, 180, usd)
    pages = PdfReader(io.BytesIO(as_pdf.render(statement))).pages
    words = "\n".join(page.extract_text() for page in pages)
    assert (len(pages) > 1, f"{usd:,f}" in words, "Chargeback code: CC-1" in words, statement.content_hash in words) == (True,) * 4
    assert all(f"model-{n:02d}" in words for n in range(90))


def test_the_hash_is_that_of_the_csv_file() -> None:
    record(usage("1", project()))
    statement = close_month(retail(), OCTOBER, finance())
    assert as_csv.content_hash([*table.rows(statement), table.total(statement)]) == statement.content_hash
    assert table.file_name(statement, "pdf") == "statement-2026-10-CC-1-1.pdf"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_names_that_look_like_formulas_are_only_text(name: str) -> None:
    record(usage("1", project(name, name), model=name))
    statement = close_month(BusinessUnit.objects.get(name=name), OCTOBER, finance())
    row = list(csv.reader(io.StringIO(as_csv.render(statement).decode())))[1]
    cells = next(load_workbook(io.BytesIO(as_xlsx.render(statement))).active.iter_rows(min_row=2, max_row=2))
    for shown in (row, [cell.value for cell in cells]):
        assert [str(shown[place])[0] for place in (2, 4, 7)] == ["'"] * 3
    assert "f" not in {cell.data_type for cell in cells}


def test_a_pdf_is_made_of_any_name() -> None:
    record(usage("1", project("Łódź 東京", "Zürich")))
    statement = close_month(BusinessUnit.objects.get(name="Zürich"), OCTOBER, finance())
    assert "Zürich" in PdfReader(io.BytesIO(as_pdf.render(statement))).pages[0].extract_text()
