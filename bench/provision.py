"""Give an installation what the bench calls: a provider account at the mock, the model bench-mock, and a key. Prints the key.

Run it with the installation's own SYMBIOSIS_* settings: `python -m bench.provision http://127.0.0.1:9111/v1`.
"""

import os
import sys
from datetime import timedelta


def provision(upstream_url: str) -> str:
    """Make everything in one transaction and return the text of a key valid for a week; raises ValidationError when it is there already."""
    from django.db import transaction  # Django is set up by now
    from django.utils import timezone

    from accounts.actions import save_business_unit, save_project
    from accounts.models import BusinessUnit, Project
    from gateway.actions import create_virtual_key, save_provider_account, save_row
    from gateway.models import Deployment, Model, ProviderAccount

    account = ProviderAccount(slug="bench-mock", name="Mock upstream of the bench", provider="openai_compatible", base_url=upstream_url)
    model = Model(name="bench-mock", owned_by="bench", unknown_price=Model.UnknownPrice.FREE)
    with transaction.atomic():
        save_provider_account(account, "sk-bench")
        save_row(model)
        save_row(Deployment(model=model, account=account, upstream_model="bench-mock"))
        project = save_project(Project(name="Bench", business_unit=save_business_unit(BusinessUnit(name="Bench"))))
        _, key = create_virtual_key(project=project, name="bench", models=["*"], expires_at=timezone.now() + timedelta(days=7))
    return key


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings")
    django.setup()
    print(provision(sys.argv[1]))
