"""Amounts in the words of pages."""

from django import template

from billing.money import plain_usd, shown_usd, to_usd

register = template.Library()
CENT_NANOUSD = 10_000_000
register.filter("usd", shown_usd)


@register.filter
def usd_rate(nanousd: int) -> str:
    """Return a price in nano-USD with as many places as it has, two at least."""
    whole_cents = nanousd % CENT_NANOUSD == 0
    return f"${to_usd(nanousd):.2f}" if whole_cents else f"${plain_usd(nanousd)}"
