"""The billing app."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """Prices and usage."""

    name = "billing"
    verbose_name = "Cost"

    def ready(self) -> None:
        """Have every change of budgets, limits, credit, prices and statements recorded; register what can be asked for."""
        from accounts.audit.watch import watch  # needs the models, which exist only now
        from accounts.grants import register
        from billing import acts, grants, models, sandbox

        watch(models.Budget, "budget", "bud")
        watch(models.Limit, "limit", "lim")
        watch(models.CreditAccount, "credit-account", "crd")
        watch(models.CreditGrant, "credit-grant", "grt", ignored=("remaining_nanousd",))
        watch(models.Price, "price", "prc")
        watch(models.PriceDecision, "price-decision", "prd")
        watch(models.Statement, "statement", "stm")
        made_by_the_system = ("state", "attempts", "claimed_until", "rows", "size_bytes", "error", "finished_at", "expires_at")
        watch(models.Export, "export", "exp", ignored=made_by_the_system)

        for grant in (*grants.GRANTS, sandbox.GRANT, *acts.ACTS):
            register(grant)
