"""Somebody leaves: the company's directory says so over HTTP, and at once nothing of theirs works any more."""

import json

import httpx
import pytest

from tests.fakes.service import Service, wait_for

pytestmark = pytest.mark.journey
WITHIN_S = 5.0
PREPARE = """
import json
from datetime import timedelta
from django.conf import settings
from django.utils import timezone
from accounts.scim.tokens import make_token
made = {"expires_at": timezone.now() + timedelta(days=1), "pepper": settings.KEY_PEPPERS[1], "pepper_version": 1}
print(json.dumps(make_token(name="leavers", **made)[1]))
"""
EQUIP = """
import json
from datetime import timedelta
from django.conf import settings
from django.utils import timezone
from accounts import actions
from accounts.models import Membership, Project, User
from accounts.personal_tokens import make_personal_token
user = User.objects.get(pk={0!r})
project = Project.objects.filter(is_demo=True).first()
actions.save_membership(Membership(user=user, project=project, role="developer"))
made = {{"expires_at": timezone.now() + timedelta(days=1), "pepper": settings.KEY_PEPPERS[1], "pepper_version": 1}}
key = actions.make_key(project=project, owner=user, name="the leaver's", models=["*"], **made)[1]
print(json.dumps([key, make_personal_token(user=user, name="t", scopes=["keys:read"], **made)[1]]))
"""


def test_whoever_the_directory_deactivates_is_out_at_once(service: Service) -> None:
    token = json.loads(service.manage("shell", "-c", PREPARE).splitlines()[-1])
    with httpx.Client(base_url=f"{service.origin}/scim/v2/", headers={"authorization": f"Bearer {token}"}, timeout=20) as directory:
        made = directory.post("Users", json={"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "leaver@example.com"}).json()
        key, personal = json.loads(service.manage("shell", "-c", EQUIP.format(made["id"])).splitlines()[-1])

        def works() -> tuple[int, int]:
            ask = {"model": "sim-chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}
            asked = httpx.get(f"{service.origin}/api/v1/me", headers={"authorization": f"Bearer {personal}"}, timeout=20)
            return service.post("/v1/chat/completions", ask, key)[0], asked.status_code

        assert works() == (200, 200)
        schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]
        gone = directory.patch(f"Users/{made['id']}", json={"schemas": schemas, "Operations": [{"op": "replace", "value": {"active": False}}]})
        assert gone.status_code == 200, gone.text
        assert wait_for(lambda: works() == (401, 401), WITHIN_S, "nothing of theirs works")
