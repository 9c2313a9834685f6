"""Health, metrics and logs of the started product, with two workers."""

import json
import os
import re
import signal
import urllib.request
from pathlib import Path

import httpx
import pytest

from tests.fakes.service import Service, wait_for
from tests.journeys.load import chat

pytestmark = pytest.mark.journey


CALLS = 'sgw_calls_total{account="sim-openai",endpoint="chat/completions",model="sim-chat",status="200"}'


def test_counters_are_the_sum_of_all_workers_and_never_fall(two: Service) -> None:
    before = two.figure(CALLS)
    for number in range(40):
        with httpx.Client() as client:
            answer = client.post(two.base_url + "/chat/completions", json=chat(f"count {number}"), headers={"authorization": f"Bearer {two.key}"})
            assert answer.status_code == 200
    wait_for(lambda: two.figure(CALLS) == before + 40, 5, "all calls are counted")
    workers = [pid for pid in two.pids() if b"gateway.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGTERM)
    wait_for(lambda: not Path(f"/proc/{workers[0]}").exists() and two.figure("sgw_workers") == 2, 40, "the supervisor replaces the worker")
    assert two.figure(CALLS) == before + 40


def test_the_page_tells_what_operations_ask(two: Service) -> None:
    two.post("/v1/chat/completions", chat("one"))
    wait_for(lambda: two.figure("sgw_journal_lag_bytes") == 0 and two.figure("sgw_receipts_taken_total") > 0, 10, "intake has caught up")
    page = two.get("/metrics")[1]
    assert two.figure("sgw_in_flight") == 0
    assert two.figure("sgw_database_up") == 1
    assert two.figure("sgw_snapshot_refused") == 0
    assert (two.figure("sgw_workers"), two.figure("sgw_workers_behind"), two.figure("sgw_snapshot_revision") > 0) == (2, 0, True)
    assert two.figure('sgw_upstream_attempts_total{account="sim-openai",outcome="ok"}') > 0
    for family in ("sgw_call_duration_seconds", "sgw_gateway_overhead_seconds", "sgw_first_byte_seconds"):
        buckets = [float(value) for value in re.findall(rf'^{family}_bucket{{endpoint="chat/completions",le="[^"]+"}} (\S+)$', page, re.MULTILINE)]
        assert buckets == sorted(buckets)
        (count,) = re.findall(rf'^{family}_count{{endpoint="chat/completions"}} (\S+)$', page, re.MULTILINE)
        assert buckets[-1] == float(count) > 0
    assert two.figure('sgw_tokens_total{kind="output",model="sim-chat"}') > 0
    assert two.figure('sgw_cost_nanousd_total{account="sim-openai",model="sim-chat"}') > 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"x-forwarded-for": "203.0.113.9"}, 403),
        ({"x-forwarded-for": "203.0.113.9", "authorization": "Bearer metrics-token-0123456789"}, 200),
        ({"x-forwarded-for": "203.0.113.9", "authorization": "Bearer another"}, 403),
    ],
)
def test_metrics_are_for_loopback_or_the_token(two: Service, headers: dict[str, str], status: int) -> None:
    assert httpx.get(two.origin + "/metrics", headers=headers).status_code == status


def test_health_and_readiness_answer_at_once_and_without_a_key(two: Service) -> None:
    assert [two.get(path) for path in ("/healthz", "/readyz")] == [(200, "ok\n"), (200, "ready\n")]
    assert httpx.post(two.origin + "/healthz").status_code == 405


def test_each_call_is_one_line_of_the_log_with_its_id_and_no_content(two: Service) -> None:
    status, headers, _ = two.post("/v1/chat/completions", chat("canary-of-the-log-line"), headers={"x-sgw-tags": "canary-tag"})
    call_id = headers["x-request-id"]

    def lines() -> list[dict[str, object]]:
        return [json.loads(line) for line in two.log().splitlines() if call_id in line and line.startswith("{")]

    wait_for(lines, 5, "the line is written")
    (line,) = lines()
    shown = {name: line[name] for name in ("event", "call", "endpoint", "status", "code", "model", "deployment", "attempts")}
    assert shown == {
        "event": "call", "call": call_id, "endpoint": "chat/completions", "status": status, "code": "",
        "model": "sim-chat", "deployment": "sim-openai/sim-chat", "attempts": 1,
    }  # fmt: skip
    assert "canary" not in two.log()


def test_the_root_leads_a_stranger_to_sign_in(two: Service) -> None:
    with urllib.request.urlopen(two.origin + "/", timeout=10) as answer:
        assert answer.url.startswith(two.origin + "/login")
