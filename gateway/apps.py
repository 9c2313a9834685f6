"""Start of the gateway app: rows of the configuration raise the revision however they are written."""

from django.apps import AppConfig, apps
from django.db.models.signals import post_delete, post_save

CONFIGURATION = (
    "accounts.VirtualKey",
    "accounts.Project",
    "accounts.BusinessUnit",
    "accounts.IssuerDocument",
    "accounts.Membership",
    "accounts.OidcIdentity",
    "accounts.User",
    "billing.Budget",
    "billing.Limit",
    "billing.Price",
    "billing.PriceDecision",
    "gateway.ProviderAccount",
    "gateway.Model",
    "gateway.ModelAlias",
    "gateway.Deployment",
    "gateway.ResponseRetention",
)


class GatewayConfig(AppConfig):
    """Providers, catalogue and data plane."""

    name = "gateway"
    verbose_name = "Catalogue"

    def ready(self) -> None:
        """Connect cache invalidation, have every change of the catalogue and of schedules recorded, and register what can be asked for."""
        from accounts.audit.watch import watch  # needs the models, which exist only now
        from accounts.grants import register
        from gateway.acts import ACTS
        from gateway.changes import note_saved
        from gateway.grants import GRANTS

        catalogue = ("gateway.Model", "gateway.ModelAlias", "gateway.Deployment")
        watched = ("gateway.ProviderAccount", "gateway.Verification", *catalogue, "django_celery_beat.PeriodicTask")
        models = {name: apps.get_model(name) for name in watched}
        watch(apps.get_model("gateway.ResponseRetention"), "response-retention", "rrt")
        watch(models["gateway.ProviderAccount"], "provider-account", "pva", secret=("sealed_credential",), ignored=("checked_at", "check_result"))
        watch(models["gateway.Verification"], "verification", "ver")
        watch(models["gateway.Model"], "model", "mdl")
        watch(models["gateway.ModelAlias"], "model-alias", "als")
        watch(models["gateway.Deployment"], "deployment", "dep")
        watch(models["django_celery_beat.PeriodicTask"], "schedule", "sch", ignored=("last_run_at", "total_run_count", "date_changed"))

        for grant in (*GRANTS, *ACTS):
            register(grant)
        for label in CONFIGURATION:
            post_save.connect(note_saved, apps.get_model(label), dispatch_uid=f"revision-save-{label}")
            post_delete.connect(note_saved, apps.get_model(label), dispatch_uid=f"revision-delete-{label}")
