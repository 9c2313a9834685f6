"""A statement as PDF, A4 across. Characters outside Western European letters are shown as question marks: no font is shipped."""

from fpdf import FPDF
from fpdf.enums import TableBordersLayout
from fpdf.fonts import FontFace

from billing.models import Statement
from billing.statements.table import rows, total

# What fits on the page: the unit and its code stand in the heading.
SHOWN = {"Month": 0, "Late": 1, "Project": 4, "Key": 5, "Model": 7, "Provider": 8, "Calls": 9, "Input tokens": 10, "Output tokens": 11, "Cost (USD)": 12}
WIDTHS = (16, 11, 42, 36, 46, 26, 20, 26, 26, 32)
FIRST_NUMBER = 6


def render(statement: Statement) -> bytes:
    """Return the statement as a PDF file."""
    pdf = FPDF(orientation="landscape", format="A4")
    pdf.set_creation_date(statement.closed_at)
    pdf.set_title(_latin(str(statement)))
    pdf.set_auto_page_break(True, 15)
    pdf.add_page()
    pdf.set_font("helvetica", "B", 16)
    kind = "Statement" if statement.kind == Statement.Kind.MONTH else "Correction of a statement"
    pdf.cell(0, 10, _latin(f"{kind} {statement.month:%Y-%m}: {statement.unit_name}"), new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("helvetica", size=9)
    for words in _heading(statement):
        pdf.multi_cell(0, 5, _latin(words), new_x="LMARGIN", new_y="NEXT")
    pdf.ln(3)
    pdf.set_font("helvetica", size=8)
    aligned = tuple("LEFT" if number < FIRST_NUMBER else "RIGHT" for number in range(len(SHOWN)))
    bold = FontFace(emphasis="BOLD")
    layout = TableBordersLayout.HORIZONTAL_LINES
    with pdf.table(col_widths=WIDTHS, text_align=aligned, borders_layout=layout, line_height=5, headings_style=bold) as table:
        table.row(list(SHOWN))
        for cells in rows(statement):
            table.row([_shown(cells[place]) for place in SHOWN.values()])
        table.row([_shown(total(statement)[place]) for place in SHOWN.values()], style=bold)
    return bytes(pdf.output())


def _heading(statement: Statement) -> list[str]:
    code = statement.chargeback_code or "none"
    lines = [
        f"Chargeback code: {code}. Statement number {statement.number}.",
        f"Closed {statement.closed_at:%Y-%m-%d %H:%M} UTC by {statement.closed_by.email}. All months, days and hours are UTC.",
        f"SHA-256 of the CSV file: {statement.content_hash}",
    ]
    return lines + ([f"Reason: {statement.reason}"] if statement.reason else [])


def _shown(cell: object) -> str:
    return _latin(f"{cell:,}" if isinstance(cell, int) else f"{cell}" if isinstance(cell, str) else f"{cell:,f}")


def _latin(words: str) -> str:
    return words.encode("latin-1", "replace").decode("latin-1")
