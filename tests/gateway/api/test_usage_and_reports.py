"""Usage by any dimension and period, and reports, on the management API: true figures, and only of what the caller sees."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from accounts.models import AuditEvent, User
from billing.models import Statement
from billing.rollups import fold
from tests.billing.spent import MILLION, NOON, days_of, finance, key, project, record, usage
from tests.gateway.api.callers import Caller, person, program

pytestmark = pytest.mark.django_db
OCTOBER = "first=2026-10-01&last=2026-10-31"


@pytest.fixture(autouse=True)
def _november() -> Iterator[None]:
    with time_machine.travel(datetime(2026, 11, 3, 9, tzinfo=UTC), tick=False):
        yield


def refused(answer: Any) -> list[str]:
    assert answer.status_code == 400, answer.content
    return [error["field"] for error in answer.json()["errors"]]


def test_usage_adds_up_by_every_dimension_beside_the_period_before() -> None:
    search, shop = project(), project("Shop", "Wholesale")
    row = key(search)
    record(usage("1", search, tags="team=a"), usage("2", search, model="o3", end_user="ann"), usage("3", shop, NOON - timedelta(days=30), provider="azure"))
    fold()
    it = program()
    found = it.get(f"usage?{OCTOBER}").json()
    assert {name: found[name] for name in ("by", "first", "last", "has_more", "next_cursor")} == {
        "by": "project", "first": "2026-10-01", "last": "2026-10-31", "has_more": False, "next_cursor": None,
    }  # fmt: skip
    assert found["total"] == {
        "calls": 2, "errors": 0, "input_tokens": 2400, "cached_tokens": 2000, "output_tokens": 600, "cost_usd": "0.004", "saved_usd": "0.00",
        "mean_duration_ms": 800,
    }  # fmt: skip
    assert found["before"]["cost_usd"] == "0.002"
    lines = {
        by: [(line["value"], line["name"], line["cost_usd"], line["before_usd"]) for line in it.get(f"usage?{OCTOBER}&by={by}").json()["data"]]
        for by in ("project", "key", "model", "provider", "end_user", "tag")
    }
    assert lines == {
        "project": [(f"prj_{search.pk.hex}", "Search", "0.004", "0.00"), (f"prj_{shop.pk.hex}", "Shop", "0.00", "0.002")],
        "key": [(f"key_{row.public_id}", "Shop", "0.004", "0.002")],
        "model": [("gpt-5", "gpt-5", "0.002", "0.002"), ("o3", "o3", "0.002", "0.00")],
        "provider": [("openai", "openai", "0.004", "0.00"), ("azure", "azure", "0.00", "0.002")],
        "end_user": [("ann", "ann", "0.002", "0.00")],
        "tag": [("team=a", "team=a", "0.002", "0.00")],
    }


def test_usage_by_day_and_hour_is_in_order_and_narrowed() -> None:
    search, shop = project(), project("Shop", "Wholesale")
    row = key(search)
    record(*days_of(search, [MILLION, 2 * MILLION]), usage("shop", shop, key="other", model="o3"))
    fold()
    it = program()
    days = it.get(f"usage?by=day&first=2026-10-05&last=2026-10-07&key=key_{row.public_id}&model=gpt-5").json()["data"]
    assert [(day["value"], day["cost_usd"]) for day in days] == [("2026-10-05", "0.001"), ("2026-10-06", "0.002"), ("2026-10-07", "0.00")]
    hours = it.get(f"usage?by=hour&first=2026-10-05&last=2026-10-06&business_unit=bu_{shop.business_unit_id.hex}").json()["data"]
    assert [(hour["value"], hour["cost_usd"]) for hour in hours] == [("2026-10-05T12:00:00Z", "0.002")]


def test_usage_comes_in_pages_without_a_line_twice() -> None:
    search = project()
    record(*[usage(f"c{number}", search, model=f"m{number}", cost_nanousd=number // 2) for number in range(7)])
    fold()
    it, seen, cursor = program(), list[str](), ""
    while True:
        page = it.get(f"usage?{OCTOBER}&by=model&limit=3{cursor}").json()
        seen += [line["value"] for line in page["data"]]
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ["m6", "m4", "m5", "m2", "m3", "m0", "m1"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("by=password", "by"), ("first=2026-13-01", "first"), ("first=2026-10-02&last=2026-10-01", "last"), ("first=2020-01-01", "last"),
        ("last=0001-01-01", "last"), ("first=9999-12-31&last=9999-12-31", "last"), ("by=hour&first=2026-09-01", "last"), ("cursor=%00", "cursor"),
        ("cursor=W10", "cursor"), ("limit=0", "limit"), ("by=tag&model=gpt-5", "model"), ("naem=x", "naem"),
    ],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused_by_name(query: str, field: str) -> None:
    record(usage("1", project()))
    fold()
    assert refused(program().get(f"usage?{query}")) == [field]


def test_usage_is_only_that_of_projects_the_caller_sees() -> None:
    search, shop = project(), project("Shop", "Wholesale")
    foreign = key(shop, "foreign000")
    record(usage("1", search), usage("2", shop, key="foreign000", tags="t=1", end_user="ann"))
    fold()
    it = person("", "dev", project=search, role="developer")
    for by in ("project", "business_unit", "key", "model", "provider", "day", "hour"):
        found = it.get(f"usage?by={by}&{'first=2026-10-05&last=2026-10-05' if by == 'hour' else OCTOBER}").json()
        assert (found["total"]["calls"], sum(line["calls"] for line in found["data"])) == (1, 1), by
    narrow = [f"project=prj_{shop.pk.hex}", f"business_unit=bu_{shop.business_unit_id.hex}", f"key=key_{foreign.public_id}"]
    assert [it.get(f"usage?{OCTOBER}&{one}").json()["total"]["calls"] for one in narrow] == [0] * 3
    assert [it.get(f"usage?{OCTOBER}&by={by}").json()["data"] for by in ("tag", "end_user")] == [[], []]
    assert person("", "nobody").get(f"usage?{OCTOBER}").json()["total"]["calls"] == 0


def test_a_month_is_closed_by_a_person_and_read_by_the_unit_in_every_format() -> None:
    search, shop = project(), project("Shop", "Wholesale")
    record(usage("1", search), usage("2", shop))
    fay = Caller(user=finance())
    body = {"business_unit": f"bu_{search.business_unit_id.hex}", "month": "2026-10"}
    made = fay.made("reports", body)
    row = Statement.objects.get()
    assert {name: made[name] for name in ("kind", "month", "number", "calls", "total_usd", "late_usd", "chargeback_code", "content_hash")} == {
        "kind": "month", "month": "2026-10", "number": 1, "calls": 1, "total_usd": "0.002", "late_usd": "0.00", "chargeback_code": "CC-1",
        "content_hash": row.content_hash,
    }  # fmt: skip
    reader = person("", "viewer", business_unit=search.business_unit, role="viewer")
    files = {wanted: reader.get(f"reports/{made['id']}/file?as={wanted}") for wanted in ("csv", "xlsx", "pdf")}
    assert {wanted: answer.content[:4] for wanted, answer in files.items()} == {"csv": b"Mont", "xlsx": b"PK\x03\x04", "pdf": b"%PDF"}
    assert files["csv"].headers["Content-Disposition"] == 'attachment; filename="statement-2026-10-CC-1-1.csv"'
    assert (refused(reader.get(f"reports/{made['id']}/file?as=html")), refused(fay.get("reports?month=x"))) == (["as"], ["month"])
    assert (reader.ids("reports?month=2026-10"), reader.ids("reports?month=2026-09")) == ([made["id"]], [])
    foreign = person("", "foreign", business_unit=shop.business_unit, role="manager")
    assert (foreign.get(f"reports/{made['id']}/file").status_code, foreign.ids("reports"), foreign.post("reports", body).status_code) == (404, [], 403)
    assert (program().post("reports", body).status_code, fay.post("reports", body).status_code) == (403, 400)
    assert AuditEvent.objects.filter(action="statement.create").count() == 1


def test_a_correction_says_why_and_a_report_takes_no_more_than_its_kind_needs() -> None:
    search = project()
    record(usage("1", search))
    fay, unit = Caller(user=finance()), f"bu_{search.business_unit_id.hex}"
    fay.made("reports", {"business_unit": unit, "month": "2026-10"})
    record(usage("late", search))
    assert refused(fay.post("reports", {"business_unit": unit})) == ["month"]
    assert refused(fay.post("reports", {"business_unit": unit, "month": "2026-10", "reason": "x"})) == ["month"]
    assert refused(fay.post("reports", {"business_unit": unit, "kind": "correction"})) == ["reason"]
    made = fay.made("reports", {"business_unit": unit, "kind": "correction", "reason": "late journal"})
    assert (made["kind"], made["total_usd"], made["late_usd"], made["reason"], made["number"]) == ("correction", "0.002", "0.002", "late journal", 2)


def test_the_forecast_and_anomalies_are_those_of_visible_projects() -> None:
    search = project()
    first = datetime(2026, 9, 1, 12, tzinfo=UTC)
    record(*days_of(search, [1000 * MILLION] * 58 + [9000 * MILLION], first))
    fold()
    it, stranger = person("", "dev", project=search, role="viewer"), person("", "stranger")
    assert it.get(f"reports/forecast?project=prj_{search.pk.hex}").json() == {
        "month": "2026-11", "spent_usd": "0.00", "expected_usd": it.get("reports/forecast").json()["expected_usd"],
        "low_usd": it.get("reports/forecast").json()["low_usd"], "high_usd": it.get("reports/forecast").json()["high_usd"], "history_days": 56,
    }  # fmt: skip
    (one,) = it.get(f"reports/anomalies?{OCTOBER}").json()["data"]
    assert (one["day"], one["cost_usd"], one["usual_usd"], one["cause"]["dimension"]) == ("2026-10-29", "9.00", "1.00", "project")
    assert (one["cause"]["value"], one["cause"]["name"]) == (f"prj_{search.pk.hex}", "Search")
    assert stranger.get("reports/anomalies").status_code == 403
    assert person("", "other", project=project("Shop", "Wholesale"), role="viewer").get(f"reports/anomalies?{OCTOBER}").json() == {"data": []}
    assert User.objects.count() == 3
