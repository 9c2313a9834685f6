"""Demo content: loaded once, told in a private file, removed without a trace."""

from datetime import UTC, datetime

import pytest
from django.core.management import call_command

from accounts.models import BusinessUnit, PersonalToken, Project, ServiceAccount, User, VirtualKey
from accounts.personal_tokens import find_person
from billing.models import Budget, CreditGrant, Limit, Price, UsageRecord
from billing.verification import verify
from gateway import demo
from gateway.models import Deployment, Model, ProviderAccount, Revision
from gateway.settings import settings

pytestmark = pytest.mark.django_db
TABLES = (User, BusinessUnit, Project, VirtualKey, ServiceAccount, Budget, Limit, CreditGrant, ProviderAccount, Model, Deployment, UsageRecord)


def test_demo_content_is_loaded_once_kept_and_removed(django_capture_on_commit_callbacks) -> None:  # type: ignore[no-untyped-def]
    facts, written = demo.load("http://localhost:8000", "http://127.0.0.1:8001")
    counts = {table: table._default_manager.count() for table in TABLES}
    revision = Revision.objects.get().number
    assert written
    assert {table.__name__: count for table, count in counts.items() if table is not UsageRecord} == {
        "User": 5, "BusinessUnit": 2, "Project": 1, "VirtualKey": 1, "ServiceAccount": 1, "Budget": 3, "Limit": 2, "CreditGrant": 1,
        "ProviderAccount": 4, "Model": 16, "Deployment": 16
    }  # fmt: skip
    assert 2000 < counts[UsageRecord] < 6000
    assert (demo.facts(), demo.facts_path().stat().st_mode & 0o777) == (facts, 0o600)
    assert User.objects.get(email=facts["users"]["admin"]).check_password(facts["password"])
    assert (demo.load("http://localhost:8000", "http://127.0.0.1:8001"), Revision.objects.get().number) == ((facts, False), revision)
    moved, _ = demo.load("http://localhost:9000", "http://127.0.0.1:9001")
    assert (moved["base_url"], moved["key"], moved["password"]) == ("http://localhost:9000/v1", facts["key"], facts["password"])
    assert moved["service_account"] == facts["service_account"] and facts["service_account"].startswith("sgw_sa_")
    people = {name: find_person(text.encode(), settings.peppers) for name, text in facts["tokens"].items()}
    assert {name: user and user.email for name, user in people.items()} == {name: facts["users"][name] for name in ("dev", "manager", "security")}
    assert moved["tokens"] == facts["tokens"]
    assert {table: table._default_manager.count() for table in TABLES} == counts
    with django_capture_on_commit_callbacks(execute=True):
        call_command("demo_remove")
    assert [table._default_manager.count() for table in TABLES] + [Price.objects.filter(source="simulated").count()] == [0] * (
        len(TABLES) + 1
    )
    assert (demo.facts_path().exists(), PersonalToken.objects.count()) == (False, 0)
    assert verify().first_bad == ""


def test_past_usage_repeats_and_is_marked() -> None:
    from gateway.demo_usage import past_usage

    demo.load("http://localhost:8000", "http://127.0.0.1:8001")
    project, key = Project.objects.get(), VirtualKey.objects.get()
    deployments = list(Deployment.objects.select_related("model", "account", "price").order_by("model__name"))
    today = datetime(2026, 11, 20, tzinfo=UTC)
    first, second = (
        [(row.call_id, row.cost_nanousd, row.is_demo) for row in past_usage(project, key, deployments, today)] for _ in range(2)
    )
    assert first == second
    assert all(marked for _, _, marked in first) and sum(cost for _, cost, _ in first) > 0
    weekdays = [datetime.fromtimestamp(int(call_id[5:16], 16) / 1000, UTC).weekday() for call_id, _, _ in first]
    assert sum(day < 5 for day in weekdays) > 5 * sum(day >= 5 for day in weekdays)
