"""How long Google wants to be left alone."""

import orjson
import pytest

from gateway.wire.gemini.waits import read_wait

QUOTA = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []}


def retry(delay: object) -> dict[str, object]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


def error(*details: object) -> dict[str, object]:
    return {"error": {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED", "details": list(details)}}


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (error(QUOTA, retry("17.5s")), 17.5),
        ([error(retry("3s"))], 3.0),
        (error(retry("0s")), 0.0),
        (error(retry("99999999s")), 86_400.0),
        (error(retry("-3s")), None),
        (error(retry("nans")), None),
        (error(retry("soon")), None),
        (error(retry(5)), None),
        (error(QUOTA), None),
        ({"error": {"details": "none"}}, None),
        ({"error": "busy"}, None),
        ([], None),
    ],
)
def test_retry_info_is_read(body: object, seconds: float | None) -> None:
    assert read_wait(orjson.dumps(body)) == seconds


def test_what_is_no_json_says_nothing() -> None:
    assert read_wait(b"<html>") is None
