"""The official openai package for Python, 2.x, in an environment of its own, against the started product."""

import pytest

from tests.fakes.service import Service
from tests.journeys.essentials import CLIENTS, OPENAI2, expected, play, task

pytestmark = pytest.mark.journey

CLASSES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    413: "APIStatusError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    502: "InternalServerError",
    503: "InternalServerError",
    504: "InternalServerError",
}


def test_openai_2_for_python_meets_all_it_relies_on(wired: Service) -> None:
    assert play([OPENAI2, "-I", CLIENTS / "openai2" / "play.py"], task(wired, "p2")) == expected(CLASSES)
