"""Every golden case of the grid: what is asked upstream, what the client is told, whatever the cuts of the stream; all of it legal by the vendors' types."""

import itertools
import random
from typing import Any

import orjson
import pytest

from gateway.plane import speak
from gateway.wire import WireError
from gateway.wire.strict import fields
from tests.gateway.wire import legal, table
from tests.gateway.wire.grid import (
    FEATURES,
    MODEL,
    Case,
    bytes_of,
    cases,
    composed,
    feature_of,
    pairs,
    plain,
    played,
    route_of,
    stream_of,
    told_of,
    usage_of,
    written_otherwise,
)

CELLS = ("mapped: ", "refused: ", "dropped: ")
# shorter streams are cut at every byte, longer ones at this many
ALL_CUTS_BYTES = 400
SOME_CUTS = 50


def _of(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in cases().items() if kind in case])


@pytest.mark.parametrize(("client", "upstream"), pairs())
def test_every_cell_has_a_case(client: str, upstream: str) -> None:
    named = {feature_of(name) for name, case in cases().items() if (case["client"], case["upstream"]) == (client, upstream)}
    assert (sorted(FEATURES.keys() - named), sorted(named - FEATURES.keys())) == ([], [])


def test_the_page_of_the_documentation_says_what_the_cases_show() -> None:
    assert table.PAGE.read_text(encoding="utf-8") == table.page()


def test_every_case_is_of_a_pair_and_a_feature_we_have() -> None:
    assert [name for name, case in cases().items() if feature_of(name) not in FEATURES or (case["client"], case["upstream"]) not in pairs()] == []


@_of("ask")
def test_a_case_says_what_it_shows(case: Case) -> None:
    known = {"why", "cell", "upstream_model", "ask", "refused", "request", "dropped", "answer", "told", "untold", "usage", "stream", "events", "problem"}
    assert case.keys() - {"client", "upstream"} <= known
    assert case["why"]
    assert case["cell"] == "exact" or case["cell"].startswith(CELLS)
    assert case["cell"].startswith("refused: ") == ("refused" in case)
    assert ("request" in case) != ("refused" in case)
    if case["cell"].startswith("dropped: "):
        assert case["cell"].removeprefix("dropped: ") in [*case["dropped"], *case.get("untold", [])]


@_of("ask")
def test_the_upstream_is_asked_as_it_wants_it(case: Case) -> None:
    if "refused" in case:
        with pytest.raises(WireError) as caught:
            composed(case)
        assert {"code": caught.value.code, "param": caught.value.param} == case["refused"]
        return
    body, dropped = composed(case)
    assert body == orjson.dumps(case["request"])
    assert list(dropped) == case["dropped"]
    legal.request(case["upstream"], case["request"])


@_of("answer")
def test_the_client_is_told_as_its_sdk_expects(case: Case) -> None:
    client, upstream = route_of(case).sides
    answer = upstream.read_answer(bytes_of(case["answer"]))
    assert client.write_answer(answer, told_of(case)) == orjson.dumps(case["told"])
    assert list(client.left_out(answer)) == case.get("untold", [])
    assert (answer.usage, answer.problem) == (usage_of(case), case.get("problem", ""))
    legal.answer(case["client"], case["told"])


@_of("stream")
def test_the_client_hears_the_stream_its_sdk_expects(case: Case) -> None:
    told, usage, problem = played(case, [stream_of(case["stream"], route_of(case).wire)])
    assert told == case["events"]
    assert (usage, problem) == (usage_of(case), case.get("problem", ""))
    for event in told:
        legal.event(case["client"], event)


@_of("ask")
def test_json_written_otherwise_means_the_same(case: Case) -> None:
    client, upstream = route_of(case).sides
    if "request" in case:
        assert composed(case, written_otherwise) == (orjson.dumps(case["request"]), tuple(case["dropped"]))
    if "answer" in case:
        answer = upstream.read_answer(written_otherwise(case["answer"]))
        assert plain(orjson.loads(client.write_answer(answer, told_of(case)))) == plain(case["told"])
    if "stream" in case:
        told, usage, problem = played(case, [stream_of(case["stream"], route_of(case).wire, written_otherwise, b"\r\n")])
        assert (plain(told), usage, problem) == (plain(case["events"]), usage_of(case), case.get("problem", ""))


def cut(case: Case, name: str, at_most: int | None) -> None:
    """Play a case's stream in two pieces, cut at every byte or at some, and byte by byte; it must be told the same."""
    stream = stream_of(case["stream"], route_of(case).wire)
    expected = played(case, [stream])
    places: Any = range(1, len(stream))
    if at_most is not None and len(stream) > ALL_CUTS_BYTES:
        places = random.Random(name).sample(places, at_most)  # chosen once and for all, by the case's name
    for place in places:
        assert played(case, [stream[:place], stream[place:]]) == expected, place
    assert played(case, [stream[a:b] for a, b in itertools.pairwise(range(len(stream) + 1))]) == expected


@pytest.mark.parametrize("name", [name for name, case in cases().items() if "stream" in case])
def test_a_stream_cut_anywhere_is_told_the_same(name: str) -> None:
    cut(cases()[name], name, SOME_CUTS)


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name, case in cases().items() if "stream" in case])
def test_a_stream_cut_everywhere_is_told_the_same(name: str) -> None:
    cut(cases()[name], name, None)


@_of("ask")
def test_a_cap_of_ours_takes_the_callers_place(case: Case) -> None:
    if "refused" in case:
        return
    client, upstream = route_of(case).sides
    ask = client.read_ask(fields(orjson.dumps(case["ask"])), MODEL, False)
    body = orjson.loads(upstream.compose(speak.capped(ask, 77), case["upstream_model"])[0])
    assert legal.output_limit(case["upstream"], body) == 77
