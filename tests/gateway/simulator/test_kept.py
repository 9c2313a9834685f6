"""What the simulated vendors keep, with their own clients: files, and batches that end as their first custom_id says."""

import io
import json
from typing import Any

import anthropic
import openai
import pytest

WORDS = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9}


def begun(client: openai.OpenAI, *names: str) -> openai.types.Batch:
    asks = [{"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": {"model": "sim-chat", **WORDS}} for name in names]
    file = client.files.create(file=("a.jsonl", io.BytesIO("\n".join(map(json.dumps, asks)).encode())), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")


@pytest.mark.parametrize(
    ("first", "status", "answered", "refused"), [("a", "completed", 2, 0), ("sim-expire", "expired", 1, 1), ("sim-fail", "failed", 0, 0)]
)
def test_a_batch_ends_as_its_first_request_says(openai_client: openai.OpenAI, first: str, status: str, answered: int, refused: int) -> None:
    done = openai_client.batches.retrieve(begun(openai_client, first, "b").id)
    counts = done.request_counts
    assert (done.status, counts and (counts.completed, counts.failed)) == (status, (answered, refused))
    assert (done.output_file_id is not None, done.error_file_id is not None) == (answered > 0, refused > 0)


def test_a_batch_that_waits_can_be_cancelled_once(openai_client: openai.OpenAI) -> None:
    batch = begun(openai_client, "sim-wait", "b")
    assert openai_client.batches.retrieve(batch.id).status == "in_progress"
    assert openai_client.batches.cancel(batch.id).status == "cancelled"
    with pytest.raises(openai.ConflictError):
        openai_client.batches.cancel(batch.id)


def test_a_file_is_gone_once_it_is_deleted(openai_client: openai.OpenAI) -> None:
    file = openai_client.files.create(file=("a.txt", io.BytesIO(b"hello")), purpose="user_data")
    assert (openai_client.files.content(file.id).read(), file.bytes) == (b"hello", 5)
    assert openai_client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        openai_client.files.retrieve(file.id)


def test_messages_are_batched(anthropic_client: anthropic.Anthropic) -> None:
    asks: Any = [{"custom_id": name, "params": {"model": model, **WORDS}} for name, model in (("a", "sim-claude"), ("b", "none-such"))]
    batch = anthropic_client.messages.batches.create(requests=asks)
    assert anthropic_client.messages.batches.retrieve(batch.id).processing_status == "ended"
    assert [one.result.type for one in anthropic_client.messages.batches.results(batch.id)] == ["succeeded", "errored"]
    assert anthropic_client.messages.batches.delete(batch.id).id == batch.id
