"""Every road into the admin, and the API by session, is closed without the second factor; so is every page of the portal for strangers."""

from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import AuditEvent, BusinessUnit, User
from tests.accounts.signin.people import first_step, person

pytestmark = pytest.mark.django_db
# What strangers may reach, by name of the address; a view that is marked open and is not listed here fails the suite.
OPEN = {
    "login", "code", "passkey", "passkey-done", "forgotten", "reset-link", "break-glass", "logout", "/admin/login/", "/admin/logout/",
    "oidc-start", "oidc-callback", "oidc-leave", "oidc-left",
}  # fmt: skip


def addresses(patterns: list[Any], start: str = "") -> list[tuple[str, str, Any]]:
    """Return every address as path, name and view; converters are filled with something that fits."""
    found = []
    for pattern in patterns:
        path = start + filled(pattern)
        if isinstance(pattern, URLResolver):
            found += addresses(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            found.append((f"/{path}", pattern.name or "", pattern.callback))
    return found


def filled(pattern: Any) -> str:
    """Return a pattern's text with something that fits in the place of each converter."""
    text = str(pattern.pattern)
    for name in pattern.pattern.converters:
        kind = type(pattern.pattern.converters[name]).__name__.removesuffix("Converter").lower()
        text = text.replace(f"<{name}>", "1")
        text = text.replace(f"<{kind}:{name}>", {"uuid": "6f3c1d34-2c60-4ee6-9d4c-0d8c8b1cfa00", "int": "1"}.get(kind, "x"))
    return text.replace("(?P<url>.*)$", "anything/").replace("^", "").replace("(?P<app_label>accounts|billing|gateway|django_celery_beat)/$", "accounts/")


ADMIN = sorted({path for path, *_ in addresses(get_resolver().url_patterns) if path.startswith("/admin/") and path != "/admin/login/"})
PORTAL = [(path, name, view) for path, name, view in addresses(get_resolver().url_patterns) if not path.startswith(("/admin/", "/api/", "/scim/"))]


def is_refused(answer: Any) -> bool:
    """Say whether an answer leads to sign in or to the set-up, and shows nothing."""
    location = answer.headers.get("Location", "")
    return answer.status_code == 302 and location.startswith(("/login", "/account/authenticator")) and not answer.content


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("factor", ["nobody", "owes-set-up", "owes-code"])
def test_every_road_into_the_admin_is_closed_without_the_second_factor(method: str, factor: str) -> None:
    client = Client() if factor == "nobody" else first_step(person("it_admin", app=factor == "owes-code"))[0]
    before = BusinessUnit.objects.count(), User.objects.count()
    open_roads = [path for path in ADMIN if path != "/admin/logout/" and not is_refused(getattr(client, method)(path, {"name": "x"}))]
    assert (len(ADMIN) > 100, {"/admin/jsi18n/", "/admin/autocomplete/", "/admin/password_change/", "/admin/accounts/user/add/"} <= set(ADMIN)) == (True, True)
    assert (open_roads, (BusinessUnit.objects.count(), User.objects.count())) == ([], before)


SPELLINGS = ("/admin", "/admin/", "//admin/", "/admin//", "/admin/./", "/admin/%2e%2e/admin/", "/ADMIN/", "/admin/accounts/user", "/admin;/")


@pytest.mark.parametrize("path", SPELLINGS)
def test_no_spelling_of_the_path_opens_the_admin(path: str) -> None:
    clients = (Client(), first_step(person("it_admin"))[0])
    assert [client.get(path).status_code in (301, 302, 404) for client in clients] == [True, True]


def test_what_strangers_may_reach_is_listed() -> None:
    assert {name or path for path, name, view in addresses(get_resolver().url_patterns) if getattr(view, "gate", "") == "open"} == OPEN


def test_strangers_reach_nothing_else() -> None:
    closed = [path for path, _, view in PORTAL if getattr(view, "gate", "") != "open" and "(?P" not in path]
    assert (len(closed) > 10, [path for path in closed if not is_refused(Client().get(path)) or not is_refused(Client().post(path))]) == (True, [])


@pytest.mark.parametrize("app", [False, True])
def test_the_api_by_session_is_closed_without_the_second_factor(app: bool) -> None:
    client, _ = first_step(person("auditor", app=app))
    answer = client.get("/api/v1/projects")
    told = (answer.status_code, answer.json()["code"])
    assert told == ((401, "not_authenticated") if app else (403, "second_factor_required"))


def test_who_has_no_role_is_told_so_and_it_is_recorded() -> None:
    client, _ = first_step(person())
    answer = client.get("/admin/")
    assert (answer.status_code, "no role that opens the admin" in answer.content.decode()) == (403, True)
    assert AuditEvent.objects.filter(action="access.refuse", outcome="refused").count() == 1


def test_the_admins_own_sign_in_is_ours() -> None:
    answer = Client().get("/admin/login/?next=/admin/accounts/user/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/login?next=/admin/accounts/user/")
    assert Client().post("/admin/login/", {"username": "x", "password": "y"}).headers["Location"] == "/login"
