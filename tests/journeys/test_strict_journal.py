"""With a strict journal a call and a stream are answered once their receipts are on stable storage."""

import httpx
import pytest

from tests.fakes.service import Service
from tests.journeys.load import chat

pytestmark = pytest.mark.journey


def test_calls_and_streams_pass_and_are_recorded(impatient: Service) -> None:
    with httpx.Client(headers={"authorization": f"Bearer {impatient.key}"}, timeout=20) as client:
        whole = client.post(impatient.base_url + "/chat/completions", json=chat("whole"))
        stream = client.post(impatient.base_url + "/chat/completions", json=chat("stream") | {"stream": True})
    assert (whole.status_code, stream.status_code, stream.text.strip().endswith("data: [DONE]")) == (200, 200, True)
    rows = [impatient.row_of(answer.headers["x-request-id"]) for answer in (whole, stream)]
    assert [(row["outcome"], row["usage_source"], row["stream"]) for row in rows] == [("ok", "provider", 0), ("ok", "provider", 1)]
