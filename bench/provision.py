"""Give an installation what the bench calls: a provider account at the mock, the model bench-mock, and a key. Prints the key.

Run it with the installation's own SYMBIOSIS_* settings: `python -m bench.provision http://127.0.0.1:9111/v1 [ungoverned]`.
"""

import os
import sys
from datetime import timedelta


def provision(upstream_url: str, governed: bool = True) -> str:
    """Make everything in one transaction and return the text of a key valid for a week; raises ValidationError when it is there already.

    `governed` puts four budgets and three limits above the key, none of which the bench can reach.
    """
    from django.db import transaction  # Django is set up by now
    from django.utils import timezone

    from accounts.actions import save_business_unit, save_project
    from accounts.models import BusinessUnit, Project
    from billing.budgets import save_budget, save_limit
    from billing.models import Budget, Limit, Price
    from billing.money import MOST_NANOUSD
    from gateway.actions import create_virtual_key, save_provider_account, save_row
    from gateway.models import Deployment, Model, ProviderAccount

    account = ProviderAccount(slug="bench-mock", name="Mock upstream of the bench", provider="openai_compatible", base_url=upstream_url)
    model = Model(name="bench-mock", owned_by="bench", unknown_price=Model.UnknownPrice.FREE)
    with transaction.atomic():
        save_provider_account(account, "sk-bench")
        save_row(model)
        price = Price.objects.create(
            provider="openai_compatible", upstream_model="bench-mock", valid_from=timezone.now() - timedelta(days=1), input_nanousd=10**9,
            output_nanousd=4 * 10**9, source=Price.Source.SIMULATED,
        )  # fmt: skip
        save_row(Deployment(model=model, account=account, upstream_model="bench-mock", price=price))
        unit = save_business_unit(BusinessUnit(name="Bench"))
        project = save_project(Project(name="Bench", business_unit=unit))
        row, key = create_virtual_key(project=project, name="bench", models=["*"], expires_at=timezone.now() + timedelta(days=7))
        if governed:
            for scope, period in ({"key": row}, "daily"), ({"key": row}, "monthly"), ({"project": project}, "monthly"), ({"business_unit": unit}, "monthly"):
                save_budget(Budget(name=f"bench {period}", period=period, amount=MOST_NANOUSD // 8, **scope))
            for scope, kind, amount in ({"key": row}, "rpm", 10**7), ({"key": row}, "tpm", 10**12), ({"project": project}, "parallel", 10**5):
                save_limit(Limit(kind=kind, amount=amount, **scope))
    return key


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings")
    django.setup()
    print(provision(sys.argv[1], "ungoverned" not in sys.argv[2:]))
