"""The billing app."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """Prices and usage."""

    name = "billing"
    verbose_name = "Cost"
