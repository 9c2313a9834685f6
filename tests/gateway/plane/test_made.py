"""What a vendor makes for an answer is noted for the call's project before the caller has the answer, and only where the call could have asked for it."""

import orjson
import pytest
from msgspec import structs

from gateway.plane.objects import Note, ObjectQuestion, Objects, Ownership, Thing
from gateway.terms import Call, Ties
from tests.gateway.plane import builders
from tests.gateway.plane.corridor import Answer, Scene, Vendor, sse

CALLER = builders.caller()
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
WHOLE = orjson.dumps({"choices": [{"message": {"audio": {"id": "audio_1", "expires_at": 1_800_000_000}}, "finish_reason": "stop"}], "usage": USAGE})
EVENT = b'data: {"choices":[{"index":0,"delta":{"audio":{"id":"audio_1"}},"finish_reason":"stop"}]}\n\n'
NOTED = [("openai", "audio", "audio_1")]


class Known:
    """Remembers what is noted; `is_there` is False while nobody can be asked."""

    def __init__(self, *, is_there: bool = True) -> None:
        self.is_there, self.noted = is_there, list[Note]()

    async def ask(self, question: ObjectQuestion) -> Objects:
        assert isinstance(question, Note)
        self.noted.append(question)
        return Objects(ok=self.is_there, found=(Thing(question.account, question.kind, question.object_id),))


def scene(known: Known, *script: Answer | str) -> Scene:
    made = Scene(openai=Vendor(*script))
    made.corridor.ownership = Ownership(known.ask)
    return made


def asked(*, stream: bool, makes: bool = True) -> Call:
    body = orjson.dumps({"model": "chat", "stream": stream, "messages": []})
    return builders.call(body=body, stream=stream, ties=Ties(makes=makes))


@pytest.mark.parametrize("stream", [False, True])
async def test_what_was_made_is_noted(stream: bool) -> None:
    known = Known()
    place = scene(known, sse(EVENT[:40], EVENT[40:], b"data: [DONE]\n\n") if stream else Answer((WHOLE,)))
    reply, refusal = await place.carry(asked(stream=stream), CALLER)
    assert (refusal, reply.status, b"audio_1" in reply.body) == (None, 200, True)
    assert [(one.account, one.kind, one.object_id) for one in known.noted] == NOTED
    assert {(one.project, one.key) for one in known.noted} == {(CALLER.project.id, CALLER.key.id)}
    assert known.noted[0].expires_at_s == (0 if stream else 1_800_000_000)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_could_not_ask_for_it_has_nothing_noted(stream: bool) -> None:
    known = Known()
    for ties in (Ties(), None):
        place = scene(known, sse(EVENT, b"data: [DONE]\n\n") if stream else Answer((WHOLE,)))
        await place.carry(structs.replace(asked(stream=stream), ties=ties), CALLER)
    assert known.noted == []


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_is_given_though_nobody_could_note_what_was_made(stream: bool) -> None:
    place = scene(Known(is_there=False), sse(EVENT, b"data: [DONE]\n\n") if stream else Answer((WHOLE,)))
    reply, refusal = await place.carry(asked(stream=stream), CALLER)
    assert (refusal, reply.status, place.receipt.outcome) == (None, 200, "ok")
    assert place.figures.flat(0)["sgw_unstored"] == 1


async def test_nothing_is_noted_of_an_answer_in_another_vendors_words() -> None:
    known = Known()
    body = {"type": "message", "id": "m", "role": "assistant", "model": "c", "content": [], "container": {"id": "container_1"}, "stop_reason": "end_turn"}
    place = Scene(anthropic=Vendor(Answer((orjson.dumps({**body, "usage": {"input_tokens": 1, "output_tokens": 1}}),))))
    place.corridor.ownership = Ownership(known.ask)
    call = structs.replace(asked(stream=False), body=b'{"model":"chat","messages":[{"role":"user","content":"Hello"}]}')
    reply, refusal = await place.carry(call, CALLER)
    assert (refusal, reply.status, known.noted) == (None, 200, [])
