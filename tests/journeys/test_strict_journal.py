"""With a strict journal a call and a stream are answered once their receipts are on stable storage."""

from pathlib import Path

import httpx
import pytest

from tests.fakes.service import Service
from tests.journeys.load import chat

pytestmark = pytest.mark.journey


def test_calls_and_streams_pass_and_are_recorded(tmp_path: Path) -> None:
    service = Service(tmp_path / "data", environment={"SYMBIOSIS_JOURNAL_STRICT": "1"}).start()
    with httpx.Client(headers={"authorization": f"Bearer {service.key}"}, timeout=20) as client:
        whole = client.post(service.base_url + "/chat/completions", json=chat("whole"))
        stream = client.post(service.base_url + "/chat/completions", json=chat("stream") | {"stream": True})
    assert (whole.status_code, stream.status_code, stream.text.strip().endswith("data: [DONE]")) == (200, 200, True)
    rows = [service.row_of(answer.headers["x-request-id"]) for answer in (whole, stream)]
    assert [(row["outcome"], row["usage_source"], row["stream"]) for row in rows] == [("ok", "provider", 0), ("ok", "provider", 1)]
    assert service.stop() == 0
