"""Keys of a running copy, made through the product's own actions as an administrator would make them."""

import json
from collections.abc import Mapping, Sequence

from tests.fakes.service import Service

ISSUE = """
import json
from datetime import timedelta
from django.utils import timezone
from accounts.actions import set_key_state
from accounts.models import Project
from gateway.actions import create_virtual_key
told = {}
for name, (models, state) in json.loads(%r).items():
    key, told[name] = create_virtual_key(
        project=Project.objects.get(name="Sandbox"), name=name, models=models, expires_at=timezone.now() + timedelta(days=1)
    )
    set_key_state(key, state)
print(json.dumps(told))
"""


def issue(service: Service, keys: Mapping[str, tuple[Sequence[str], str]]) -> dict[str, str]:
    """Make keys (name: models, state) in one go and return their texts by name."""
    told: dict[str, str] = json.loads(service.manage("shell", "-v", "0", "-c", ISSUE % json.dumps(keys)))
    return told
