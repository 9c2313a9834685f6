"""Files and batches with the vendors' own clients against the started product: held for, worked at, fetched or not, settled, and each project's alone."""

import io
import json
from typing import Any

import anthropic
import openai
import pytest

from tests.fakes.service import Service, wait_for
from tests.journeys.budgets import Budgeted

pytestmark = pytest.mark.journey
SETTLED_WITHIN_S = 45


def jsonl(*names: str, model: str = "sim-chat") -> tuple[str, io.BytesIO]:
    """Return a file of requests with these custom ids."""
    asks = [
        {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": {"model": model, "max_tokens": 50, "messages": [say(name)]}}
        for name in names
    ]
    return "requests.jsonl", io.BytesIO("\n".join(map(json.dumps, asks)).encode())


def say(name: str) -> dict[str, str]:
    return {"role": "user", "content": f'Hello [[sim: say="To {name}."]]'}


def rows_of(service: Service, call: str) -> list[dict[str, Any]]:
    """Return what is recorded of a batch's requests."""
    return service.rows(f"call_id LIKE '{call}-%'")


def settled(service: Service, budgeted: Budgeted, call: str, count: int) -> list[dict[str, Any]]:
    """Return the rows of a batch's requests once nothing is held for it any more."""
    wait_for(lambda: len(rows_of(service, call)) == count and budgeted.figures()[2] == 0, SETTLED_WITHIN_S, "the batch is settled")
    return rows_of(service, call)


def batched(service: Service, budgeted: Budgeted, stranger: Budgeted, path: str) -> tuple[openai.OpenAI, str, str]:
    """Begin a batch, fetch its results, and see that another project finds nothing of it; return the client, the call that began it and its output."""
    client = openai.OpenAI(base_url=service.origin + path, api_key=budgeted.key, max_retries=0)
    file = client.files.create(file=jsonl("one", "two"), purpose="batch")
    assert (client.files.retrieve(file.id).filename, file.id in [one.id for one in client.files.list(purpose="batch")]) == ("requests.jsonl", True)
    raw = client.batches.with_raw_response.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"team": "x"})
    batch = raw.parse()
    assert (batch.status, batch.metadata, budgeted.figures()[2] > 0) == ("validating", {"team": "x"}, True)
    done = client.batches.retrieve(batch.id)
    assert (done.status, done.request_counts and done.request_counts.completed) == ("completed", 2)
    assert batch.id in [one.id for one in client.batches.list(limit=5)]
    assert done.output_file_id is not None
    told = [json.loads(line) for line in client.files.content(done.output_file_id).text.splitlines()]
    assert [one["response"]["body"]["choices"][0]["message"]["content"] for one in told] == ["To one.", "To two."]
    foreign = openai.OpenAI(base_url=service.origin + path, api_key=stranger.key, max_retries=0)
    for attempt in (
        lambda: foreign.files.retrieve(file.id),
        lambda: foreign.files.content(str(done.output_file_id)),
        lambda: foreign.files.delete(file.id),
        lambda: foreign.batches.retrieve(batch.id),
        lambda: foreign.batches.cancel(batch.id),
        lambda: foreign.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"),
    ):
        with pytest.raises(openai.NotFoundError):
            attempt()
    assert ([*foreign.files.list()], [*foreign.batches.list()]) == ([], [])
    return client, raw.headers["x-request-id"], done.output_file_id


def test_openais_client_batches_and_each_request_is_billed(service: Service, budgeted: Budgeted, stranger: Budgeted) -> None:
    for client, call, output in [batched(service, budgeted, stranger, path) for path in ("/v1", "/v1/sim-openai")]:
        rows = settled(service, budgeted, call, 2)
        assert [(row["client_request_id"], row["model"], row["endpoint"], row["flags"]) for row in rows] == [
            (name, "sim-chat", "chat/completions", "tier_batch") for name in ("one", "two")
        ]
        # half of 0.15 and 0.60 USD a million
        rates = [(row["input_tokens"] * 75_000_000 + row["output_tokens"] * 300_000_000 + 500_000) // 10**6 for row in rows]
        assert [row["cost_nanousd"] for row in rows] == rates
        assert client.files.delete(output).deleted


def test_what_a_budget_does_not_cover_does_not_begin(service: Service, stranger: Budgeted) -> None:
    client = openai.OpenAI(base_url=service.base_url, api_key=stranger.key, max_retries=0)
    file = client.files.create(file=jsonl("one", "two"), purpose="batch")
    with pytest.raises(openai.APIStatusError) as caught:
        client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert (caught.value.status_code, caught.value.code) == (402, "budget_exceeded")
    assert (stranger.figures()[2], [*client.batches.list()]) == (0, [])
    with pytest.raises(openai.NotFoundError) as unknown:
        client.files.create(file=jsonl("one", model="none-such"), purpose="batch")
    assert (unknown.value.code, "Request 1" in unknown.value.message) == ("model_not_found", True)


def test_a_cancelled_batch_is_settled_for_what_was_done_though_nobody_fetches_it(service: Service, budgeted: Budgeted) -> None:
    client = openai.OpenAI(base_url=service.base_url, api_key=budgeted.key, max_retries=0)
    file = client.files.create(file=jsonl("sim-wait", "two"), purpose="batch")
    raw = client.batches.with_raw_response.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert client.batches.cancel(raw.parse().id).status == "cancelled"
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(raw.parse().id)
    rows = settled(service, budgeted, raw.headers["x-request-id"], 2)
    assert [(row["client_request_id"], row["outcome"], row["cost_nanousd"] > 0) for row in rows] == [("sim-wait", "ok", True), ("two", "aborted", False)]


def test_anthropics_client_batches_messages(service: Service, budgeted: Budgeted, stranger: Budgeted) -> None:
    begun = []
    for path in ("", "/v1/sim-anthropic"):
        client = anthropic.Anthropic(base_url=service.origin + path, api_key=budgeted.key, max_retries=0)
        asks: Any = [{"custom_id": name, "params": {"model": "sim-claude", "max_tokens": 50, "messages": [say(name)]}} for name in ("one", "two")]
        raw = client.messages.batches.with_raw_response.create(requests=asks)
        batch = raw.parse()
        assert (batch.processing_status, batch.results_url, budgeted.figures()[2] > 0) == ("in_progress", None, True)
        done = client.messages.batches.retrieve(batch.id)
        assert (done.processing_status, str(done.results_url).startswith(f"http://localhost:{service.port}/v1/")) == ("ended", True)
        told: Any = [one.result for one in client.messages.batches.results(batch.id)]
        assert [one.message.content[0].text for one in told] == ["To one.", "To two."]
        assert batch.id in [one.id for one in client.messages.batches.list(limit=5)]
        foreign = anthropic.Anthropic(base_url=service.origin + path, api_key=stranger.key, max_retries=0)
        for attempt in (foreign.messages.batches.retrieve, foreign.messages.batches.results, foreign.messages.batches.delete):
            with pytest.raises(anthropic.NotFoundError):
                attempt(batch.id)
        begun.append((client, raw.headers["x-request-id"], batch.id))
    for client, call, name in begun:
        rows = settled(service, budgeted, call, 2)
        assert [(row["client_request_id"], row["model"], row["flags"]) for row in rows] == [(one, "sim-claude", "tier_batch") for one in ("one", "two")]
        assert client.messages.batches.delete(name).id == name
