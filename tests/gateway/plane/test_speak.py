"""What is sent upstream for a call: its own bytes wherever they can stay."""

import json

import pytest

from gateway.errors import BadRequest
from gateway.plane.route import Route
from gateway.plane.speak import callers_param, reader, request, whole
from gateway.providers import Provider
from gateway.terms import Usage
from gateway.wire import Wire, shelf
from gateway.wire.openai_chat import WIRE as OPENAI
from gateway.wire.openai_chat.pictures import PictureMeter
from gateway.wire.strict import check
from tests.gateway.plane.builders import call, deployment

PLAIN = Provider(slug="plain", title="Plain", wires={"chat/completions": "openai_chat"})
ROUTE = Route(endpoint="chat/completions", wire=OPENAI, client=OPENAI, is_same=True, read_usage=OPENAI.read_usage)
TEXT = b'"messages":[{"role":"user","content":"say \\"model\\": \\"chat\\" and max_tokens"}]'


def sent(body: bytes, upstream: str = "chat", cap_tokens: int = 0) -> bytes:
    """Return the body sent for a checked one that asks for the model `chat`."""
    parsed = check(body)
    most, answers = parsed.get("max_completion_tokens") or parsed.get("max_tokens") or 0, parsed.get("n") or 1
    made = call(body=body, fields=parsed.keys(), max_output_tokens=most * answers, answers=answers)
    return request(made, deployment(upstream=upstream), PLAIN, ROUTE, cap_tokens).body


CLAUDE = shelf()["anthropic_messages"]
GEMINI = shelf()["gemini"]


def translated(client: Wire, upstream: Wire) -> Route:
    return Route(endpoint="-", wire=upstream, client=client, is_same=False, read_usage=upstream.read_usage)


def test_betas_that_another_wires_provider_is_not_told_are_named() -> None:
    body = b'{"model":"chat","max_tokens":5,"messages":[{"role":"user","content":"x"}]}'
    headers = ((b"anthropic-version", b"2023-06-01"), (b"anthropic-beta", b"context-1m"))
    asked = call(endpoint="messages", body=body, headers=headers)
    assert request(asked, deployment(), PLAIN, translated(CLAUDE, OPENAI)).dropped == ("anthropic-beta",)


def test_reasoning_that_another_vendor_sealed_is_left_out_and_named() -> None:
    thought = b'"reasoning_details":[{"type":"reasoning.text","text":"Hm.","signature":"sgw1.anthropic_messages.ErUB"}]'
    body = b'{"model":"chat","messages":[{"role":"assistant","content":"Hi.",%b},{"role":"user","content":"x"}]}' % thought
    spoken = request(call(body=body, fields=check(body).keys()), deployment(upstream="chat"), PLAIN, ROUTE)
    assert spoken.body == b'{"model":"chat","messages":[{"role":"assistant","content":"Hi."},{"role":"user","content":"x"}]}'
    assert spoken.dropped == ("messages.reasoning_details",)


ASKED = {"messages": [{"role": "user", "content": "x"}]}
IN_GOOGLES_WORDS = {"contents": [{"parts": [{"text": "x"}]}]}


@pytest.mark.parametrize(
    ("client", "body", "dropped"),
    [
        ("openai_chat", {**ASKED, "seed": 1, "user": "u" * 300, "verbosity": "low"}, ("seed", "verbosity", "user")),
        ("openai_responses", {"input": "x", "text": {"verbosity": "low"}, "safety_identifier": "u" * 300}, ("text.verbosity", "safety_identifier")),
        (
            "gemini",
            {**IN_GOOGLES_WORDS, "labels": {"a": "b"}, "generationConfig": {"topP": 0.5, "seed": 1, "temperature": 1}},
            ("generationConfig.seed", "labels", "generationConfig.topP"),
        ),
    ],
)
def test_what_a_provider_is_not_sent_is_named_as_the_callers_wire_calls_it(client: str, body: dict[str, object], dropped: tuple[str, ...]) -> None:
    asked = call(endpoint="-", body=json.dumps(body).encode())
    assert request(asked, deployment(upstream="claude-sonnet-4-5"), PLAIN, translated(shelf()[client], CLAUDE)).dropped == dropped


def test_what_a_provider_refuses_is_named_as_the_callers_wire_calls_it_and_only_what_the_caller_said() -> None:
    picky = Provider(slug="picky", title="Picky", wires={"chat/completions": "openai_chat"}, drop=frozenset({"user", "stream_options"}))
    body = b'{"model":"chat","max_tokens":5,"metadata":{"user_id":"u"},"thinking":{"type":"adaptive"},"stream":true,"messages":[{"role":"user","content":"x"}]}'
    asked = call(endpoint="messages", body=body, stream=True)
    assert request(asked, deployment(upstream="gpt-4o"), picky, translated(CLAUDE, OPENAI)).dropped == ("thinking", "metadata.user_id")


@pytest.mark.parametrize(
    ("change", "param", "words"),
    [
        ({"contents": [{"role": "model", "parts": [{"text": "So"}]}]}, "contents", "The last message must be the user's"),
        (
            {"contents": [{"parts": [{"text": "x"}]}, {"parts": [{"fileData": {"mimeType": "application/pdf", "fileUri": "https://a.example/b.pdf"}}]}]},
            "contents[1].parts[0].fileData",
            "contents[1].parts[0].fileData: the provider of this model takes documents as data only",
        ),
    ],
)
def test_a_refusal_names_the_field_as_the_callers_wire_calls_it(change: dict[str, object], param: str, words: str) -> None:
    asked = call(endpoint="generateContent", body=json.dumps(change).encode())
    with pytest.raises(BadRequest) as caught:
        request(asked, deployment(), PLAIN, translated(GEMINI, OPENAI))
    assert caught.value.param == param
    assert caught.value.message.startswith(words)


@pytest.mark.parametrize(
    ("named", "same", "other"),
    [
        ("messages[1].content", "messages[1].content", "contents"),
        ("messages.[1].content", "messages.[1].content", "contents"),
        ("messages.1.content", "messages.1.content", "contents"),
        ("stop", "stop", "generationConfig.stopSequences"),
        (None, None, None),
    ],
)
def test_a_field_that_a_vendor_refuses_is_told_as_the_callers_wire_calls_it(named: str | None, same: str | None, other: str | None) -> None:
    assert (callers_param(named, ROUTE, ()), callers_param(named, translated(GEMINI, OPENAI), ("contents",))) == (same, other)


def test_what_an_answer_loses_on_its_way_is_named() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0="}}
    body = json.dumps({"candidates": [{"content": {"parts": [{"text": "Here."}, picture]}, "finishReason": "STOP"}]}).encode()
    asked = call(endpoint="messages", body=b"{}")
    told = whole(asked, body, translated(CLAUDE, GEMINI), 0)
    assert (told.dropped, told.text_bytes) == (("images",), 5)
    assert whole(asked, body, translated(OPENAI, GEMINI), 0).dropped == ()


def test_a_picture_that_comes_without_sketches_is_told_by_its_one_event() -> None:
    made = Route("images/generations", OPENAI, OPENAI, True, OPENAI.read_usage, meter=PictureMeter)
    told = reader(call(endpoint="images/generations", stream=True), made, 0, 1 << 20)
    event = b'data: {"type":"image_generation.completed","b64_json":"iVBO","usage":{"input_tokens":9,"output_tokens":272}}\n\n'
    assert (told.feed(event), told.tail, told.done, told.usage) == (event, b"", True, Usage(input_tokens=9, output_tokens=272))


@pytest.mark.parametrize("body", [b'{"model":"chat",' + TEXT + b"}", b'{ "model": "chat",\n' + TEXT + b" }", b"{" + TEXT + b',"model":"chat"}'])
def test_a_body_that_fits_keeps_its_bytes(body: bytes) -> None:
    assert sent(body) == body


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"chat",' + TEXT + b"}", b'{"model":"up-1",' + TEXT + b"}"),
        (b' { "model": "chat" ,' + TEXT + b" }", b' { "model":"up-1" ,' + TEXT + b" }"),
        (b"{" + TEXT + b',"model":"chat"}', b"{" + TEXT + b',"model":"up-1"}'),
        (b'{"m\\u006fdel":"chat","metadata":{"model":"chat"}}', None),
    ],
)
def test_only_the_model_of_the_call_is_renamed(body: bytes, expected: bytes | None) -> None:
    told = sent(body, "up-1")
    if expected is not None:
        assert told == expected
    assert json.loads(told) == {**json.loads(body), "model": "up-1"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"chat",' + TEXT + b"}", b'{"max_tokens":7,"model":"chat",' + TEXT + b"}"),
        (b' {"model":"chat"}', b'{"model":"chat","max_tokens":7}'),
        (b'{"model":"chat","n":3}', b'{"max_tokens":2,"model":"chat","n":3}'),
        (b'{"model":"chat","n":8}', b'{"max_tokens":1,"model":"chat","n":8}'),
        (b'{"model":"chat","n":2,"max_tokens":9}', b'{"model":"chat","n":2,"max_tokens":3}'),
        (b'{"model":"chat","max_tokens":null}', b'{"model":"chat","max_tokens":7}'),
        (b'{"model":"chat","max_completion_tokens":9}', b'{"model":"chat","max_tokens":7}'),
        (b'{"model":"chat","max\\u005ftokens":9}', b'{"model":"chat","max_tokens":7}'),
    ],
)
def test_an_output_limit_stands_once(body: bytes, expected: bytes) -> None:
    assert sent(body, cap_tokens=7) == expected
