"""Estimates of tokens where no vendor counts them."""

import base64

import msgspec

from gateway.terms import Ask, Message, Part, PartKind, Tool
from gateway.wire.tokens import estimate


def _document(media_type: str, body: bytes) -> Part:
    return Part(kind=PartKind.DOCUMENT, text=f"data:{media_type};base64,{base64.b64encode(body).decode()}", media_type=media_type)


def _asked(*parts: Part, tools: tuple[Tool, ...] = ()) -> int:
    return estimate(Ask(model="m", messages=(Message(role="user", parts=parts),), tools=tools))


def test_four_bytes_of_text_are_a_token() -> None:
    assert _asked() == 4
    assert _asked(Part(kind=PartKind.TEXT, text="x" * 40)) == 14
    assert _asked(Part(kind=PartKind.TEXT, text="ž" * 20)) == 14


def test_what_is_no_text_counts_by_its_kind() -> None:
    assert _asked(Part(kind=PartKind.IMAGE, text="https://example.com/cat.png")) == 1_604
    assert _asked(_document("application/pdf", b"x" * 60_000)) == 4_004
    assert 1_000 <= _asked(_document("text/plain", b"x" * 4_000)) <= 1_020


def test_results_and_tools_count_with_what_they_hold() -> None:
    inner = (Part(kind=PartKind.TEXT, text="x" * 40), Part(kind=PartKind.IMAGE, text="https://example.com/cat.png"))
    assert _asked(Part(kind=PartKind.TOOL_RESULT, id="call_1", parts=inner)) == 1_614
    assert _asked(tools=(Tool(name="four", description="four", schema=msgspec.Raw(b"{}")),)) == 7
