"""Every list is a file too: what its visitor sees and filtered, whole, and nothing in it runs in a spreadsheet."""

import csv
import io
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.grants import Asking
from accounts.requests import asking
from gateway.actions import create_virtual_key
from tests.gateway.portal.company import USD, Visitor, company, visitor

pytestmark = pytest.mark.django_db


def lines(who: Visitor, path: str) -> list[dict[str, str]]:
    answer = who.browser.get(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode())))


def test_lists_are_files_of_what_ones_own_filters_show() -> None:
    here, eve = company(), visitor("eve")
    for name in ("=cmd()", "app"):
        create_virtual_key(project=here.project, name=name, models=["*"], expires_at=timezone.now() + timedelta(days=9))
    keys = lines(here.owner, "/keys?format=csv")
    assert sorted((row["name"], row["project"], row["state"]) for row in keys) == [("'=cmd()", "P", "active"), ("app", "P", "active")]
    assert lines(here.owner, "/keys?state=revoked&format=csv") == []
    row = asking.submit(Asking("credit", f"prj_{here.project.pk.hex}", here.dev.user, {}, 12_500_000_000), "@load, \"test\"\nx")
    for path in ("/requests?format=csv", "/approvals?format=csv"):
        found = lines(here.boss, path)
        assert [(one["id"], one["amount USD"], one["reason"], one["by"]) for one in found] == [
            (row.shown_id, "12.5", "'@load, \"test\"\nx", "developer@example.com"),
        ]  # fmt: skip
    assert lines(here.dev, "/requests?state=denied&format=csv") == []
    assert [(one["project"], one["active keys"], one["spent this month USD"]) for one in lines(here.dev, "/?format=csv")] == [("P", "2", "0")]
    assert [lines(eve, f"{path}?format=csv") for path in ("/", "/keys", "/requests", "/approvals", "/tokens")] == [[]] * 5


def test_a_file_holds_every_page() -> None:
    here = company()
    for _ in range(49):
        asking.submit(Asking("credit", f"prj_{here.project.pk.hex}", here.dev.user, {}, USD), "r")
    for _ in range(3):
        asking.submit(Asking("credit", f"prj_{here.project.pk.hex}", here.owner.user, {}, USD), "r")
    assert len(lines(here.boss, "/requests?format=csv")) == 52
