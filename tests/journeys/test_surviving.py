"""What must hold when processes die, stop or lose their database: nothing delivered is lost, nothing is billed twice."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from accounts import keys
from tests.fakes.postgres import Postgres
from tests.fakes.processes import named, tell
from tests.fakes.service import Service, wait_for
from tests.journeys.load import Callers, Delivered, chat
from tests.journeys.siege import Siege

pytestmark = pytest.mark.journey


def has_row(service: Service, call_id: str) -> bool:
    return bool(service.rows(f"call_id = '{call_id}'", "call_id"))


@pytest.mark.chaos
@pytest.mark.parametrize("workers", [pytest.param(1, marks=[pytest.mark.chaos, pytest.mark.long]), 2])
def test_kill_9_of_everything_loses_no_delivered_call_and_bills_none_twice(tmp_path: Path, workers: int, chaos_rounds: int) -> None:
    rounds = max(1, chaos_rounds // 2)
    with Service(tmp_path / "data", workers=workers).running() as service:
        delivered: list[str] = []
        for turn in range(rounds):
            with Callers(service) as callers:
                wanted = 40 + 13 * (turn % 7)
                wait_for(lambda: len(callers.seen.whole) >= wanted, 30, "calls are answered under load")  # noqa: B023 (waited for in this turn)
                service.kill()
            delivered += callers.seen.whole
            service.start()
        last = service.post("/v1/chat/completions", chat("the end"))[1]["x-request-id"]
        wait_for(lambda: has_row(service, last), 20, "the last row")
        wait_for(lambda: not missing(service, delivered), 20, "rows of everything delivered")
        rows = service.rows("is_demo = 0", "call_id, outcome, usage_source, flags")
        ids = [row["call_id"] for row in rows]
        assert len(ids) == len(set(ids))
        outcomes = {row["call_id"]: row["outcome"] for row in rows}
        assert {outcomes[call_id] for call_id in delivered} == {"ok"}
        orphans = [row for row in rows if row["outcome"] == "unknown"]
        assert [(row["usage_source"], "orphan" in row["flags"]) for row in orphans] == [("estimated", True)] * len(orphans)


def missing(service: Service, delivered: list[str]) -> set[str]:
    return set(delivered) - {row["call_id"] for row in service.rows("is_demo = 0", "call_id")}


@pytest.mark.parametrize("workers", [pytest.param(1, marks=[pytest.mark.chaos, pytest.mark.long]), 2])
def test_sigterm_lets_50_streams_finish_and_takes_no_new_ones(tmp_path: Path, workers: int) -> None:
    with Service(tmp_path / "data", workers=workers).running() as service:
        seen = asyncio.run(stop_under_streams(service))
        assert (len(seen.whole), seen.other) == (50, [])
        assert service.process is not None
        assert service.process.wait(60) == 0
        rows = service.rows("is_demo = 0", "call_id, outcome")
        assert sorted(row["call_id"] for row in rows) == sorted(seen.whole)
        assert {row["outcome"] for row in rows} == {"ok"}


async def stop_under_streams(service: Service) -> Delivered:
    seen, begun = Delivered(), asyncio.Semaphore(0)

    async def one(number: int) -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            body = chat(f"stream {number} [[sim: tokens=60 pace=40]]", stream=True)
            async with client.stream(
                "POST", service.base_url + "/chat/completions", json=body, headers={"authorization": f"Bearer {service.key}"}
            ) as answer:
                data = b""
                async for part in answer.aiter_bytes():
                    if not data:
                        begun.release()
                    data += part
                (seen.whole if data.endswith(b"data: [DONE]\n\n") else seen.other).append(answer.headers["x-request-id"])

    streams = [asyncio.create_task(one(number)) for number in range(50)]
    async with asyncio.timeout(30):
        for _ in range(50):
            await begun.acquire()
    assert service.process is not None
    service.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        while await asyncio.to_thread(connects, service.port):
            await asyncio.sleep(0.02)
    assert not any(stream.done() for stream in streams)
    async with asyncio.timeout(60):
        await asyncio.gather(*streams)
    return seen


def connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_killed_worker_is_replaced_by_one_that_serves(service: Service) -> None:
    (worker,) = named(service.pids(), b"gateway.worker")
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: try_call(service, service.key) == 200, 20, "a new worker serves")


def test_calls_go_on_without_the_database_and_their_rows_arrive_afterwards(besieged: Siege) -> None:
    service, postgres = besieged.services[0], besieged.postgres
    # a hard budget needs the database; this key has none
    key = service.manage("shell", "-c", MAKE_KEY.format(project=UNBUDGETED)).split()[-1]
    wait_for(lambda: [post(client, service, key) for client in fresh_clients(12)] == [200] * 12, 20, "every worker knows the key")
    fresh = keys.make().text
    postgres.stop()
    try:
        answers = [service.post("/v1/chat/completions", chat(f"without {number}"), key=key) for number in range(20)]
        assert [status for status, _, _ in answers] == [200] * 20
        unknown = service.post("/v1/chat/completions", chat("x"), key=fresh)
        assert (unknown[0], unknown[2]["error"]["code"]) == (503, "dependency_unavailable")
        damaged = service.post("/v1/chat/completions", chat("x"), key=fresh[:-1] + ("0" if fresh[-1] != "0" else "1"))
        assert (damaged[0], damaged[2]["error"]["code"]) == (401, "invalid_api_key")
        assert service.status("/readyz") == 200
        # a worker that starts now serves from the sealed snapshot
        tell(named(service.pids(), b"gateway.worker"), signal.SIGKILL)
        wait_for(lambda: try_call(service, key) == 200, 20, "new workers serve without the database")
    finally:
        postgres.start()
    ids = [headers["x-request-id"] for _, headers, _ in answers]
    wait_for(lambda: rows_of(postgres, ids) == sorted(ids), 30, "the rows arrive")
    assert service.post("/v1/chat/completions", chat("after"), key=fresh)[0] == 401


def try_call(service: Service, key: str) -> int:
    try:
        return service.post("/v1/chat/completions", chat("still there"), key=key)[0]
    except OSError:
        return 0


def rows_of(postgres: Postgres, ids: list[str]) -> list[str]:
    return sorted(row[0] for row in postgres.rows("SELECT call_id FROM billing_usagerecord WHERE is_demo = false") if row[0] in ids)


def test_a_new_key_works_at_once_and_a_revoked_one_stops_within_a_second_in_every_worker(two: Service) -> None:
    made = two.manage("shell", "-c", MAKE_KEY.format(project="Project.objects.get(name='Sandbox')")).split()
    key_id, key = made[-2], made[-1]
    with httpx.Client(timeout=10) as client:
        assert post(client, two, key) == 200
        two.manage("shell", "-c", REVOKE_KEY.format(key_id))
        # the command has ended: the change was committed before this moment
        wait_for(lambda: [post(fresh, two, key) for fresh in fresh_clients(12)] == [401] * 12, 1.0, "every worker refuses the key")


REVOKE_KEY = """
from accounts.models import VirtualKey
key = VirtualKey.objects.get(public_id={0!r})
key.state = "revoked"
key.save()
"""

UNBUDGETED = "Project.objects.create(name='Free', business_unit=BusinessUnit.objects.create(name='Free'))"
MAKE_KEY = """
from datetime import timedelta
from django.utils import timezone
from accounts import keys
from accounts.models import BusinessUnit, Project, VirtualKey
from gateway.settings import settings
made = keys.make()
VirtualKey.objects.create(public_id=made.public_id, name=made.public_id, project={project}, models=["*"],
    digest=keys.digest(made.text.encode(), settings.peppers[1]), expires_at=timezone.now() + timedelta(days=1))
print(made.public_id, made.text)
"""


def fresh_clients(count: int) -> Iterator[httpx.Client]:
    for _ in range(count):
        with httpx.Client(timeout=10) as client:
            yield client


def post(client: httpx.Client, service: Service, key: str) -> int:
    answer = client.post(service.base_url + "/chat/completions", json=chat("hi"), headers={"authorization": f"Bearer {key}"})
    return answer.status_code
