"""Start of the gateway app: rows of the configuration raise the revision however they are written."""

from django.apps import AppConfig, apps
from django.db.models.signals import post_delete, post_save

CONFIGURATION = (
    "accounts.VirtualKey",
    "accounts.Project",
    "accounts.BusinessUnit",
    "billing.Budget",
    "billing.Limit",
    "billing.Price",
    "billing.PriceDecision",
    "gateway.ProviderAccount",
    "gateway.Model",
    "gateway.Deployment",
)


class GatewayConfig(AppConfig):
    """Providers, catalogue and data plane."""

    name = "gateway"
    verbose_name = "Catalogue"

    def ready(self) -> None:
        """Connect cache invalidation."""
        from gateway.changes import note_saved  # needs the models, which exist only now

        for label in CONFIGURATION:
            post_save.connect(note_saved, apps.get_model(label), dispatch_uid=f"revision-save-{label}")
            post_delete.connect(note_saved, apps.get_model(label), dispatch_uid=f"revision-delete-{label}")
