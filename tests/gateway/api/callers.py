"""Those who call the management API in tests: programs by token and people by session."""

import json
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts.models import BusinessUnit, Membership, Project, ServiceAccount, User
from accounts.service_accounts import SCOPES, make_service_account
from accounts.signin.enter import PROVED_AT
from billing.models import UsageRecord

API = "/api/v1/"


class Caller:
    """A client that speaks JSON; paths are those below /api/v1/."""

    def __init__(self, token: str = "", user: User | None = None, csrf: bool = False) -> None:
        self.user = user
        headers = {"host": "localhost", **({"authorization": f"Bearer {token}"} if token else {})}
        self.client = Client(enforce_csrf_checks=csrf, headers=headers)
        if user:
            self.client.force_login(user)
            session = self.client.session
            session[PROVED_AT] = int(timezone.now().timestamp())
            session.save()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Return the answer; headers are given as if_match=..."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = {} if body is None else {"data": body if isinstance(body, bytes) else json.dumps(body), "content_type": "application/json"}
        return self.client.generic(method, path if path.startswith("/") else API + path, headers=named, **content)

    def get(self, path: str, **headers: str) -> Any:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.ask("POST", path, body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self.ask("PATCH", path, body, **headers)

    def made(self, path: str, body: Any) -> Any:
        """Return what a successful POST answered."""
        answer = self.post(path, body)
        assert answer.status_code == 201, answer.content
        return answer.json()

    def ids(self, path: str) -> list[str]:
        """Return the ids of a list."""
        return [row["id"] for row in self.get(path).json()["data"]]


def service_account(name: str = "automation", scopes: tuple[str, ...] = SCOPES, **place: Any) -> tuple[ServiceAccount, str]:
    """Make a service account; without a place it is the platform's."""
    return make_service_account(
        name=name, scopes=list(scopes), expires_at=timezone.now() + timedelta(days=1), pepper=settings.KEY_PEPPERS[1], pepper_version=1, **place
    )


def program(name: str = "automation", scopes: tuple[str, ...] = SCOPES, **place: Any) -> Caller:
    """Return a caller with a new service account."""
    return Caller(service_account(name, scopes, **place)[1])


def person(platform_role: str = "", name: str = "someone", **place: Any) -> Caller:
    """Return a signed-in caller with a platform role or a membership."""
    user = User.objects.create_user(f"{name}@example.com", "x" * 14, role=platform_role)
    if place:
        Membership.objects.create(user=user, **place)
    return Caller(user=user)


def call(project: Project, key: str, call_id: str, **fields: Any) -> UsageRecord:
    """Record a call."""
    return UsageRecord.objects.create(
        **{
            "call_id": call_id, "started_at": timezone.now(), "duration_ms": 12, "key": key, "project": project.id,
            "business_unit": project.business_unit_id, "model": "m", "provider": "openai", "endpoint": "/v1/chat/completions", "status": 200,
            "outcome": "ok", "usage_source": "provider", "input_tokens": 7, "output_tokens": 3, "cost_nanousd": 1_500_000,
            "attempts": [["a/m", "a", "ok", 200, 9]], **fields,
        }
    )  # fmt: skip


def company() -> tuple[BusinessUnit, BusinessUnit, Project, Project]:
    """Make an organisation with a unit that has a project, and another organisation with one."""
    mine = BusinessUnit.objects.create(name="Mine")
    below = BusinessUnit.objects.create(name="Below", parent=mine)
    theirs = BusinessUnit.objects.create(name="Theirs")
    return mine, below, Project.objects.create(name="P", business_unit=below), Project.objects.create(name="Q", business_unit=theirs)
