"""Fixtures of the whole suite."""

import os

import pytest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say how often chaos tests kill the product."""
    parser.addoption("--chaos-rounds", type=int, default=8, help="kill -9 rounds of the chaos tests, over all of them")


@pytest.fixture
def chaos_rounds(request: pytest.FixtureRequest) -> int:
    """Return how often to kill, over all variants of a chaos test."""
    rounds: int = request.config.getoption("--chaos-rounds")
    return rounds
