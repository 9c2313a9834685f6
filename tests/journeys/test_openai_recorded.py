"""What the official openai package for Python is told about tokens and endings, and that the record of the call says the same."""

import re
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.fakes.service import Service
from tests.journeys.faults import MODELS

pytestmark = pytest.mark.journey

LONG = "word " * 900


@pytest.fixture
def client(service: Service) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=service.base_url, api_key=service.key, max_retries=0) as made:
        yield made


def ask(client: openai.OpenAI, model: str, content: str, *, stream: bool, **options: Any) -> tuple[str, Any, str]:
    """Return call id, usage and finish reason of a call, streamed or not."""
    asked: Any = {"model": model, "messages": [{"role": "user", "content": content}], **options}
    if not stream:
        raw = client.chat.completions.with_raw_response.create(**asked)
        told = raw.parse()
        return raw.headers["x-request-id"], told.usage, told.choices[0].finish_reason
    streamed = client.chat.completions.with_raw_response.create(**asked, stream=True, stream_options={"include_usage": True})
    chunks = list(streamed.parse())
    finish = next(choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason)
    return streamed.headers["x-request-id"], chunks[-1].usage, finish


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("model", "rates"), [("sim-chat", (150, 75, 600)), ("sim-claude", (3_000, 300, 15_000))])
def test_cached_tokens_are_told_recorded_and_cheaper(client: openai.OpenAI, service: Service, model: str, rates: tuple[int, int, int], stream: bool) -> None:
    call, usage, _ = ask(client, model, f"{LONG}[[sim: cached=100 tokens=3]]", stream=stream)
    assert (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens) == (1_129, 100, 3)
    row = service.row_of(call)
    assert (row["input_tokens"], row["cached_tokens"], row["output_tokens"], row["usage_source"]) == (1_129, 100, 3, "provider")
    # the demo's prices are whole nano-USD a token
    assert row["cost_nanousd"] == 1_029 * rates[0] + 100 * rates[1] + 3 * rates[2]
    assert row["quote_nanousd"] >= row["cost_nanousd"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("model", "options"), [("sim-reasoner", {}), ("sim-claude", {"reasoning_effort": "low"})])
def test_reasoning_tokens_are_told_and_recorded(client: openai.OpenAI, service: Service, model: str, options: dict[str, Any], stream: bool) -> None:
    call, usage, finish = ask(client, model, "Think.", stream=stream, **options)
    reasoning = usage.completion_tokens_details.reasoning_tokens
    row = service.row_of(call)
    assert (row["output_tokens"], row["reasoning_tokens"], finish) == (usage.completion_tokens, reasoning, "stop")
    assert 0 < reasoning < usage.completion_tokens


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("finish", ["content_filter", "length"])
@pytest.mark.parametrize("model", MODELS)
def test_every_ending_arrives(client: openai.OpenAI, model: str, finish: str, stream: bool) -> None:
    assert ask(client, model, f"[[sim: finish={finish} tokens=2]]", stream=stream)[2] == finish


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_tokens_are_estimated_when_the_provider_tells_none(client: openai.OpenAI, service: Service, model: str, stream: bool) -> None:
    asked: Any = {"model": model, "messages": [{"role": "user", "content": '[[sim: no_usage say="Some words to be counted."]]'}]}
    raw = client.chat.completions.with_raw_response.create(**asked, stream=stream)
    if stream:
        for chunk in raw.parse():
            assert chunk.usage is None
    row = service.row_of(raw.headers["x-request-id"])
    assert (row["usage_source"], row["status"], row["outcome"]) == ("estimated", 200, "ok")
    assert row["input_tokens"] > 0 and row["output_tokens"] > 0 and row["cost_nanousd"] > 0


@pytest.mark.parametrize("model", MODELS)
def test_what_a_caller_says_about_a_call_is_kept(client: openai.OpenAI, service: Service, model: str) -> None:
    headers = {"x-request-id": "mine-1", "x-sgw-tags": "team=checkout,env=prod", "x-sgw-session": "s-1"}
    call, _, _ = ask(client, model, "Hello", stream=False, user="somebody", extra_headers=headers)
    row = service.row_of(call)
    assert {name: row[name] for name in ("client_request_id", "tags", "session", "end_user", "endpoint", "ip")} == {
        "client_request_id": "mine-1",
        "tags": "team=checkout,env=prod",
        "session": "s-1",
        "end_user": "somebody",
        "endpoint": "chat/completions",
        "ip": "127.0.0.1",
    }
    assert re.match(r"OpenAI/Python 3\.", row["user_agent"])
    assert row["duration_ms"] >= row["first_byte_ms"] and row["gateway_us"] > 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_a_callers_own_limit_ends_the_call(client: openai.OpenAI, service: Service, model: str, stream: bool) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": "[[sim: delay=20000]]"}],
            stream=stream,
            extra_headers={"x-sgw-timeout-ms": "150"},
        )
    assert (caught.value.status_code, caught.value.code) == (504, "upstream_timeout")
    row = service.row_of(caught.value.request_id or "")
    assert (row["status"], row["outcome"], row["error_code"]) == (504, "failed", "upstream_timeout") and row["duration_ms"] < 2_000
