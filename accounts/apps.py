"""The accounts app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """People, business units, projects and keys."""

    name = "accounts"
    verbose_name = "People and projects"

    def ready(self) -> None:
        """Have every change of people, projects, keys and channels recorded, and every sign-in."""
        from accounts import models, sessions  # needs the models, which exist only now
        from accounts.audit.watch import watch

        watch(models.User, "user", "usr", secret=("password",), ignored=("last_login",))
        watch(models.BusinessUnit, "business-unit", "bu")
        watch(models.Project, "project", "prj")
        watch(models.Membership, "membership", "mbr")
        watch(models.VirtualKey, "key", "key", secret=("digest",), ignored=("last_used_at",), number="public_id")
        watch(models.ServiceAccount, "service-account", "sa", secret=("digest",), ignored=("last_used_at",), number="public_id")
        watch(models.NotificationChannel, "notification-channel", "nch", secret=("sealed_secret",), ignored=("checked_at", "check_result"))
        sessions.listen()
