"""A statement as a file: CSV, XLSX or PDF, each from the stored lines and with the same totals."""
