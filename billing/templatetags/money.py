"""Amounts in the words of pages."""

from django import template

from billing.money import shown_usd

register = template.Library()
register.filter("usd", shown_usd)
