"""The simulator's doors and its process."""

import subprocess
import sys
from typing import Any

import httpx
import pytest

from tests.gateway.simulator.conftest import ROOT, Process

ASK: dict[str, Any] = {"model": "sim-chat", "messages": [{"role": "user", "content": "x"}]}


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({}, "", 401),
        ({"authorization": "Bearer bad"}, "", 401),
        ({"x-api-key": ""}, "", 401),
        ({"authorization": "Basic Z29vZA=="}, "", 401),
        ({"x-api-key": "bad"}, "", 401),
        ({"authorization": "Bearer any"}, "", 200),
        ({"x-api-key": "any"}, "", 200),
        ({"api-key": "any"}, "", 200),
        ({}, "?key=any", 200),
    ],
)
def test_any_credential_but_bad_is_good(simulator_url: str, headers: dict[str, str], query: str, status: int) -> None:
    assert httpx.post(simulator_url + "/v1/chat/completions" + query, json=ASK, headers=headers).status_code == status


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", "/v1/chat/completions", b"{", 400),
        ("POST", "/v1/chat/completions", b"[]", 400),
        ("POST", "/v1/chat/completions", b"{}", 400),
        ("POST", "/v1/chat/completions", b'{"model":"sim-chat","messages":[]}', 400),
        ("POST", "/v1/chat/completions", b'{"model":"sim-chat","messages":[{"role":"user"}],"stream_options":{}}', 400),
        ("POST", "/v1/chat/completions", b'{"model":"sim-chat","messages":[{"role":"user"}],"tools":3}', 400),
        ("POST", "/v1/chat/completions", b'{"model":"sim-chat","messages":[{"role":"user"}],"tools":[{"function":{}}],"stop":5}', 400),
        ("POST", "/v1/chat/completions", b'{"model":"sim-embed","messages":[{"role":"user"}]}', 404),
        ("POST", "/v1/embeddings", b'{"model":"sim-embed","input":[]}', 400),
        ("POST", "/v1/embeddings", b'{"model":"sim-chat","input":"x"}', 404),
        ("POST", "/v1/messages", b'{"model":"sim-claude","max_tokens":5,"messages":[{"role":"user"}]}', 400),
        ("GET", "/v1/chat/completions", b"", 405),
        ("POST", "/v1/nothing", b"{}", 404),
        ("GET", "/healthz", b"", 200),
    ],
)
def test_wrong_requests_are_refused_in_json(raw: httpx.Client, method: str, path: str, content: bytes, status: int) -> None:
    answer = raw.request(method, path, content=content)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert ("error" in answer.json()) is (status != 200)


def test_any_model_and_a_pace_can_be_set_for_the_whole_process() -> None:
    process = Process("--any-model", "--pace-ms", "20")
    try:
        ask = {"model": "gpt-anything", "stream": True, "messages": [{"role": "user", "content": "[[sim: tokens=10]]"}]}
        answer = httpx.post(process.base_url + "/v1/chat/completions", json=ask, headers={"authorization": "Bearer x"})
        assert (answer.status_code, answer.text.count('"model":"gpt-anything"')) == (200, 12)
        assert answer.elapsed.total_seconds() >= 0.2
    finally:
        assert process.stop() in (0, -15)


def test_it_stands_alone() -> None:
    listing = "import sys, gateway.simulator.__main__; print(*sorted({name for name in sys.modules}))"
    names = subprocess.run([sys.executable, "-c", listing], cwd=ROOT, capture_output=True, text=True, check=True, timeout=20).stdout.split()
    ours = {name for name in names if name.split(".")[0] in {"accounts", "billing", "gateway"} and not name.startswith("gateway.simulator")}
    assert (ours, {"django", "pydantic", "msgspec", "httpx"} & set(names)) == ({"gateway"}, set())
