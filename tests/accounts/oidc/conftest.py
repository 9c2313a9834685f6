"""A provider, and a browser that follows it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from django.conf import settings as django_settings
from django.http import HttpResponse
from django.test import Client

from accounts.oidc.configuration import Configuration
from tests.fakes.openid import AUDIENCE, CLIENT, SECRET, OpenId, openid_provider


@pytest.fixture
def openid(settings: Any) -> Iterator[OpenId]:
    """A provider this installation trusts."""
    with openid_provider() as told:
        settings.OIDC = Configuration(issuer=told.origin, client_id=CLIENT, client_secret=SECRET, audience=AUDIENCE, private_addresses="loopback")
        yield told


def tell(**changes: Any) -> None:
    """Change what the installation was told about its provider."""
    django_settings.OIDC = replace(django_settings.OIDC, **changes)


def start(client: Client) -> httpx.URL:
    """Begin to sign in and return where the browser is sent."""
    return httpx.URL(client.get("/oidc/start").headers["location"])


def sign_in(client: Client) -> HttpResponse:
    """Sign in all the way and return the answer to the callback."""
    at_provider = httpx.get(start(client))
    return come_back(client, at_provider.headers["location"])


def come_back(client: Client, address: str) -> HttpResponse:
    """Follow the provider's redirect."""
    return client.get(address.removeprefix("http://testserver"))  # type: ignore[return-value]  # the test client's own class
