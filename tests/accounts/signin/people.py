"""People who sign in through the pages, step by step."""

import base64
from datetime import UTC, datetime
from typing import Any

from django.test import Client
from django.utils import timezone
from django_otp.oath import TOTP

from accounts import actions
from accounts.models import User
from accounts.signin import factors

PASSWORD = "a-long-enough-one"
SECRET = b"12345678901234567890"
START = datetime(2026, 11, 25, 9, 0, 15, tzinfo=UTC)


def person(role: str = "", *, app: bool = False, email: str = "", **fields: Any) -> User:
    """Make a user with a password, and with an authenticator app if said."""
    user = actions.save_user(User(email=email or f"{role or 'dev'}@example.com", role=role, **fields), PASSWORD)
    if app:
        factors.store_authenticator(user, SECRET, confirmed=True)
    return user


def code(secret: bytes = SECRET, steps: int = 0) -> str:
    """Return the code an app shows now, or some steps of 30 s later."""
    clock = TOTP(secret)
    clock.time = timezone.now().timestamp() + 30 * steps
    return f"{clock.token():06}"


def shown_secret(page: str) -> bytes:
    """Return the secret that the set-up page shows."""
    return base64.b32decode(page.split('id="secret">')[1].split("<", maxsplit=1)[0])


def first_step(user: User, client: Client | None = None, password: str = PASSWORD, **more: str) -> tuple[Client, Any]:
    """Give e-mail address and password; return the browser and the answer."""
    client = client or Client()
    return client, client.post("/login", {"username": user.email.upper(), "password": password, **more})


def signed_in(user: User, steps: int = 0) -> Client:
    """Return a browser that went through both steps."""
    client, _ = first_step(user)
    answer = client.post("/login/code", {"code": code(steps=steps)})
    assert answer.status_code == 302, answer.content
    return client
