"""The admin's report pages, statements and imports, by role."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts.models import User
from billing.models import ReconciliationImport, Statement
from billing.rollups import fold
from tests.billing.spent import project, record, usage

pytestmark = pytest.mark.django_db
CASES = Path(__file__).parents[1] / "cases" / "vendor_usage"


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(User.objects.create_user(f"{role or 'none'}@example.com", role=role, is_staff=True))
    return client


def test_the_spend_page_and_the_focus_file() -> None:
    record(usage("1", project("<Search>")))
    fold()
    client = signed_in("finance")
    page = client.get(reverse("admin:billing_dayrollup_changelist"), {"by": "project", "first": "2026-10-01", "last": "2026-10-31"})
    assert (page.status_code, "&lt;Search&gt;" in page.content.decode(), "$0.002000" in page.content.decode()) == (200, True, True)
    assert "at most 400 days" in client.get(
        reverse("admin:billing_dayrollup_changelist"), {"by": "key", "first": "2026-10-01", "last": "2020-10-31"}
    ).content.decode()  # fmt: skip
    file = client.get(reverse("admin:billing_dayrollup_focus"), {"first": "2026-10-01", "last": "2026-10-31"})
    assert (file.status_code, len(file.getvalue().splitlines())) == (200, 2)
    assert client.get(reverse("admin:billing_dayrollup_focus")).status_code == 400


def test_a_month_is_closed_with_a_confirmation_and_downloaded() -> None:
    home = project().business_unit
    record(usage("1", project()))
    client = signed_in("finance")
    asked = {"unit": str(home.pk), "month": "2026-10"}
    with time_machine.travel(datetime(2026, 11, 3, tzinfo=UTC), tick=False):
        client.force_login(User.objects.get())
        assert (client.post(reverse("admin:billing_statement_add"), asked).status_code, Statement.objects.count()) == (200, 0)
        closed = client.post(reverse("admin:billing_statement_add"), {**asked, "sure": "on"}, follow=True)
        assert "Retail 2026-10 is closed: $0.002000." in closed.content.decode()
        again = client.post(reverse("admin:billing_statement_add"), {**asked, "sure": "on"})
        assert "Post a correction" in again.content.decode()
        starts = {name: client.get(reverse(f"admin:billing_statement_{name}", args=[Statement.objects.get().pk])).content[:5] for name in FILES}
        assert starts == FILES


FILES = {"pdf": b"%PDF-", "xlsx": b"PK\x03\x04\x14", "csv": b"Month"}


def test_an_import_shows_its_differences() -> None:
    client = signed_in("it_admin")
    url = reverse("admin:billing_reconciliationimport_add")
    file = SimpleUploadedFile("costs.csv", (CASES / "openai_costs.csv").read_bytes())
    page = client.post(url, {"vendor": "openai", "file": file}, follow=True).content.decode()
    assert ("gpt-5-2025-08-07" in page, "$0.002100" in page) == (True, True)
    bad = client.post(url, {"vendor": "openai", "file": SimpleUploadedFile("x.csv", b"start_time,amount\n1,x\n")}).content.decode()
    assert ("is not between" in bad, ReconciliationImport.objects.count()) == (True, 1)


@pytest.mark.parametrize("name", ["dayrollup_changelist", "statement_changelist", "statement_add", "reconciliationimport_add"])
def test_a_reader_writes_nothing_and_others_see_nothing(name: str) -> None:
    url = reverse(f"admin:billing_{name}")
    assert signed_in("auditor").get(url).status_code == (403 if name.endswith("add") else 200)
    assert signed_in("").get(url).status_code in (302, 403)
