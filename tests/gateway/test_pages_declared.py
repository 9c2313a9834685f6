"""Every page of the portal and the admin is declared in the access matrix, and answers whom the declaration names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib import admin
from django.test import Client
from django.urls import get_resolver

from accounts.access.document import page
from accounts.access.matrix import ADMIN, ADMIN_FRAME, PORTAL

pytestmark = pytest.mark.django_db
# Answered by faces of their own, each with a table of its own.
ELSEWHERE = ("admin/", "api/", "scim/")
PLATFORM = ("it_admin", "security_officer", "finance", "auditor")


def walk(patterns: Any, before: str = "") -> Iterator[str]:
    for pattern in patterns:
        path = f"{before}{pattern.pattern}"
        if hasattr(pattern, "url_patterns"):
            yield from walk(pattern.url_patterns, path)
        else:
            yield path


def pages() -> list[str]:
    return list(dict.fromkeys(walk(get_resolver().url_patterns)))


def test_every_page_of_the_portal_is_declared_and_every_declared_one_is_served() -> None:
    assert {path for path in pages() if not path.startswith(ELSEWHERE)} == set(PORTAL)


def test_strangers_get_no_page_that_is_not_for_everybody() -> None:
    sample = {"<str:public_id>": "key_0000000000", "<str:verb>": "revoke", "<int:number>": "1", "<str:session>": "x", "<str:token>": "x"}
    sample["<str:kind>"] = "credit"
    for path, who in PORTAL.items():
        target = path
        for hole, value in sample.items():
            target = target.replace(hole, value)
        for method in ("get", "post"):
            answer = getattr(Client(), method)(f"/{target}")
            if who == "anyone":
                assert (answer.status_code, "/login" in answer.headers.get("Location", "")) == (302, True), (method, path, answer.status_code)
            else:
                assert answer.status_code < 500, (method, path)


def test_every_page_of_the_admin_belongs_to_declared_rows_or_to_its_frame() -> None:
    rows = {f"{model._meta.app_label}/{model._meta.model_name}/" for model in admin.site._registry}
    undeclared = [
        path.removeprefix("admin/")
        for path in pages()
        if path.startswith("admin/") and path.removeprefix("admin/") not in ADMIN_FRAME and not any(path.startswith(f"admin/{row}") for row in rows)
    ]
    assert undeclared == []
    assert {model._meta.app_label for model in admin.site._registry} <= set(ADMIN)


def test_the_page_of_the_documentation_says_what_the_matrix_says() -> None:
    assert (Path(settings.BASE_DIR) / "docs" / "reference" / "access.md").read_text() == page()
