"""Parallel tool calls whose pieces come in any order are told one after the other, each whole."""

from collections.abc import Sequence

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.terms import Chunk, ChunkKind
from gateway.wire.openai_chat.calls import CallOrder


def opening(number: int) -> Chunk:
    return Chunk(kind=ChunkKind.TOOL_START, index=number, id=f"call_{number}", name="f")


def told(order: CallOrder, acts: Sequence[int | tuple[int, str]]) -> list[Chunk]:
    """Return what is told of calls that begin (a number) or go on (number and text), and of their end."""
    chunks: list[Chunk] = []
    for act in acts:
        chunks += order.start((opening(act),)) if isinstance(act, int) else order.arguments(*act)
    return chunks + order.finish()


def read(chunks: list[Chunk]) -> list[tuple[int, str]]:
    """Return the calls in the order they are told; fails where one is told in the middle of another."""
    calls: list[tuple[int, str]] = []
    for chunk in chunks:
        if chunk.kind is ChunkKind.TOOL_START:
            calls.append((chunk.index, ""))
        else:
            assert calls[-1][0] == chunk.index
            calls[-1] = (chunk.index, calls[-1][1] + chunk.text)
    return calls


def test_the_call_under_way_is_told_as_it_comes_and_the_next_once_it_is_whole() -> None:
    order = CallOrder()
    assert order.start((opening(0),)) == [opening(0)]
    assert order.start((opening(1),)) == []
    assert order.arguments(1, '{"b":1}') == []
    piece = Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=0, text='{"a":{}')
    assert order.arguments(0, '{"a":{}') == [piece]
    assert [(chunk.index, chunk.text) for chunk in order.arguments(0, "}")] == [(0, "}"), (1, ""), (1, '{"b":1}')]
    assert order.arguments(0, " ") == []
    assert order.finish() == []


def test_a_call_without_arguments_gets_an_empty_object() -> None:
    assert read(told(CallOrder(), [0, 1, (1, "{}"), 2])) == [(0, "{}"), (1, "{}"), (2, "{}")]
    assert CallOrder().finish() == []


def test_what_comes_after_the_end_breaks_nothing() -> None:
    order = CallOrder()
    assert read(told(order, [0, (0, '{"a":')])) == [(0, '{"a":')]
    assert (order.arguments(0, "1}"), order.start((opening(1),)), order.arguments(1, "{}")) == ([], [], [])


@given(st.lists(st.dictionaries(st.text(max_size=3), st.integers(0, 99)), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_whatever_the_order_each_call_keeps_its_arguments(calls: list[dict[str, int]], chance: object) -> None:
    texts = [orjson.dumps(call).decode() for call in calls]
    pieces = [(number, text[start : start + 3]) for number, text in enumerate(texts) for start in range(0, len(text), 3)]
    waiting = {number: [piece for piece in pieces if piece[0] == number] for number in range(len(texts))}
    acts: list[int | tuple[int, str]] = list(range(len(texts)))
    while any(waiting.values()):
        number = chance.choice([number for number, left in waiting.items() if left])  # type: ignore[attr-defined]  # a random.Random
        acts.append(waiting[number].pop(0))
    assert read(told(CallOrder(), acts)) == list(enumerate(texts))
