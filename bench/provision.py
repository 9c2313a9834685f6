"""Give an installation what the bench calls: a provider account at the mock, the model bench-mock, and a key. Prints the key.

Run it with the installation's own SYMBIOSIS_* settings: `python -m bench.provision http://127.0.0.1:9111/v1`.
"""

import os
import sys
from datetime import timedelta


def provision(upstream_url: str) -> str:
    """Write the rows in one transaction and return the text of a key valid for a week; raises IntegrityError when there already."""
    from django.db import transaction  # Django is set up by now
    from django.utils import timezone

    from accounts import keys
    from accounts.models import BusinessUnit, Project, VirtualKey
    from gateway.models import Deployment, Model, ProviderAccount
    from gateway.sealing import Sealer
    from gateway.settings import settings

    fresh = keys.make()
    version, pepper = max(settings.peppers.items())
    with transaction.atomic():
        account = ProviderAccount(
            slug="bench-mock",
            name="Mock upstream of the bench",
            provider="openai_compatible",
            base_url=upstream_url,
        )
        account.sealed_credential = Sealer(settings.kek).seal(b"sk-bench", b"provider-account:" + account.id.bytes)
        account.save()
        model = Model.objects.create(name="bench-mock", owned_by="bench", unknown_price=Model.UnknownPrice.FREE)
        Deployment.objects.create(model=model, account=account, upstream_model="bench-mock")
        unit = BusinessUnit.objects.create(name="Bench")
        VirtualKey.objects.create(
            public_id=fresh.public_id,
            name="bench",
            project=Project.objects.create(name="Bench", business_unit=unit),
            digest=keys.digest(fresh.text.encode(), pepper),
            pepper_version=version,
            models=["*"],
            expires_at=timezone.now() + timedelta(days=7),
        )
    return fresh.text


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings")
    django.setup()
    print(provision(sys.argv[1]))
