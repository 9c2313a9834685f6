"""Responses in the background with OpenAI's own client: held for before they begin, looked at, streamed again, cancelled, and settled whoever waits."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import openai
import pytest
from openai.types.responses import Response

from tests.fakes.service import Service, wait_for
from tests.journeys.budgets import Budgeted

pytestmark = pytest.mark.journey
MODEL = "sim-chat"
SETTLED_WITHIN_S = 45


@pytest.fixture(scope="module")
def budgeted(service: Service) -> Iterator[Budgeted]:
    """A project under a budget; whatever it had made in the background, the ledger explains it in the end."""
    yield Budgeted(service, "1.00")
    assert "is explained by calls" in service.manage("ledger_verify")


@pytest.fixture(scope="module")
def stranger(service: Service) -> Budgeted:
    return Budgeted(service, "0.000001")


def client_of(service: Service, budgeted: Budgeted, path: str = "/v1") -> openai.OpenAI:
    return openai.OpenAI(base_url=service.origin + path, api_key=budgeted.key, max_retries=0)


class Begun(NamedTuple):
    """A response that has begun, and the id of the call that began it."""

    call: str
    response: Response


def worked_at(service: Service, budgeted: Budgeted, stranger: Budgeted, path: str) -> Begun:
    """Begin a response, look at it until it is done, and see that another project finds nothing of it."""
    client, before = client_of(service, budgeted, path), budgeted.figures()[2]
    asked: Any = {"model": MODEL, "input": 'Hello [[sim: looks=1 say="Done."]]', "background": True}
    raw = client.responses.with_raw_response.create(**asked, extra_headers={"x-request-id": "mine"})
    begun = raw.parse()
    assert (begun.status, begun.background, begun.output, raw.headers["x-sgw-model"]) == ("queued", True, [], MODEL)
    assert budgeted.figures()[2] > before
    with pytest.raises(openai.ConflictError) as early:
        client.responses.delete(begun.id)
    assert "still to be paid for" in early.value.message
    assert client.responses.retrieve(begun.id).status == "in_progress"
    with pytest.raises(openai.NotFoundError):
        client_of(service, stranger).responses.retrieve(begun.id)
    done = client.responses.retrieve(begun.id)
    assert (done.status, done.output_text) == ("completed", "Done.")
    return Begun(raw.headers["x-request-id"], done)


def streamed(service: Service, budgeted: Budgeted) -> Begun:
    """Begin a response, leave its stream after the first event, and take it up again."""
    client = client_of(service, budgeted)
    asked: Any = {"model": MODEL, "input": 'Hello [[sim: pace=30 say="One two three four five six seven."]]', "background": True}
    with client.responses.with_streaming_response.create(**asked, stream=True) as raw:
        call, first = raw.headers["x-request-id"], next(raw.parse())
        assert first.type == "response.created"
    rest = list(client.responses.retrieve(first.response.id, stream=True, starting_after=first.sequence_number))
    assert [event.sequence_number for event in rest] == list(range(1, len(rest) + 1))
    assert "".join(event.delta for event in rest if event.type == "response.output_text.delta") == "One two three four five six seven."
    assert rest[-1].type == "response.completed"
    return Begun(call, rest[-1].response)


def cancelled(service: Service, budgeted: Budgeted) -> Begun:
    """Begin a response and cancel it."""
    client = client_of(service, budgeted)
    raw = client.responses.with_raw_response.create(model=MODEL, input="Hello [[sim: looks=1000]]", background=True)
    told = client.responses.cancel(raw.parse().id)
    assert told.status == "cancelled"
    return Begun(raw.headers["x-request-id"], told)


def test_responses_are_settled_whoever_waits(service: Service, budgeted: Budgeted, stranger: Budgeted) -> None:
    done = [worked_at(service, budgeted, stranger, path) for path in ("/v1", "/v1/sim-openai")]
    done.append(streamed(service, budgeted))
    given_up = cancelled(service, budgeted)
    wait_for(lambda: budgeted.figures()[2] == 0, SETTLED_WITHIN_S, "nothing is held any more")
    rows = [service.rows(f"call_id = '{one.call}-0'")[0] for one in done]
    names = ("model", "endpoint", "status", "outcome", "usage_source", "flags", "client_request_id")
    assert [tuple(row[name] for name in names) for row in rows] == [(MODEL, "responses", 200, "ok", "provider", "", own) for own in ("mine", "mine", "")]
    used = [(one.response.usage.input_tokens, one.response.usage.output_tokens) for one in done if one.response.usage is not None]
    assert [(row["input_tokens"], row["output_tokens"]) for row in rows] == used
    # 0.15 and 0.60 USD a million
    assert [row["cost_nanousd"] for row in rows] == [spoken * 150 + answered * 600 for spoken, answered in used]
    row = service.rows(f"call_id = '{given_up.call}-0'")[0]
    assert (row["status"], row["outcome"], row["error_code"], row["cost_nanousd"]) == (0, "aborted", "response_cancelled", 0)
    client, response = client_of(service, budgeted), done[0].response
    again: Any = [{"type": "item_reference", "id": response.output[0].id}, {"role": "user", "content": "And?"}]
    assert client.responses.create(model=MODEL, input=again).status == "completed"
    assert client.responses.create(model=MODEL, input="And?", previous_response_id=response.id).previous_response_id == response.id
    client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


def test_what_cannot_be_paid_or_stored_does_not_begin(service: Service, budgeted: Budgeted, stranger: Budgeted) -> None:
    with pytest.raises(openai.APIStatusError) as poor:
        client_of(service, stranger).responses.create(model=MODEL, input="Hello", background=True)
    assert (poor.value.status_code, poor.value.code) == (402, "budget_exceeded")
    with pytest.raises(openai.BadRequestError) as unstored:
        client_of(service, budgeted).responses.create(model=MODEL, input="Hello", background=True, store=False)
    assert unstored.value.param == "background"
    with pytest.raises(openai.BadRequestError) as refused:
        client_of(service, budgeted).responses.create(model=MODEL, input="Hello [[sim: status=400]]", background=True)
    assert "simulated" in refused.value.message.lower()
    assert stranger.figures()[2] == 0
