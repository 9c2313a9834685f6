"""Responses in the background with OpenAI's own client: held for before they begin, looked at, streamed again, cancelled, and settled whoever waits."""

from typing import Any, NamedTuple

import openai
import pytest
from openai.types.responses import Response

from tests.fakes.service import Service, wait_for
from tests.fakes.upstream import Turn, Upstream, stream, whole
from tests.journeys.budgets import Budgeted

pytestmark = pytest.mark.journey
MODEL = "sim-chat"
SETTLED_WITHIN_S = 45


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
        # held for like any other: what is held does not grow with a stream that goes on without its caller
        assert raw.headers["x-sgw-max-tokens"] == "4096"
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
    for streamed_too in (False, True):
        with pytest.raises(openai.BadRequestError) as refused:
            client_of(service, budgeted).responses.create(model=MODEL, input="Hello [[sim: status=400]]", background=True, stream=streamed_too)
        assert "simulated" in refused.value.message.lower()
    assert stranger.figures()[2] == 0


async def says_nothing(turn: Turn) -> None:
    """Answer as no vendor does, after which nobody knows what it has begun."""
    answer = stream(b'event: response.created\ndata: {"response":[1]}\n\n') if b'"stream":true' in turn.request.body else whole(b'{"status":1}')
    await answer(turn)


def test_an_answer_that_says_nothing_of_a_response_is_a_failure_and_what_may_have_begun_stays_held_for(service: Service) -> None:
    unsure = Budgeted(service, "1.00")
    with Upstream(script=says_nothing) as upstream:
        account = {"provider": "openai", "base_url": f"{upstream.url}/v1", "upstream_model": "gpt-x"}
        service.add_models({"background-unsure": [account]})
        for streamed_too in (False, True):
            with pytest.raises(openai.InternalServerError) as failed:
                client_of(service, unsure).responses.create(model="background-unsure", input="Hello", background=True, stream=streamed_too)
            assert (failed.value.status_code, "may have begun" in failed.value.message) == (502, True)
    assert unsure.figures()[2] > 0
