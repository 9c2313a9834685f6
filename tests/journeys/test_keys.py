"""A key's life on the data plane of the started product: bound to ranges, rotated with an overlap, and cut off in the middle of a stream."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fakes.service import Service, wait_for

pytestmark = pytest.mark.journey
CUT_WITHIN_S = 1.0


@pytest.fixture(scope="module")
def api(service: Service) -> Iterator[httpx.Client]:
    """The management API as the demo's developer uses it, by personal token."""
    headers = {"authorization": f"Bearer {service.demo['tokens']['dev']}"}
    with httpx.Client(base_url=f"{service.origin}/api/v1/", headers=headers, timeout=20) as client:
        yield client


def made(api: httpx.Client, name: str, **fields: Any) -> Any:
    project = next(row["id"] for row in api.get("projects").json()["data"] if row["name"] == "Sandbox")
    answer = api.post("keys", json={"project": project, "name": name, "models": ["*"], **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


def status(service: Service, key: str) -> tuple[int, str]:
    ask = {"model": "sim-chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}
    code, _, body = service.post("/v1/chat/completions", ask, key)
    return code, body.get("error", {}).get("code", "")


def test_a_key_calls_from_its_ranges_only(service: Service, api: httpx.Client) -> None:
    here = made(api, "here", allowed_ips=["127.0.0.0/8"])["key"]
    elsewhere = made(api, "elsewhere", allowed_ips=["10.0.0.0/8", "2001:db8::/32"])["key"]
    assert (status(service, here), status(service, elsewhere)) == ((200, ""), (403, "ip_not_allowed"))


def test_both_secrets_of_a_rotated_key_call_until_the_overlap_ends(service: Service, api: httpx.Client) -> None:
    old = made(api, "rotated", tags={"team": "checkout"})
    new = api.post(f"keys/{old['id']}/rotate", json={"overlap_hours": 1}).json()
    assert (new["id"], new["key"] != old["key"]) == (old["id"], True)
    assert [status(service, text) for text in (old["key"], new["key"])] == [(200, ""), (200, "")]
    rows = wait_for(lambda: api.get("calls", params={"key": old["id"]}).json()["data"][1:], 10, "both calls are listed")
    assert {row["tags"] for row in rows} == {"team=checkout"}
    api.post(f"keys/{old['id']}/end-overlap").raise_for_status()
    assert wait_for(lambda: status(service, old["key"])[0] == 401, 5, "the old secret is refused")
    assert status(service, new["key"]) == (200, "")
    told = wait_for(lambda: api.get(f"keys/{old['id']}").json(), 10, "the key is shown")
    assert (told["last_used_ip"], told["previous_until"]) == ("127.0.0.1", None)


def test_a_key_revoked_as_compromised_ends_its_running_stream_within_a_second(service: Service, api: httpx.Client) -> None:
    key, other = made(api, "leaking"), made(api, "innocent")
    ask = {"model": "sim-chat", "stream": True, "messages": [{"role": "user", "content": "[[sim: tokens=400 pace=50]] tell me"}]}
    headers = [{"authorization": f"Bearer {row['key']}"} for row in (key, other)]
    url = f"{service.origin}/v1/chat/completions"
    with (
        httpx.Client(timeout=30) as client,
        client.stream("POST", url, json=ask, headers=headers[0]) as cut,
        client.stream("POST", url, json=ask, headers=headers[1]) as kept,
    ):
        lines, kept_lines = cut.iter_lines(), kept.iter_lines()
        # the first event holds no text: a word must have come, for something to be billed
        assert next(line for line in lines if '"content":"' in line and '"content":""' not in line)
        assert next(kept_lines).startswith("data: ")
        api.post(f"keys/{key['id']}/revoke", json={"compromised": True, "reason": "pasted into a ticket"}).raise_for_status()
        revoked = time.monotonic()
        rest = [line for line in lines if line.startswith("data: ")]
        took_s = time.monotonic() - revoked
        event = json.loads(rest[-1].removeprefix("data: "))
        assert (event["error"]["code"], "data: [DONE]" in rest, took_s < CUT_WITHIN_S) == ("key_revoked", False, True)
        assert [next(kept_lines) for _ in range(4)]
    rows = wait_for(lambda: api.get("calls", params={"key": key["id"]}).json()["data"], 10, "the cut call is settled")
    assert (rows[0]["outcome"], rows[0]["error_code"], rows[0]["output_tokens"] > 0) == ("aborted", "key_revoked", True)
    assert status(service, key["key"]) == (401, "key_revoked")
