"""The accounts app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """People, business units, projects and keys."""

    name = "accounts"
    verbose_name = "People and projects"
