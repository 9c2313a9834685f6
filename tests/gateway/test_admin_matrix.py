"""The admin's access matrix, run in full: every page of every kind of rows, every platform role, what it opens and what it writes."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.messages.storage.fallback import FallbackStorage
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.test import Client, RequestFactory
from django.urls import URLPattern, resolve, reverse

from accounts.access import role_permissions
from accounts.access.matrix import ADMIN_ROWS, AdminRows
from accounts.models import User
from accounts.session_store import SessionStore
from tests.gateway.admin_rows import rows
from tests.gateway.api.company import company
from tests.gateway.api.test_matrix import undone

pytestmark = [pytest.mark.django_db, pytest.mark.once]
PLATFORM = ("it_admin", "security_officer", "finance", "auditor")
# What Django's own pages of a kind of rows are called.
USUAL = ("changelist", "add", "change", "delete", "history")


def label_of(model: Any) -> str:
    return str(model._meta.label_lower)


def name_of(model: Any, page: str) -> str:
    return f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"


def more_pages(model: Any) -> list[URLPattern]:
    """Return the pages a kind of rows has beyond Django's own and those of acts."""
    start = f"{model._meta.app_label}_{model._meta.model_name}_"
    usual = {"", *(start + page for page in (*USUAL, "act"))}
    return [pattern for pattern in admin.site._registry[model].get_urls() if (pattern.name or "") not in usual]


def acts_of(model: Any) -> list[str]:
    """Return the names of the acts with a page of their own."""
    return list(getattr(admin.site._registry[model], "acts", {}))


def writing_actions(model: Any) -> list[str]:
    """Return the bulk actions of a kind of rows that do more than read."""
    page = admin.site._registry[model]
    named = [getattr(page, one) if isinstance(one, str) else one for one in page.actions or ()]
    return [one.__name__ for one in named if getattr(one, "allowed_permissions", None) != ["view"]]


def page_word(pattern: URLPattern) -> str:
    """Return what the matrix calls a further page: the last fixed word of its address."""
    words = [word for word in str(pattern.pattern).split("/") if word and not word.startswith("<")]
    return words[-1].removeprefix("to-").removeprefix("open-") if words else ""


def who_opens(model: Any, pattern: URLPattern, line: AdminRows) -> frozenset[str] | None:
    """Return who opens a further page by the matrix; what leads to an act is opened by those who act, None where the row says whether there is a button."""
    word = page_word(pattern)
    if word in line.pages:
        return line.pages[word]
    leads_to_act = "<path:object_id>" in str(pattern.pattern) and acts_of(model)
    if not leads_to_act:
        raise AssertionError(f"{label_of(model)}: declare the page {word!r} in accounts.access.matrix.ADMIN_PAGES.")
    return line.acts if line.acts != line.read else None


def person(role: str) -> User:
    return User.objects.get_or_create(email=f"{role or 'anyone'}@example.com", defaults={"role": role})[0]


def by_browser(user: User) -> Callable[[str, dict[str, Any] | None], int]:
    """Return how a signed-in person asks for pages, through everything that stands before them, each made to the end."""
    client = Client(headers={"host": "localhost"}, raise_request_exception=False)
    client.force_login(user)
    return lambda target, form: (client.get(target) if form is None else client.post(target, form)).status_code


def by_view(user: User) -> Callable[[str, dict[str, Any] | None], int]:
    """Return how a person asks the views themselves, which is five times as fast: pages are decided about and not made."""
    factory = RequestFactory(headers={"host": "localhost"})

    def ask(target: str, form: dict[str, Any] | None) -> int:
        request = factory.get(target) if form is None else factory.post(target, form)
        request.user, request.session = user, SessionStore()
        request.session["proved_at"] = int(time.time())
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
        request._messages = FallbackStorage(request)  # type: ignore[attr-defined]
        request.resolver_match = match = resolve(request.path_info)
        try:
            status: int = match.func(request, *match.args, **match.kwargs).status_code
        except PermissionDenied:
            return 403
        except Http404:
            return 404
        return status

    return ask


def test_every_kind_of_rows_and_every_further_page_is_declared() -> None:
    assert {label_of(model) for model in admin.site._registry} == set(ADMIN_ROWS)
    for model in admin.site._registry:
        line = ADMIN_ROWS[label_of(model)]
        for pattern in more_pages(model):
            who_opens(model, pattern, line)
        assert set(line.pages) <= {page_word(pattern) for pattern in more_pages(model)}, label_of(model)
        acts = [*acts_of(model), *writing_actions(model)]
        assert bool(line.acts) == bool(acts), f"{label_of(model)}: acts are declared for {sorted(line.acts)}, and there are {acts}"


@pytest.mark.parametrize("role", PLATFORM)
def test_permissions_are_those_of_the_matrix(role: str) -> None:
    held = role_permissions(role)
    for label, line in ADMIN_ROWS.items():
        app, name = label.split(".")
        by_action = {"view": line.read, "add": line.add, "change": line.change | line.acts, "delete": line.delete}
        assert {action: f"{app}.{action}_{name}" in held for action in by_action} == {action: role in roles for action, roles in by_action.items()}, label


def trials(model: Any, row: Any, role: str) -> Iterator[tuple[str, str, dict[str, Any] | None, set[int]]]:
    """Return what to ask a page of rows, with what, and with which statuses it may be answered."""
    line, refused = ADMIN_ROWS[label_of(model)], {403}

    def allowed(roles: frozenset[str], *statuses: int) -> set[int]:
        return set(statuses) if role in roles else refused

    yield "list", reverse(name_of(model, "changelist")), None, allowed(line.read, 200)
    yield "add", reverse(name_of(model, "add")), None, allowed(line.add, 200)
    yield "add it", reverse(name_of(model, "add")), {}, allowed(line.add, 200)
    for pattern in more_pages(model):
        who = who_opens(model, pattern, line)
        if "<" not in str(pattern.pattern):
            yield page_word(pattern), f"{reverse(name_of(model, 'changelist'))}{pattern.pattern}", None, allowed(who or line.read, 200, 302, 400)
        elif row is not None:
            target = f"{reverse(name_of(model, 'changelist'))}{row.pk}/{str(pattern.pattern).partition('/')[2]}"
            yield page_word(pattern), target, None, {302, 403} if who is None and role in line.read else allowed(who or line.read, 200, 302)
    if row is None:
        return
    at = [row.pk]
    yield "page", reverse(name_of(model, "change"), args=at), None, allowed(line.read, 200)
    yield "history", reverse(name_of(model, "history"), args=at), None, allowed(line.read, 200)
    # a form that lacks everything is shown again, one without fields is taken
    yield "change it", reverse(name_of(model, "change"), args=at), {}, allowed(line.change, 200, 302)
    yield "delete", reverse(name_of(model, "delete"), args=at), None, allowed(line.delete, 200)
    yield "delete it", reverse(name_of(model, "delete"), args=at), {"post": "yes"}, allowed(line.delete, 200, 302)
    for act in acts_of(model):
        yield act, reverse(name_of(model, "act"), args=[row.pk, act]), None, allowed(line.acts, 200)
    yield "a row there is not", reverse(name_of(model, "change"), args=["no-such-row"]), None, allowed(line.read, 302, 404)


WAYS = {"it_admin": by_browser, "security_officer": by_view, "finance": by_view, "auditor": by_view, "": by_browser}


@pytest.mark.parametrize(("role", "way"), WAYS.items())
def test_every_page_opens_to_the_declared_roles_alone(role: str, way: Any) -> None:
    made = company()
    found = rows(made)
    ask, wrong = way(person(role)), []
    for model, row in found.items():
        for what, target, form, expected in trials(model, row, role):
            with undone():
                status = ask(target, form)
            if status not in expected:
                wrong.append((label_of(model), what, status, sorted(expected)))
    assert wrong == []


@pytest.mark.parametrize("role", PLATFORM)
def test_bulk_actions_are_offered_to_the_declared_roles_alone(role: str, rf: Any) -> None:
    request = rf.get("/")
    request.user = User.objects.create_user("x@example.com", role=role)
    for model, page in admin.site._registry.items():
        offered = set(page.get_actions(request)) & set(writing_actions(model))
        expected = set(writing_actions(model)) if role in ADMIN_ROWS[label_of(model)].acts else set()
        assert offered == expected, label_of(model)


def test_strangers_open_nothing() -> None:
    made = company()
    for model, row in rows(made).items():
        for _, target, form, _ in trials(model, row, ""):
            answer = Client().get(target) if form is None else Client().post(target, form)
            assert (answer.status_code, answer.headers["Location"].split("?")[0]) == (302, "/login"), target
