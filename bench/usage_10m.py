"""How storage and reports do with many calls: fills a database of its own with generated usage, then times what people ask of it.

    .venv/bin/python -m bench.usage_10m --rows 10000000                # a Postgres of its own, from a wheel, in a temporary folder
    .venv/bin/python -m bench.usage_10m --rows 1000000 --sqlite        # a SQLite file
    .venv/bin/python -m bench.usage_10m --database-url postgresql://.. # an empty database of yours

Every figure is the slower of the two runs after a first one, in one process, with the caches warm.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from bisect import bisect
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

DAYS, UNITS, PROJECTS, KEYS, MODELS, PEOPLE = 90, 8, 40, 200, 12, 2000
ROWS_PER_POSTING = 1000
# Share of a day's calls by hour, UTC: quiet nights, a lunch dip, an evening tail.
HOURS = tuple(accumulate((1, 1, 1, 1, 1, 2, 5, 12, 22, 30, 32, 28, 18, 24, 32, 31, 26, 18, 10, 6, 4, 3, 2, 1)))
GOAL_MS = 2000.0
# Whose reader sees the first lines at once.
STREAMED = frozenset({"FOCUS file of a month"})


def prepare(url: str, directory: Path) -> None:
    """Start Django on a database with throw-away secrets, migrate it and know its content types."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    os.environ["SYMBIOSIS_TEST_DATABASE_URL"] = url or f"sqlite:///{directory}/usage.sqlite3"
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)


def organisation(chance: random.Random) -> list[tuple[str, UUID, UUID]]:
    """Make units, projects and keys; return each key's id, project and unit."""
    from accounts.models import BusinessUnit, Project, VirtualKey

    def uuid() -> UUID:
        return UUID(int=chance.getrandbits(128), version=4)

    root = BusinessUnit.objects.create(id=uuid(), name="Bench")
    units = [BusinessUnit(id=uuid(), name=f"Unit {n}", parent=root) for n in range(UNITS)]
    projects = [Project(id=uuid(), name=f"Project {n}", business_unit=units[n % UNITS]) for n in range(PROJECTS)]
    far = datetime.now(UTC) + timedelta(days=365)
    keys = [
        VirtualKey(id=uuid(), public_id=f"bench{n:05d}", name=f"Key {n}", project=projects[n % PROJECTS], digest=b"x" * 32, expires_at=far) for n in range(KEYS)
    ]
    for model, rows in ((BusinessUnit, units), (Project, projects), (VirtualKey, keys)):
        model.objects.bulk_create(rows)  # type: ignore[attr-defined]
    return [(key.public_id, key.project_id, key.project.business_unit_id) for key in keys]


def moments(rows: int, end: datetime, chance: random.Random) -> Iterator[datetime]:
    """Yield when calls begin over the days before `end`, oldest first: office hours, quiet weekends, growing by half."""
    days = [end - timedelta(days=back) for back in range(DAYS, 0, -1)]
    weights = [(1.0 if day.weekday() < 5 else 0.2) * (1 + number / DAYS / 2) for number, day in enumerate(days)]
    given = 0
    for number, share in enumerate(accumulate(weights)):
        count = round(rows * share / sum(weights)) - given
        given += count
        hours = sorted(bisect(HOURS, chance.randrange(HOURS[-1])) for _ in range(count))
        for hour in hours:
            yield days[number] + timedelta(hours=hour, milliseconds=chance.randrange(3_600_000))


def calls(rows: int, end: datetime, keys: list[tuple[str, UUID, UUID]], chance: random.Random) -> Iterator[tuple[Any, ...]]:
    """Yield usage rows as values of `COLUMNS`: few busy keys and models, many quiet ones; long tails of tokens."""
    key_weights = list(accumulate(1 / (n + 1) for n in range(len(keys))))
    model_weights = list(accumulate(1 / (n + 1) for n in range(MODELS)))
    prices = [UUID(int=n + 1) for n in range(MODELS)]
    for number, moment in enumerate(moments(rows, end, chance)):
        key, project, unit = keys[bisect(key_weights, chance.random() * key_weights[-1])]
        model = bisect(model_weights, chance.random() * model_weights[-1])
        failed = chance.random() < 0.012
        took = int(chance.lognormvariate(7.2, 0.9))
        tokens_in = 0 if failed else min(120_000, int(chance.lognormvariate(6.2, 1.2)) + 8)
        tokens_out = 0 if failed else min(8_000, int(chance.lognormvariate(5.2, 0.9)) + 1)
        cached = tokens_in * 3 // 4 if tokens_in > 1024 and number % 3 == 0 else 0
        cost = tokens_in * (150 + 400 * model) + tokens_out * (600 + 1600 * model)
        deployment, vendor = f"model-{model}@vendor-{model % 3}-eu", f"vendor-{model % 3}"
        milliseconds = int(moment.timestamp() * 1000)
        yield (
            f"call_{milliseconds:011x}{chance.getrandbits(64):016x}", "call", moment, took, took // 3, 300, key, project, unit, f"model-{model}", deployment,
            f"{vendor}-eu", vendor, f"model-{model}-2026-01", "chat.completions", number % 2 == 0, 502 if failed else 200, "failed" if failed else "ok",
            "upstream_error" if failed else "", "none" if failed else "provider", "", tokens_in, cached, 0, 0, tokens_out, 0, 0, prices[model], cost, cost * 2,
            f'[["{deployment}", "{vendor}-eu", "ok", 200, {took}]]', f"person-{number * 7919 % PEOPLE}", f"s-{number // 5}", f"team=t{model % 5},env=prod",
            "10.0.0.1", "openai-python/3.1", "", f"host-1/w{number % 4}",
            f"b{project.hex[:11]}:{moment:%Y-%m} b{unit.hex[:11]}:{moment:%Y-%m} b{key}:{moment:%Y-%m-%d}", number // ROWS_PER_POSTING + 1, False,
            moment + timedelta(milliseconds=took + 250),
        )  # fmt: skip


COLUMNS = (
    "call_id", "kind", "started_at", "duration_ms", "first_byte_ms", "gateway_us", "key", "project", "business_unit", "model", "deployment",
    "account", "provider", "upstream_model", "endpoint", "stream", "status", "outcome",
    "error_code", "usage_source", "flags", "input_tokens", "cached_tokens", "cache_write_tokens", "audio_input_tokens", "output_tokens",
    "reasoning_tokens", "audio_output_tokens", "price", "cost_nanousd", "quote_nanousd",
    "attempts", "end_user", "session", "tags",
    "ip", "user_agent", "client_request_id", "worker",
    "windows", "posting", "is_demo",
    "recorded_at",
)  # fmt: skip


def fill(rows: int, chance: random.Random) -> str:
    """Put the calls into the table and return how fast that was."""
    from django.db import connection, transaction

    from billing import partitions

    keys = organisation(chance)
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    last = partitions.Month.of(end)
    if connection.vendor == "postgresql":
        for back in range(DAYS // 28 + 1, -1, -1):
            partitions.make(last.plus(-back))
    begun = time.monotonic()
    generated = calls(rows, end, keys, chance)
    names = ", ".join(COLUMNS)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor, cursor.copy(f"COPY billing_usagerecord ({names}) FROM STDIN") as copy:
            for row in generated:
                copy.write_row(row)
    else:
        places = ", ".join(["?"] * len(COLUMNS))
        with transaction.atomic():
            connection.connection.executemany(f"INSERT INTO billing_usagerecord ({names}) VALUES ({places})", map(_for_sqlite, generated))
    took = time.monotonic() - begun
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE billing_usagerecord" if connection.vendor == "postgresql" else "ANALYZE")
    return f"filled in {took:.0f} s, {rows / took:,.0f} rows/s with every index in place, generator included"


def _for_sqlite(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.hex if isinstance(value, UUID) else str(value.replace(tzinfo=None)) if isinstance(value, datetime) else value for value in row)


def sizes(rows: int) -> list[str]:
    """Return what a row and its indexes take."""
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
            ((total,),) = cursor.fetchall()
            return [f"{total / rows:.0f} bytes per call, indexes included"]
        cursor.execute(
            "SELECT coalesce(parent.relname, c.relname), sum(pg_relation_size(c.oid)) FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid "
            "LEFT JOIN pg_class parent ON parent.oid = i.inhparent WHERE c.relname LIKE 'billing_usagerecord%%' AND c.relkind IN ('r', 'i') "
            "GROUP BY 1 ORDER BY 2 DESC"
        )
        found = cursor.fetchall()
    return [f"{name}: {int(size) / rows:.0f} bytes per call" for name, size in found] + [f"all: {sum(int(size) for _, size in found) / rows:.0f}"]


def questions() -> dict[str, Callable[[], Any]]:
    """Return what people ask, by name: the calls list as the API and the admin show it."""
    from django.test import Client

    from accounts.models import Project, User, VirtualKey
    from billing.models import UsageRecord

    user, _ = User.objects.get_or_create(email="bench@example.com", defaults={"role": "it_admin", "is_staff": True})
    client = Client()
    client.force_login(user)
    session = client.session
    session.update({"strong_by": "other", "proved_at": int(time.time())})  # as after the second factor
    session.save()
    sample = UsageRecord.objects.order_by("-started_at")[5000]
    project, key = Project.objects.get(pk=sample.project), VirtualKey.objects.get(public_id=sample.key)
    quiet = VirtualKey.objects.get(public_id=f"bench{KEYS - 1:05d}")

    def get(path: str) -> Callable[[], Any]:
        def ask() -> Any:
            answer = client.get(path, headers={"host": "localhost"})
            assert answer.status_code == 200, (path, answer.status_code, answer.content[:500])
            return answer

        return ask

    def page(number: int) -> Callable[[], Any]:
        cursor = ""
        for _ in range(number):
            cursor = get(f"/api/v1/calls?limit=200&cursor={cursor}")().json()["next_cursor"]
        return get(f"/api/v1/calls?limit=200&cursor={cursor}")

    day = sample.started_at.date()
    middle = (sample.started_at - timedelta(days=45)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "calls: first page of 50": get("/api/v1/calls"),
        "calls: page 20 of 200": page(20),
        "calls: of a busy project": get(f"/api/v1/calls?project=prj_{project.pk.hex}"),
        "calls: of a busy key": get(f"/api/v1/calls?key=key_{key.public_id}"),
        "calls: of the quietest key": get(f"/api/v1/calls?key=key_{quiet.public_id}"),
        "calls: before a day 45 days ago": get(f"/api/v1/calls?until={middle}"),
        "calls: failed ones of a project": get(f"/api/v1/calls?project=prj_{project.pk.hex}&outcome=failed"),
        "calls: of the rarest model": get(f"/api/v1/calls?model=model-{MODELS - 1}"),
        "calls: of a model there is not": get("/api/v1/calls?model=nothing"),
        "calls: of an outcome there is not": get("/api/v1/calls?outcome=aborted"),
        "calls: of an outcome there is not, of a busy key": get(f"/api/v1/calls?key=key_{key.public_id}&outcome=aborted"),
        "calls: failed ones of a model since 45 days": get(f"/api/v1/calls?model={sample.model}&outcome=failed&since={middle}"),
        "calls: by a client's request id there is not": get("/api/v1/calls?request_id=nothing"),
        "calls: one by its id": get(f"/api/v1/calls/{sample.call_id}"),
        "admin: list of calls": get("/admin/billing/usagerecord/"),
        "admin: list of failed calls": get("/admin/billing/usagerecord/?outcome=failed"),
        "admin: list of estimated calls, of which there is none": get("/admin/billing/usagerecord/?usage_source=estimated"),
        "admin: list of a provider's calls": get(f"/admin/billing/usagerecord/?provider={sample.provider}"),
        "admin: search for a key": get(f"/admin/billing/usagerecord/?q={key.public_id}"),
        "admin: search for what there is not": get("/admin/billing/usagerecord/?q=nothing"),
        "admin: spend by end user": get(f"/admin/billing/dayrollup/?{urlencode({'by': 'end_user', 'first': day - timedelta(days=89), 'last': day})}"),
        "admin: spend by project": get("/admin/billing/dayrollup/"),
        "admin: one call": get(f"/admin/billing/usagerecord/{sample.pk}/change/"),
        "admin: overview": get("/admin/"),
    }


def reports() -> dict[str, Callable[[], Any]]:
    """Return every report over all projects, by name; periods are the last 90 days and the month of most of them."""
    from accounts.models import Project
    from billing.models import UsageRecord
    from billing.reports import anomalies, calls, forecast, movers, savings, spend
    from billing.reports.periods import Period, month_of

    projects = Project.objects.all()
    latest = UsageRecord.objects.order_by("-started_at")[0]
    last = latest.started_at.date()
    rarest = f"model-{MODELS - 1}@vendor-{(MODELS - 1) % 3}-eu"
    whole, month = Period(last - timedelta(days=DAYS - 1), last), month_of(last.replace(day=1) - timedelta(days=1))
    asked: dict[str, Callable[[], Any]] = {
        f"spend by {dimension}, {days}": partial(spend.spend, projects, dimension, period)
        for dimension in spend.DIMENSIONS
        for days, period in (("90 days", whole), ("a month", month))
    }
    asked.update(
        {
            "spend of one project by key, 90 days": partial(spend.spend, projects, "key", whole, project=str(latest.project)),
            "spend by day, 90 days": partial(spend.by_day, projects, whole),
            "spend by hour, a month": partial(spend.by_hour, projects, month),
            "spend by hour, 90 days": partial(spend.by_hour, projects, whole),
            "top movers by key, a month": partial(movers.movers, projects, "key", month),
            "cache savings by model, 90 days": partial(savings.savings, projects, "model", whole),
            "forecast of the month": partial(forecast.forecast, projects, month_of(last), last),
            "anomalies, 90 days": partial(anomalies.anomalies, projects, whole),
            "drill down: calls of a month": partial(calls.calls, projects, month),
            "drill down: calls of a key on a day": partial(calls.calls, projects, Period(last, last), key=latest.key),
            "drill down: failed calls of an end user": partial(calls.calls, projects, whole, end_user=latest.end_user, outcome="failed"),
            "drill down: calls of an end user there is not": partial(calls.calls, projects, whole, end_user="nobody"),
            "drill down: calls of a session": partial(calls.calls, projects, whole, session=latest.session),
            "drill down: failed calls of the rarest deployment": partial(calls.calls, projects, whole, deployment=rarest, outcome="failed"),
            "drill down: calls of a unit by no account": partial(calls.calls, projects, whole, business_unit=latest.business_unit, account="nothing"),
            "reconciliation: a vendor's month beside ours": partial(our_month, month),
            "statements of a unit's first two months": partial(close_two_months, latest.business_unit),
            "FOCUS file of a month": partial(focus_file, projects, month),
        }
    )
    return asked


def our_month(month: Any) -> Any:
    """Compare a vendor's month that names one model of each day with ours."""
    from django.db import transaction

    from accounts.models import User
    from billing.models import ReconciliationImport, ReconciliationLine
    from billing.vendor_differences import differences

    with transaction.atomic():
        user = User.objects.get(email="bench@example.com")
        source = ReconciliationImport.objects.create(
            vendor="openai", provider="vendor-0", file_name="bench", sha256="0", first_day=month.first, last_day=month.last, has_tokens=True, has_cost=True,
            imported_by=user,
        )  # fmt: skip
        ReconciliationLine.objects.bulk_create([ReconciliationLine(source=source, day=day, upstream_model="model-0-2026-01") for day in month.dates()])
        found = differences(source)
        transaction.set_rollback(True)
    return found


def close_two_months(unit_id: Any) -> None:
    """Close the first two months a unit has calls in, and take it back."""
    from django.db import transaction

    from accounts.models import BusinessUnit, User
    from billing.close import close_month
    from billing.models import UsageRecord
    from billing.reports.periods import months_before

    unit, user = BusinessUnit.objects.get(pk=unit_id), User.objects.get(email="bench@example.com")
    first = UsageRecord.objects.order_by("started_at").values_list("started_at", flat=True)[0].date().replace(day=1)
    with transaction.atomic():
        close_month(unit, first, user)
        close_month(unit, months_before(first, -1), user)
        transaction.set_rollback(True)


def focus_file(projects: Any, month: Any) -> int:
    """Write a month's FOCUS file and return its lines."""
    from billing import focus

    return sum(1 for _ in focus.lines(projects, month))


def add_up() -> str:
    """Fill the rollups as the product does and return how fast that was."""
    from django.db import connection

    from billing.rollups import fold

    begun = time.monotonic()
    rows, took = fold(), time.monotonic() - begun
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE billing_series, billing_hourrollup, billing_dayrollup, billing_labelrollup")
    return f"{rows:,} calls added up in {took:.0f} s, {rows / max(took, 0.001):,.0f} calls/s"


def timed(ask: Callable[[], Any]) -> float:
    """Return the slower of two runs after a first one, in milliseconds."""
    ask()
    took = []
    for _ in range(2):
        begun = time.perf_counter()
        ask()
        took.append((time.perf_counter() - begun) * 1000)
    return max(took)


def table(asked: dict[str, Callable[[], Any]]) -> int:
    """Print how long each question takes and return how many take too long."""
    slow = 0
    print("\n| question | ms |\n|---|--:|")
    for name, ask in asked.items():
        took_ms = timed(ask)
        slow += took_ms >= GOAL_MS and name not in STREAMED
        print(f"| {name} | {took_ms:,.0f} |", flush=True)
    return slow


def main() -> int:
    """Fill, ask and print one table; exit status 1 when an answer takes two seconds or more."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--sqlite", action="store_true", help="measure SQLite instead of Postgres")
    parser.add_argument("--database-url", default="", help="an empty Postgres database of yours")
    parser.add_argument("--no-fill", action="store_true", help="ask a database that an earlier run has filled")
    asked = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="sgw-bench-"))
    server = None
    url = asked.database_url
    if not asked.sqlite and not url:
        from tests.fakes.postgres import Postgres

        server = Postgres()
        url = server.url
    try:
        prepare(url, directory)
        if not asked.no_fill:
            print(f"{asked.rows:,} calls over {DAYS} days: {fill(asked.rows, random.Random(1))}", flush=True)
        for line in sizes(asked.rows):
            print(line, flush=True)
        slow = table(questions())
        print(f"\n{add_up()}", flush=True)
        slow += table(reports())
        return 1 if slow else 0
    finally:
        if server is not None:
            server.stop()
            shutil.rmtree(server.place, ignore_errors=True)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
