"""A directory that comes with its token."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.scim.tokens import make_token

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class Directory:
    """Speaks SCIM to the gateway."""

    def __init__(self, name: str = "directory", **fields: Any) -> None:
        version = max(settings.KEY_PEPPERS)
        expires_at = timezone.now() + timedelta(days=1)
        pepper = {"pepper": settings.KEY_PEPPERS[version], "pepper_version": version}
        self.row, self.token = make_token(name=name, expires_at=expires_at, **pepper, **fields)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        given = {"authorization": f"Bearer {self.token}", **headers}
        sent = {} if body is None else {"data": body, "content_type": "application/scim+json"}
        return getattr(Client(), method)(f"/scim/v2/{path}", headers=given, **sent)  # type: ignore[no-any-return]

    def get(self, path: str) -> Any:
        return self.ask("get", path).json()  # type: ignore[attr-defined]

    def create(self, name: str = "ada@example.com", **more: Any) -> Any:
        answer = self.ask("post", "Users", {"schemas": [USER], "userName": name, **more})
        return answer.json()  # type: ignore[attr-defined]

    def patch(self, path: str, *operations: dict[str, Any], **headers: str) -> HttpResponse:
        return self.ask("patch", path, {"schemas": [PATCH], "Operations": list(operations)}, **headers)

    def group(self, name: str, *members: str) -> Any:
        listed = [{"value": member} for member in members]
        return self.ask("post", "Groups", {"schemas": [GROUP], "displayName": name, "members": listed}).json()  # type: ignore[attr-defined]


@pytest.fixture
def directory() -> Directory:
    return Directory()
