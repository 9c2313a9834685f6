"""Calls that go on from stored responses, with a store in memory."""

from typing import Any

import orjson
import pytest
from msgspec import structs

from gateway.errors import BadRequest, DependencyUnavailable, Refusal, TooLarge
from gateway.plane.stored import Fetch, Forget, Found, Keep, NoSuchResponse, PreviousNotFound, Question, Stored, joined, response_in, unstored
from gateway.terms import UNTOLD, Call, Ties
from tests.gateway.plane.builders import call, caller, project

OWN = Found(
    ok=True,
    found=True,
    response=b'{"id":"resp_1","output":[{"id":"msg_1","type":"message","role":"assistant","content":[]}]}',
    input=b'[{"role":"user","content":"Hello"}]',
)
AT_VENDOR = Found(ok=True, found=True, account="openai", tokens=900)


class Store:
    """Answers by response or item id, and remembers what it was asked."""

    def __init__(self, **known: Found) -> None:
        self.known, self.asked = known, list[Question]()

    async def ask(self, question: Question) -> Found:
        self.asked.append(question)
        if isinstance(question, Keep):
            return Found(ok=True, found=True)
        name = question.item_ids[0] if isinstance(question, Fetch) and question.item_ids else question.response_id
        return self.known.get(name, Found(ok=True))


def tied(body: dict[str, Any], ties: Ties) -> Call:
    return call(endpoint="responses", body=orjson.dumps({"model": "m", **body}), ties=ties)


CALLER = caller()
KEEPING = structs.replace(CALLER, project=structs.replace(CALLER.project, stored_response_days=30))


async def test_a_call_with_nothing_to_do_with_the_store_asks_nobody() -> None:
    store = Store()
    given = tied({"input": "x"}, Ties())
    resumed = await Stored(store.ask).resume(given, KEEPING)
    assert (resumed.call, resumed.account, store.asked) == (given, "", [])


async def test_a_conversation_kept_here_comes_in_front_of_the_input() -> None:
    store = Store(resp_1=OWN)
    given = tied({"input": "And now?", "previous_response_id": "resp_1"}, Ties(previous="resp_1", keeps=True))
    resumed = await Stored(store.ask).resume(given, KEEPING)
    mine = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "And now?"}]}
    said = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
    assert orjson.loads(resumed.call.body) == {"model": "m", "input": [{"role": "user", "content": "Hello"}, said, mine]}
    assert (resumed.call.keeps, resumed.call.resumed_from, resumed.account) == (True, "resp_1", "")
    assert orjson.loads(resumed.items) == [mine]
    assert store.asked == [Fetch(project=KEEPING.project.id, response_id="resp_1")]


async def test_what_a_vendor_stores_stays_there_and_ties_the_call_to_it() -> None:
    store = Store(resp_1=AT_VENDOR)
    given = tied({"input": "And now?", "previous_response_id": "resp_1"}, Ties(previous="resp_1", keeps=True))
    resumed = await Stored(store.ask).resume(given, KEEPING)
    assert (resumed.call.body, resumed.call.resumed_from, resumed.account) == (given.body, "", "openai")
    assert resumed.call.history_tokens == 900


async def test_items_kept_here_stand_where_they_were_referred_to() -> None:
    store = Store(msg_1=Found(ok=True, found=True, input=b'[{"id":"msg_1","type":"message"}]'))
    given = tied({"input": [{"role": "user", "content": "a"}, {"id": "msg_1"}, {"role": "user", "content": "b"}]}, Ties(references=("msg_1",)))
    resumed = await Stored(store.ask).resume(given, KEEPING)
    expected = [{"role": "user", "content": "a"}, {"id": "msg_1", "type": "message"}, {"role": "user", "content": "b"}]
    assert orjson.loads(resumed.call.body)["input"] == expected


async def test_a_project_that_stores_nothing_has_nothing_stored_at_the_vendor_either() -> None:
    resumed = await Stored(Store().ask).resume(tied({"input": "x", "store": True}, Ties(keeps=True)), CALLER)
    assert (orjson.loads(resumed.call.body)["store"], resumed.call.keeps) == (False, False)


@pytest.mark.parametrize(
    ("known", "ties", "error", "param"),
    [
        ({}, Ties(previous="resp_9"), PreviousNotFound, "previous_response_id"),
        ({}, Ties(references=("msg_9",)), NoSuchResponse, "input"),
        ({"resp_1": Found()}, Ties(previous="resp_1"), DependencyUnavailable, None),
        ({"resp_1": AT_VENDOR, "msg_1": structs.replace(AT_VENDOR, account="azure")}, Ties(previous="resp_1", references=("msg_1",)), BadRequest, "input"),
    ],
)
async def test_what_cannot_be_gone_on_from_is_said(known: dict[str, Found], ties: Ties, error: type[Refusal], param: str | None) -> None:
    with pytest.raises(error) as caught:
        await Stored(Store(**known).ask).resume(tied({"input": [{"id": "msg_1"}]}, ties), KEEPING)
    assert caught.value.param == param


async def test_a_conversation_may_not_outgrow_what_a_body_may_be() -> None:
    with pytest.raises(TooLarge):
        await Stored(Store(resp_1=OWN).ask, limit_bytes=100).resume(tied({"input": "x"}, Ties(previous="resp_1")), KEEPING)


async def test_an_answer_is_kept_with_what_led_to_it_or_only_noted_where_its_vendor_stores_it() -> None:
    store = Store(resp_1=OWN)
    stored = Stored(store.ask)
    resumed = await stored.resume(tied({"input": [{"role": "user", "content": "x"}]}, Ties(previous="resp_1", keeps=True)), KEEPING)
    answer = b'{"id":"resp_2","output":[{"id":"msg_2"},{"id":"fc_2"}]}'
    store.asked.clear()
    assert await stored.keep(resumed, "p", "", answer, 7) is True
    assert await stored.keep(resumed, "p", "openai", answer, 8) is True
    assert await stored.keep(resumed, "p", "openai", b"{}", 0) is False
    assert await stored.keep(resumed, "p", "openai", b"<html>", 0) is False
    mine = Keep("p", "resp_2", "", "resp_1", ("msg_2", "fc_2"), b'[{"role":"user","content":"x"}]', answer, 7)
    assert store.asked == [mine, Keep("p", "resp_2", "openai", "", ("msg_2", "fc_2"), tokens=8)]


async def test_a_conversation_is_as_long_as_only_its_vendor_knows_and_stores_what_is_said() -> None:
    resumed = await Stored().resume(tied({"input": "x"}, Ties(keeps=True, in_conversation=True)), KEEPING)
    assert (resumed.call.history_tokens, resumed.call.keeps) == (UNTOLD, True)
    for ties, who in ((Ties(in_conversation=True), KEEPING), (Ties(keeps=True, in_conversation=True), CALLER)):
        with pytest.raises(BadRequest) as caught:
            await Stored().resume(tied({"input": "x"}, ties), who)
        assert caught.value.param == "conversation"


async def test_without_a_store_nothing_is_kept() -> None:
    stored = Stored()
    resumed = await stored.resume(tied({"input": "x"}, Ties(keeps=True)), KEEPING)
    assert await stored.keep(resumed, "p", "", b'{"id":"resp_2"}', 0) is False
    assert (await stored.ask(Forget("p", "resp_2"))).ok is False


def test_arrays_are_joined_whatever_their_spaces() -> None:
    assert joined(b"[]", b" [ 1, 2 ] ", b"[]", b"[3]") == b"[1, 2,3]"


def test_the_response_in_a_streams_last_events_is_found() -> None:
    assert response_in(b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"r"}}\n\n') == b'{"id":"r"}'
    assert (response_in(b": ping\n\n"), response_in(b"data: {\n\n")) == (b"", b"")
    assert unstored(b'{"id":"a","store":true,"output":[{"text":",\\"store\\":true"}]}') == b'{"id":"a","store":false,"output":[{"text":",\\"store\\":true"}]}'


def test_the_builders_project_stores_nothing_unless_told() -> None:
    assert project().stored_response_days == 0
