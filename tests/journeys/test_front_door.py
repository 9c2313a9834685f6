"""Hostile input at the door, over raw sockets against the started product: 4xx in the caller's shape, never 500, and it keeps serving."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.service import Service
from tests.journeys.wire import NONE, Answer, Wire, head, once, post

pytestmark = pytest.mark.journey

GIB = 1024**3
GOOD = b'{"model":"sim-chat","messages":[{"role":"user","content":"hello"}]}'


def with_field(text: bytes) -> bytes:
    """Return a good body with one more field."""
    return GOOD[:-1] + b"," + text + b"}"


BAD_BODIES = {
    "nothing": b"",
    "not json": b"hello",
    "a list": b"[]",
    "a text": b'"text"',
    "null": b"null",
    "cut": GOOD[:-1],
    "two": GOOD + GOOD,
    "bom": b"\xef\xbb\xbf" + GOOD,
    "utf-16": GOOD.decode().encode("utf-16"),
    "invalid utf-8": GOOD.replace(b"hello", b"\xff\xfe"),
    "overlong utf-8": GOOD.replace(b"hello", b"\xc0\xaf"),
    "raw nul": GOOD.replace(b"hello", b"a\0b"),
    "lone surrogate": GOOD.replace(b"hello", b"\\ud800"),
    "lone low surrogate": GOOD.replace(b"hello", b"\\udc00x"),
    "surrogate in a key": with_field(b'"\\ud800":1'),
    "nan": with_field(b'"temperature":NaN'),
    "infinity": with_field(b'"temperature":Infinity'),
    "-infinity": with_field(b'"temperature":-Infinity'),
    "10^400": with_field(b'"seed":1' + b"0" * 400),
    "1e400": with_field(b'"seed":1e400'),
    "a million digits": with_field(b'"seed":' + b"9" * 1_000_000),
    "depth 65": with_field(b'"metadata":' + b'{"a":' * 65 + b"1" + b"}" * 65),
    "depth 100 000 lists": with_field(b'"metadata":' + b"[" * 100_000 + b"]" * 100_000),
    "depth 100 000 objects": with_field(b'"metadata":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "depth 100 000 unclosed": b"[" * 100_000,
    "key twice": with_field(b'"model":"other"'),
    "key twice, escaped": with_field(b'"mod\\u0065l":"other"'),
    "key twice, deep": with_field(b'"metadata":[{"b":{"a":1,"a":2}}]'),
    "comment": with_field(b'"a":1/*x*/'),
    "trailing comma": with_field(b'"a":1,'),
    "no model": b'{"messages":[]}',
    "model null": b'{"model":null,"messages":[]}',
    "model number": b'{"model":7,"messages":[]}',
    "stream text": with_field(b'"stream":"yes"'),
    "stream options list": with_field(b'"stream":true,"stream_options":[]'),
    "max tokens negative": with_field(b'"max_tokens":-1'),
    "max tokens huge": with_field(b'"max_completion_tokens":99999999999999999999'),
    "max tokens float": with_field(b'"max_tokens":1.5'),
    "user list": with_field(b'"user":[]'),
}
GOOD_BODIES = {
    "nul in a text": GOOD.replace(b"hello", b"a\\u0000b"),
    "surrogate pair": GOOD.replace(b"hello", b"\\ud83e\\udd8a"),
    "depth 60": with_field(b'"metadata":' + b'{"a":' * 60 + b"1" + b"}" * 60),
    "nul as user": with_field(b'"user":"\\u0000evil\\u001b[2J"'),
    "unknown field": with_field(b'"never_heard_of":{"it":[1,2,3]}'),
    "white space": b" \n\t" + GOOD + b"\r\n ",
}


@pytest.fixture(autouse=True)
def _still_serving(service: Service) -> Iterator[None]:
    """After every attack the same process answers a plain call, and nothing failed inside."""
    yield
    assert once(service, post(service, GOOD)).status == 200
    assert "Traceback" not in service.log()


def refused(answer: Answer, status: int, code: str) -> None:
    """Assert a refusal in OpenAI's shape."""
    assert (answer.status, answer.headers["content-type"], answer.error["code"]) == (status, "application/json", code)
    assert set(answer.error) == {"message", "type", "param", "code", "sgw"}
    assert answer.error["sgw"]["call_id"] == answer.headers["x-request-id"]
    assert (answer.headers["x-content-type-options"], len(answer.body) < 4_000) == ("nosniff", True)


@pytest.mark.parametrize("name", BAD_BODIES)
@pytest.mark.parametrize("path", [b"/v1/chat/completions", b"/v1/sim-openai/chat/completions"], ids=["unified", "provider"])
def test_a_bad_body_is_refused(service: Service, path: bytes, name: str) -> None:
    refused(once(service, post(service, BAD_BODIES[name], path=path)), 400, "invalid_request")


@pytest.mark.parametrize("name", GOOD_BODIES)
def test_an_odd_body_is_served(service: Service, name: str) -> None:
    answer = once(service, post(service, GOOD_BODIES[name]))
    assert answer.status == 200
    assert service.row_of(answer.headers["x-request-id"])["end_user"] == ("evil[2J" if name == "nul as user" else "")


@pytest.mark.parametrize("name", [b"x" * 1_000_000, b"sim-chat\\r\\nx-evil: 1", b"sim-chat\\u0000", b"../../etc/passwd", b"<script>"], ids=range(5))
def test_a_strange_model_is_not_found(service: Service, name: bytes) -> None:
    answer = once(service, post(service, GOOD.replace(b"sim-chat", name)))
    refused(answer, 404, "model_not_found")
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize("kind", [b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x", b"", b"application/jsonp"])
def test_a_wrong_content_type_is_refused(service: Service, kind: bytes) -> None:
    refused(once(service, post(service, GOOD, b"content-type: " + kind)), 415, "unsupported_media_type")


# ---- sizes and patience ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [b"content-length: %d" % GIB, b"transfer-encoding: chunked"], ids=["length", "chunked"])
def test_a_huge_body_without_a_key_is_answered_before_it_is_read(service: Service, line: bytes) -> None:
    before = service.worker_rss_bytes()
    with Wire(service) as wire:
        assert wire.send(head(service, line, b"content-type: application/json", key=False))
        answer = wire.answer()
        refused(answer, 401, "invalid_api_key")
        assert answer.headers["connection"] == "close"
        sent = 0
        while sent < 256 and wire.send(b"100000\r\n" + bytes(1 << 20) + b"\r\n"):
            sent += 1
        assert sent < 256
    assert service.worker_rss_bytes() - before < 8 << 20


def test_a_caller_who_sends_all_before_reading_still_hears_401(service: Service) -> None:
    for _ in range(5):
        answer = httpx.post(f"{service.base_url}/chat/completions", content=bytes(3 << 20), headers={"authorization": "Bearer nonsense"})
        assert answer.status_code == 401


def test_a_body_above_the_limit_is_refused_by_its_length(service: Service) -> None:
    with Wire(service) as wire:
        wire.send(head(service, b"content-length: %d" % GIB))
        refused(wire.answer(), 413, "request_too_large")


def test_a_chunked_body_above_the_limit_is_refused_while_it_comes(impatient: Service) -> None:
    with Wire(impatient) as wire:
        wire.send(head(impatient, b"transfer-encoding: chunked"))
        while wire.send(b"10000\r\n" + b" " * 65_536 + b"\r\n"):
            pass
    with Wire(impatient) as wire:
        wire.send(head(impatient, b"transfer-encoding: chunked") + (b"10000\r\n" + b" " * 65_536 + b"\r\n") * 17)
        refused(wire.answer(), 413, "request_too_large")


def test_a_body_that_does_not_come_is_not_waited_for(impatient: Service) -> None:
    began = time.monotonic()
    with Wire(impatient) as wire:
        wire.send(head(impatient, b"content-length: 100") + b'{"model"')
        refused(wire.answer(), 408, "request_timeout")
        assert wire.is_closed()
    assert time.monotonic() - began < 5


def test_headers_that_do_not_come_are_not_waited_for(impatient: Service) -> None:
    """Neither those of a first request nor those of a second on the same connection, nor when only empty lines come."""
    began = time.monotonic()
    with Wire(impatient, 20) as first, Wire(impatient, 20) as second, Wire(impatient, 20) as empty, Wire(impatient, 20) as silent:
        for wire in (second, empty):
            wire.send(post(impatient, GOOD))
            assert wire.answer().status == 200
        for wire in (first, second):
            wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-slow: ")
        empty.send(b"\r\n")
        assert [wire.is_closed() for wire in (first, second, empty, silent)] == [True] * 4
    assert time.monotonic() - began < 14


@pytest.mark.parametrize("size", [70_000, 1_000_000, 20_000_000])
def test_endless_headers_are_cut_off(service: Service, size: int) -> None:
    before = service.worker_rss_bytes()
    with Wire(service) as wire:
        wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-long: " + b"y" * size + b"\r\n\r\n")
        answer = wire.answer()
    assert answer == NONE or 400 <= answer.status < 500
    assert service.worker_rss_bytes() - before < 32 << 20


# ---- paths and methods ----------------------------------------------------------------------------------------------

UNKNOWN = [
    b"/v1", b"/v1/", b"/v1//chat/completions", b"/v1/chat//completions", b"/v1/chat/completions/", b"/v1/chat/completions.", b"/v1/chat/completions%20",
    b"/v1/%2e%2e/admin/", b"/v1/../admin/", b"/v1/./chat/completions", b"/v1/chat%2fcompletions", b"/v1/chat/completions;x=1", b"/v1/chat/%63ompletions",
    b"/v1/Chat/completions", b"/v1/chat/completions%00", b"/v1/%ff%fe", b"/v1/nowhere", b"/v1/sim-openai", b"/v1/sim-openai/",
    b"/v1/sim-openai/vector_stores", b"/v1/sim-openai/../../admin/", b"/v1/sim-openai/%2e%2e/x", b"/v1/sim-openai//chat/completions", b"/v1/" + b"a" * 20_000,
]  # fmt: skip


@pytest.mark.parametrize("path", UNKNOWN, ids=lambda path: path.decode()[:40])
def test_only_the_exact_path_is_an_endpoint(service: Service, path: bytes) -> None:
    refused(once(service, post(service, GOOD, path=path)), 404, "unknown_endpoint")


@pytest.mark.parametrize("path", [b"//v1/chat/completions", b"/%76%31/chat/completions", b"/V1/chat/completions", b"/x/../v1/chat/completions", b"/./v1/key"])
def test_a_path_beside_the_plane_is_no_way_into_it(service: Service, path: bytes) -> None:
    answer = once(service, post(service, GOOD, path=path))
    assert 400 <= answer.status < 500
    assert b"choices" not in answer.body


def test_v1_twice_says_what_to_do(service: Service) -> None:
    answer = once(service, post(service, GOOD, path=b"/v1/v1/chat/completions"))
    refused(answer, 404, "unknown_endpoint")
    assert "remove /v1 from base_url" in answer.error["message"]


@pytest.mark.parametrize("path", [b"/chat/completions", b"//v1/chat/completions", b"/V1/Chat/completions/"])
def test_a_base_url_without_v1_says_what_to_do(service: Service, path: bytes) -> None:
    answer = once(service, post(service, GOOD, path=path))
    assert (answer.status, answer.headers["content-type"], answer.error["code"]) == (404, "application/json", "unknown_endpoint")
    assert "use '/v1/chat/completions'" in answer.error["message"]


@pytest.mark.parametrize("method", [b"GET", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE"])
def test_another_method_is_refused(service: Service, method: bytes) -> None:
    answer = once(service, head(service, method=method))
    refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_head_gets_no_body(service: Service) -> None:
    with Wire(service) as wire:
        wire.send(head(service, method=b"HEAD"))
        assert wire.send(b"")
        assert wire._more()
        assert wire._rest.startswith(b"HTTP/1.1 405")
        assert wire._rest.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("request_line", [b"CONNECT evil:443 HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET http://evil/v1/key HTTP/1.1", b"BREW /v1/key HTTP/1.1"])
def test_other_forms_of_a_request_line(service: Service, request_line: bytes) -> None:
    answer = once(service, request_line + b"\r\nhost: evil\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    assert answer == NONE or 400 <= answer.status < 500


@pytest.mark.parametrize(
    "noise", [b"\0" * 100, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET\r\n\r\n", b"A" * 100_000]
)
def test_what_is_not_http_is_shown_out(service: Service, noise: bytes) -> None:
    with Wire(service) as wire:
        wire.send(noise + b"\r\n\r\n")
        answer = wire.answer()
    assert answer == NONE or 400 <= answer.status <= 505 != 500


# ---- headers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        [b"host: evil"],
        [b"content-type: application/json", b"content-type: text/plain"],
        [b"content-length: 5"],
        [b"content-length: 67, 67"],
        [b"transfer-encoding: chunked"],
        [b"content-length: +67"],
        [b"content-length: 0x43"],
        [b"content-length: 99999999999999999999999999"],
        [b"transfer-encoding: xchunked"],
        [b"transfer-encoding: chunked, identity"],
        [b"transfer-encoding : chunked"],
        [b"x-bad\0name: 1"],
        [b"no colon here"],
        [b": no name"],
        [b"x-bare-cr: a\rb"],
    ],
    ids=lambda lines: lines[0].decode()[:30],
)
def test_a_doubtful_head_is_refused_and_smuggles_nothing(service: Service, lines: list[bytes]) -> None:
    """Whatever the framing says, the request hidden in the body is never served."""
    hidden = head(service, path=b"/v1/key", method=b"GET")
    with Wire(service) as wire:
        wire.send(post(service, GOOD, *lines) + b"0\r\n\r\n" + hidden)
        answer = wire.answer()
        assert answer.status == 400
        assert wire.answer().status in (0, 400)


def test_no_host_is_refused(service: Service) -> None:
    answer = once(service, b"GET /v1/key HTTP/1.1\r\nauthorization: Bearer " + service.key.encode() + b"\r\n\r\n")
    assert answer.status == 400


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"authorization: Bearer"],
        [b"authorization: Bearer nonsense"],
        [b"authorization: Basic dXNlcjpwYXNz"],
        [b"authorization: Bearer sgw_vk_AAAAAAAAAA_" + b"a" * 38],
        [b"authorization: Bearer \xff\xfe\x80"],
        [b"authorization: Bearer " + b"k" * 30_000],
        [b"x_api_key: KEY"],
        [b"cookie: sessionid=KEY"],
        [b"authorization: Bearer KEY", b"x-api-key: other"],
        [b"authorization: Bearer KEY", b"authorization: Bearer other"],
        [b"authorization: Bearer KEY", b"authorization: Basic dXNlcjpwYXNz"],
        [b"authorization: Bearer KEYx"],
    ],
    ids=range(13),
)
def test_no_key_two_keys_and_wrong_keys_are_401(service: Service, lines: list[bytes]) -> None:
    given_lines = [line.replace(b"KEY", service.key.encode()) for line in lines]
    answer = once(service, post(service, GOOD, *given_lines, path=b"/v1/chat/completions?key=" + service.key.encode(), key=False))
    refused(answer, 401, "invalid_api_key")
    assert service.key.encode() not in answer.body


@pytest.mark.parametrize("name", [b"authorization: Bearer ", b"AUTHORIZATION:bearer ", b"x-api-key: ", b"api-key:", b"x-goog-api-key: "])
def test_every_form_of_credential_is_taken(service: Service, name: bytes) -> None:
    assert once(service, post(service, GOOD, name + service.key.encode(), key=False)).status == 200


@pytest.mark.parametrize(
    "value", [b"abc", b"-1", b"0", b"1.5", b"1e3", b"", b"9" * 20, b"0" * 11 + b"1" + b"9" * 5_000, b"\xb2", b"86400001", b"0000000000000086400001"]
)
def test_a_nonsense_deadline_is_refused(service: Service, value: bytes) -> None:
    refused(once(service, post(service, GOOD, b"x-sgw-timeout-ms: " + value)), 400, "invalid_request")


def test_labels_are_kept_printable_and_short(service: Service) -> None:
    lines = (
        b"x-sgw-user: a\tb\xc2\x85c\xe2\x80\xaed\xff\xfe" + b"u" * 3_000,
        b"x-sgw-session: \xf0\x9f\xa6\x8a" + b"s" * 3_000,
        b"x-sgw-tags: <script>alert(1)</script>,=1+1",
        b"user-agent: \x80\x81" + b"a" * 3_000,
        b"x-request-id: ' OR 1=1 --",
        b"x-forwarded-for: 6.6.6.6",
    )
    answer = once(service, post(service, GOOD, *lines))
    assert answer.status == 200
    row = service.row_of(answer.headers["x-request-id"])
    for column in ("end_user", "session", "tags", "user_agent", "client_request_id"):
        assert row[column].isprintable()
        assert 0 < len(row[column]) <= 200
    assert (row["end_user"][:3], row["session"][0], row["ip"]) == ("abc", "🦊", "127.0.0.1")
    assert (row["tags"], row["client_request_id"]) == ("<script>alert(1)</script>,=1+1", "' OR 1=1 --")


@pytest.mark.parametrize("character", [b"\x01", b"\x00", b"\x7f", b"\x1b[2J"])
def test_control_characters_in_labels_never_reach_the_row(service: Service, character: bytes) -> None:
    answer = once(service, post(service, GOOD, b"x-sgw-user: a" + character + b"b"))
    assert answer.status in (200, 400)
    if answer.status == 200:
        assert service.row_of(answer.headers["x-request-id"])["end_user"].isprintable()


def test_a_call_that_comes_round_again_is_508(service: Service) -> None:
    echo = GOOD.replace(b"hello", b"[[sim: echo=headers]]")
    said = json.loads(once(service, post(service, echo)).body)["choices"][0]["message"]["content"]
    via = json.loads(said[said.index("{") : said.rindex("}") + 1])["via"]
    refused(once(service, post(service, GOOD, b"via: 1.1 other, " + via.encode())), 508, "loop_detected")
    assert once(service, post(service, GOOD, b"via: 1.1 symbiosis-another")).status == 200


# ---- connections ----------------------------------------------------------------------------------------------------


def test_http_1_0_is_answered_and_closed(service: Service) -> None:
    with Wire(service) as wire:
        wire.send(post(service, GOOD).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        assert wire.answer().status == 200
        assert wire.is_closed()


def test_pipelined_requests_are_answered_in_order(service: Service) -> None:
    requests = [post(service, GOOD), post(service, b"[]"), head(service, path=b"/v1/key", method=b"GET"), post(service, GOOD, path=b"/v1/nowhere")]
    with Wire(service) as wire:
        wire.send(b"".join(requests * 3))
        assert [wire.answer().status for _ in range(12)] == [200, 400, 200, 404] * 3


def test_a_request_may_come_byte_by_byte(service: Service) -> None:
    with Wire(service) as wire:
        for byte in post(service, GOOD):
            wire.send(bytes([byte]))
        assert wire.answer().status == 200


# ---- anything -------------------------------------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12)
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=12)
ROLES = st.sampled_from(["system", "developer", "user", "assistant", "tool", "function", ""]) | ANYTHING
PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url", "input_audio", "file", "refusal"]) | ANYTHING}, optional={"text": ANYTHING, "image_url": ANYTHING}
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": ROLES, "content": ANYTHING | st.lists(PARTS, max_size=3)}, optional={"tool_calls": ANYTHING, "tool_call_id": ANYTHING, "name": ANYTHING}
    )
    | ANYTHING,
    max_size=4,
)
FIELDS = (
    "n stop seed tools tool_choice response_format max_tokens max_completion_tokens temperature top_p logprobs "
    "metadata user stream_options functions reasoning_effort parallel_tool_calls modalities audio logit_bias service_tier store"
)
BODIES = st.fixed_dictionaries(
    {"model": st.sampled_from(["sim-chat", "sim-claude", "sim-embed"]) | ANYTHING, "messages": MESSAGES | ANYTHING},
    optional={"stream": st.booleans() | ANYTHING, **dict.fromkeys(FIELDS.split(), ANYTHING)},
)


def test_any_body_gets_an_answer_that_is_not_our_failure(service: Service) -> None:
    with httpx.Client(headers={"authorization": f"Bearer {service.key}"}, timeout=20) as client:

        @settings(max_examples=150, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(body=BODIES | ANYTHING, endpoint=st.sampled_from(["chat/completions", "chat/completions", "embeddings"]))
        def holds(body: Any, endpoint: str) -> None:
            sent = json.dumps(body).encode()
            answer = client.post(f"{service.base_url}/{endpoint}", content=sent, headers={"content-type": "application/json"})
            assert answer.status_code < 500, (endpoint, sent, answer.text)
            if answer.status_code != 200:
                assert set(answer.json()["error"]) >= {"message", "type", "param", "code"}
            assert b'"status":5' not in answer.content, (endpoint, sent, answer.text)

        holds()


@given(junk=st.binary(max_size=300))
@settings(max_examples=100, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_any_bytes_get_an_answer_that_is_not_our_failure(service: Service, junk: bytes) -> None:
    assert once(service, post(service, junk)).status == 400
    assert once(service, post(service, GOOD[:30] + junk + GOOD[30:])).status in (200, 400, 404)


def test_the_data_directory_is_closed_to_others(service: Service) -> None:
    for place in ("secrets.json", "demo.json", "snapshot/current"):
        assert Path(service.data_dir / place).stat().st_mode & 0o077 == 0
