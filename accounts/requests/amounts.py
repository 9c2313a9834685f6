"""Amounts of requests as people write and read them: US dollars as decimal text, stored in nano-USD."""

NANOUSD_DIGITS = 9


def shown_usd(nanousd: int | None) -> str | None:
    """Return nano-USD as a decimal string in USD with at least two decimals, None for none."""
    if nanousd is None:
        return None
    whole, rest = divmod(nanousd, 10**NANOUSD_DIGITS)
    return f"{whole}.{f'{rest:0{NANOUSD_DIGITS}}'.rstrip('0').ljust(2, '0')}"
