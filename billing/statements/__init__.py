"""A statement as a file: CSV, XLSX or PDF, each from the stored lines and with the same totals."""

from billing.models import Statement

MEDIA = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
}


def render(statement: Statement, form: str) -> bytes:
    """Return a statement as a file in one of the forms of MEDIA."""
    # slow imports: what draws PDF and XLSX would take a sixth of every process's start
    if form == "pdf":
        from billing.statements import as_pdf

        return as_pdf.render(statement)
    if form == "xlsx":
        from billing.statements import as_xlsx

        return as_xlsx.render(statement)
    from billing.statements import as_csv  # beside the others

    return as_csv.render(statement)
