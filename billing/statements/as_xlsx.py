"""A statement as an XLSX workbook, written row by row."""

import io

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.worksheet._write_only import WriteOnlyWorksheet  # the class is public through Workbook.create_sheet only

from billing.models import Statement
from billing.statements.table import COLUMNS, Cell, rows, total

WIDTHS = (10, 8, 22, 16, 24, 20, 14, 28, 16, 10, 14, 14, 18)


def render(statement: Statement) -> bytes:
    """Return the statement as a workbook with one sheet."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(f"{statement.month:%Y-%m}")
    for number, width in enumerate(WIDTHS):
        sheet.column_dimensions[chr(ord("A") + number)].width = width
    sheet.freeze_panes = "A2"
    sheet.append([_bold(sheet, name) for name in COLUMNS])
    for row in rows(statement):
        sheet.append(row)
    sheet.append([_bold(sheet, cell) for cell in total(statement)])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _bold(sheet: WriteOnlyWorksheet, value: Cell) -> WriteOnlyCell:
    cell = WriteOnlyCell(sheet, value)
    cell.font = Font(bold=True)
    return cell
