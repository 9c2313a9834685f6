"""A real simulator process on a free port, one for each test session, and the vendors' own clients for it."""

import os
import re
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import anthropic
import httpx
import openai
import pytest

ROOT = Path(__file__).resolve().parents[3]
START_LIMIT_S = 20


class Process:
    """The running simulator: `start_s` is the time from spawn to the printed address."""

    def __init__(self, *arguments: str) -> None:
        began_at = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway.simulator", "--port", "0", *arguments], cwd=ROOT, stdout=subprocess.PIPE, env=dict(os.environ)
        )
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            assert selector.select(START_LIMIT_S), "the simulator did not start"
        line = self.process.stdout.readline().decode()
        self.start_s = time.monotonic() - began_at
        found = re.fullmatch(r"simulator listening on (http://127\.0\.0\.1:\d+)\n", line)
        assert found, line
        self.base_url = found.group(1)
        self.pid = self.process.pid

    def stop(self) -> int:
        """Ask the process to end and return its exit status."""
        self.process.terminate()
        try:
            return self.process.wait(10)
        finally:
            self.process.kill()
            if self.process.stdout:
                self.process.stdout.close()


@pytest.fixture(scope="session")
def simulator() -> Iterator[Process]:
    """The session's simulator."""
    process = Process()
    yield process
    process.stop()


@pytest.fixture
def openai_client(simulator: Process) -> Iterator[openai.OpenAI]:
    """OpenAI's client, without retries."""
    with openai.OpenAI(base_url=simulator.base_url + "/v1", api_key="good", max_retries=0, timeout=10) as client:
        yield client


@pytest.fixture
def anthropic_client(simulator: Process) -> Iterator[anthropic.Anthropic]:
    """Anthropic's client, without retries."""
    with anthropic.Anthropic(base_url=simulator.base_url, api_key="good", max_retries=0, timeout=10) as client:
        yield client


@pytest.fixture
def raw(simulator: Process) -> Iterator[httpx.Client]:
    """A plain HTTP client with a good credential."""
    with httpx.Client(base_url=simulator.base_url, headers={"authorization": "Bearer good"}, timeout=10) as client:
        yield client


@pytest.fixture
def simulator_url(simulator: Process) -> str:
    """Where the simulator listens."""
    return simulator.base_url
