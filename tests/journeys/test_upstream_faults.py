"""Every fault a vendor can commit, through the whole product, on both wires, streamed and not: bounded, explained, and in one row."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from tests.fakes.ports import free_port
from tests.fakes.service import Service
from tests.fakes.upstream import EVENTS, FAULTS, JSON, Turn, Upstream, stream, whole

pytestmark = pytest.mark.journey

# long enough for the slowest machine; only what a fault itself lets pass is short
PATIENT = {"connect_timeout_ms": 10_000, "first_byte_timeout_ms": 30_000, "idle_timeout_ms": 30_000, "total_timeout_ms": 60_000}
IMPATIENT = {
    "stall=before": {"first_byte_timeout_ms": 1_500},
    "stall_first_byte": {"first_byte_timeout_ms": 1_500},
    "stall=mid": {"idle_timeout_ms": 1_500},
    "stall_mid": {"idle_timeout_ms": 1_500},
    "dripping": {"idle_timeout_ms": 1_500},
    "endless": {"total_timeout_ms": 4_000},
}
GIVEN_UP_S = 70
WIRES = {"openai": ("simulator", "sim-chat"), "anthropic": ("simulator_anthropic", "sim-claude")}

# directive: status, code
BEFORE = {
    "reset=before": (502, "upstream_error"),
    "close=before": (502, "upstream_error"),
    "stall=before": (504, "upstream_timeout"),
    "garbage=http": (502, "upstream_error"),
    "redirect": (502, "upstream_error"),
    "html": (502, "upstream_error"),
    "huge_header": (502, "upstream_error"),
    "status=401": (502, "upstream_error"),
    "status=403": (502, "upstream_error"),
    "status=500": (502, "upstream_error"),
    "status=204": (502, "upstream_error"),
    "status=503": (503, "overloaded"),
    "status=529 retry_after=7": (503, "overloaded"),
    "status=429 retry_after=7": (429, "rate_limited"),
    "status=504": (504, "upstream_timeout"),
}
MIDDLE_WHOLE = {
    "reset=mid": (502, "upstream_error"),
    "close=mid": (502, "upstream_error"),
    "stall=mid": (504, "upstream_timeout"),
    "cut": (502, "upstream_error"),
    "garbage=body": (502, "upstream_error"),
}
# What streams commit after their first event.
MIDDLE_STREAM = {
    **MIDDLE_WHOLE,
    "endless": (504, "upstream_timeout"),
    "in_stream_error": (502, "upstream_error"),
    "huge_line=10000000": (502, "upstream_error"),
}
BOMB = {"gzip_bomb": (502, "upstream_error")}
# directive: usage_source, flags
HARMLESS = {
    "split_utf8": ("provider", ""),
    "crlf": ("provider", ""),
    "comments": ("provider", ""),
    "huge_line=2000000": ("provider", ""),
    "usage_twice": ("provider", ""),
    "no_usage": ("estimated", "usage_missing"),
    "usage_negative": ("estimated", "usage_invalid"),
    "usage_text": ("estimated", "usage_invalid"),
}


class Heard(NamedTuple):
    """What the caller got: the error is that of the body or of the stream's last event."""

    status: int
    headers: httpx.Headers
    body: bytes
    events: list[bytes]
    error: dict[str, Any]


def name_of(wire: str, directive: str, streamed: bool) -> str:
    """Return the model of one test, short enough for an account's slug."""
    word = "".join(letter for letter in directive.replace("retry_after", "") if letter.isalnum())
    return f"{wire[0]}{'s' if streamed else 'w'}-{word}"


def deadlines(fault: str) -> dict[str, int]:
    """Return how long the gateway waits for the vendor that commits a fault."""
    return {**PATIENT, **IMPATIENT.get(fault, {})}


def fault_models() -> dict[str, list[dict[str, Any]]]:
    """Return a model for every wire, fault and way, so that no breaker and no pool is shared."""
    made: dict[str, list[dict[str, Any]]] = {}
    for wire, (provider, upstream_model) in WIRES.items():
        for streamed, faults in ((False, {**BEFORE, **MIDDLE_WHOLE, **HARMLESS, **BOMB}), (True, {**BEFORE, **MIDDLE_STREAM, **HARMLESS, **BOMB})):
            for directive in faults:
                made[name_of(wire, directive, streamed)] = [{"provider": provider, "upstream_model": upstream_model, **deadlines(directive)}]
    return made


async def by_path(turn: Turn) -> None:
    """Commit the fault that the first part of the path names."""
    await FAULTS.get(turn.request.path.split("/")[1], OTHERS.get(turn.request.path.split("/")[1], whole(JSON)))(turn)


OTHERS = {
    "bare_done": stream(EVENTS[-1]),
    "nothing": stream(),
    "done_after_error": stream(EVENTS[0], b'data: {"error":{"message":"boom","type":"server_error"}}\n\n', EVENTS[-1]),
    "answer_not_json": whole(b"it is not JSON"),
    "wrong_shape": whole(b'["a list"]'),
    "empty": whole(b""),
    "dripping": stream(b": still thinking\n\n", then="hang"),
    "credential_repeated": whole(b'{"error":{"message":"you sent Bearer canary-credential-in-message"}}', "400 Bad Request"),
    "retry_later": whole(b"{}", "429 Too Many Requests", b"content-type: application/json\r\nretry-after: Fri, 31 Dec 1999 23:59:59 GMT\r\n"),
    "retry_nonsense": whole(b"{}", "429 Too Many Requests", b"content-type: application/json\r\nretry-after: -1e999\r\n"),
}
RAW_WHOLE = {
    "reset_before": 502, "stall_first_byte": 504, "endless_headers": 502, "huge_headers": 502, "bad_chunk": 502, "garbage_status": 502,
    "gzip_bomb": 502, "short_body": 502, "upgrade": 502, "answer_not_json": 502, "wrong_shape": 502, "empty": 502,
    "retry_later": 429, "retry_nonsense": 429, "ok": 200, "gzip": 200,
}  # fmt: skip
# what had begun to answer when it broke
BEGAN = ("bad_chunk", "gzip_bomb", "short_body", "answer_not_json", "wrong_shape")
# fault: whether a byte of the answer came first; None: a good answer
RAW_STREAM = {
    "reset_mid": True, "close_mid": True, "stall_mid": True, "endless": True, "error_event": True, "done_after_error": True, "short_body": False,
    "nothing": False, "bare_done": False, "dripping": True, "sse": None, "no_done": None, "no_usage": None, "usage_twice": None, "split_utf8": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def vendor(service: Service) -> Iterator[Upstream]:
    """The scripted vendor, with every model of this module in the catalogue."""
    with Upstream(script=by_path) as upstream:
        models = fault_models()
        for prefix, faults in (("rw", RAW_WHOLE), ("rs", RAW_STREAM)):
            for fault in faults:
                models[f"{prefix}-{fault.replace('_', '-')}"] = [raw_account(upstream, fault)]
        models["refused"] = [{"provider": "openai_compatible", "base_url": f"http://127.0.0.1:{free_port()}", **PATIENT}]
        models["repeated"] = [{**raw_account(upstream, "credential_repeated"), "credential": "canary-credential-in-message"}]
        for way in ("refused", "stalled", "limited", "broken-stream"):
            fault = {"stalled": "stall_first_byte", "limited": "retry_later", "broken-stream": "reset_before"}.get(way, "ok")
            first = {**raw_account(upstream, fault), **({"base_url": f"http://127.0.0.1:{free_port()}"} if way == "refused" else {})}
            models[f"fo-{way}"] = [first, raw_account(upstream, "sse" if way == "broken-stream" else "ok")]
        models["cool"] = [{"upstream_model": "sim-chat[[sim: status=429 retry_after=60]]"}, {"upstream_model": "sim-chat"}]
        models["all-limited"] = [{"upstream_model": f"sim-chat[[sim: status=429 retry_after={wait}]]"} for wait in (60, 30)]
        models["all-busy"] = [{"upstream_model": f"sim-chat[[sim: status={status}]]"} for status in (503, 529)]
        models["mixed"] = [{"upstream_model": f"sim-chat[[sim: status={status}]]"} for status in (503, 500)]
        models["opening"] = [raw_account(upstream, "reset_before"), raw_account(upstream, "ok")]
        models["callers-own"] = [{"upstream_model": "sim-chat"}]
        service.add_models(models)
        yield upstream


def raw_account(upstream: Upstream, fault: str) -> dict[str, Any]:
    """Return a deployment whose vendor commits a fault of the scripted upstream."""
    return {"provider": "openai_compatible", "base_url": f"{upstream.url}/{fault}", **deadlines(fault)}


def ask(service: Service, model: str, prompt: str = "hello", *, stream: bool = False, **more: Any) -> Heard:
    """Make a chat call and return everything the caller heard."""
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], **({"stream": True} if stream else {}), **more}
    answer = httpx.post(f"{service.base_url}/chat/completions", json=body, headers={"authorization": f"Bearer {service.key}"}, timeout=GIVEN_UP_S)
    events = answer.content.replace(b"\r\n", b"\n").split(b"\n\n") if answer.headers["content-type"].startswith("text/event-stream") else []
    assert not events or events.pop() == b""
    last = events[-1].removeprefix(b"data: ") if events else answer.content
    error = json.loads(last).get("error", {}) if last[:1] == b"{" else {}
    return Heard(answer.status_code, answer.headers, answer.content, events, error)


def said(service: Service, heard: Heard, *columns: str) -> tuple[Any, ...]:
    """Return columns of the call's one row."""
    row = service.row_of(heard.headers["x-request-id"])
    return tuple(row[column] for column in columns)


def attempts(service: Service, heard: Heard) -> list[str]:
    """Return how each try of the call ended."""
    return [attempt[2] for attempt in json.loads(service.row_of(heard.headers["x-request-id"])["attempts"])]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("directive", BEFORE)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.usefixtures("vendor")
def test_a_fault_before_the_answer_is_a_plain_error(service: Service, wire: str, directive: str, streamed: bool) -> None:
    status, code = BEFORE[directive]
    heard = ask(service, name_of(wire, directive, streamed), f"[[sim: {directive}]]", stream=streamed)
    assert (heard.status, heard.headers["content-type"], heard.error["code"]) == (status, "application/json", code)
    assert heard.error["sgw"]["call_id"] == heard.headers["x-request-id"]
    if status in (429, 503):
        assert 1 <= int(heard.headers["retry-after"]) <= 8
    if "retry_after" in directive:
        assert int(heard.headers["retry-after"]) in (7, 8)
    assert said(service, heard, "status", "outcome", "error_code", "usage_source", "cost_nanousd") == (status, "failed", code, "none", 0)


@pytest.mark.parametrize("directive", MIDDLE_WHOLE)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.usefixtures("vendor")
def test_a_fault_inside_a_whole_answer_is_a_plain_error_and_billed(service: Service, wire: str, directive: str) -> None:
    heard = ask(service, name_of(wire, directive, False), f"[[sim: {directive}]]")
    assert (heard.status, heard.error["code"]) == MIDDLE_WHOLE[directive]
    found = said(service, heard, "outcome", "error_code", "usage_source", "flags")
    assert found == ("failed", heard.error["code"], "estimated", "attempts_billed")
    assert said(service, heard, "cost_nanousd") > (0,)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.usefixtures("vendor")
def test_a_compression_bomb_is_billed_by_what_came_of_it(service: Service, wire: str, streamed: bool) -> None:
    heard = ask(service, name_of(wire, "gzip_bomb", streamed), "[[sim: gzip_bomb]]", stream=streamed)
    assert (heard.status, heard.error["code"], said(service, heard, "usage_source")) == (502, "upstream_error", ("estimated",))
    assert 0 < said(service, heard, "cost_nanousd")[0] < 10_000_000


@pytest.mark.parametrize("directive", MIDDLE_STREAM)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.usefixtures("vendor")
def test_a_fault_inside_a_stream_is_its_last_event(service: Service, wire: str, directive: str) -> None:
    status, code = MIDDLE_STREAM[directive]
    heard = ask(service, name_of(wire, directive, True), f"[[sim: {directive} pace=1 tokens=40]]", stream=True)
    assert (heard.status, heard.error["code"]) == (200, code)
    assert b"[DONE]" not in heard.body
    assert len(heard.events) > 1
    found = said(service, heard, "status", "outcome", "error_code", "usage_source")
    assert found == (status, "failed", code, "estimated")
    assert said(service, heard, "cost_nanousd") > (0,)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("directive", HARMLESS)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.usefixtures("vendor")
def test_an_odd_answer_is_still_an_answer(service: Service, wire: str, directive: str, streamed: bool) -> None:
    source, flags = HARMLESS[directive]
    heard = ask(service, name_of(wire, directive, streamed), f"Grüße 🦊 [[sim: {directive} say='zwölf 🦊']]", stream=streamed)
    assert (heard.status, heard.error) == (200, {})
    assert not streamed or (heard.events[-1], heard.body.count(b"[DONE]")) == (b"data: [DONE]", 1)
    heard.body.decode()
    found = said(service, heard, "status", "outcome", "error_code", "usage_source", "flags")
    assert found == (200, "ok", "", source, flags)
    assert said(service, heard, "input_tokens", "output_tokens") > (0, 0)


@pytest.mark.parametrize("fault", RAW_WHOLE)
@pytest.mark.usefixtures("vendor")
def test_a_raw_fault_of_a_whole_answer(service: Service, fault: str) -> None:
    heard = ask(service, f"rw-{fault.replace('_', '-')}")
    assert heard.status == RAW_WHOLE[fault]
    outcome = "ok" if heard.status == 200 else "failed"
    cost = said(service, heard, "cost_nanousd")[0]
    assert (*said(service, heard, "status", "outcome"), cost > 0) == (heard.status, outcome, heard.status == 200 or fault in BEGAN)
    assert int(heard.headers.get("retry-after", "1")) >= 1


@pytest.mark.parametrize("fault", RAW_STREAM)
@pytest.mark.usefixtures("vendor")
def test_a_raw_fault_of_a_stream(service: Service, fault: str) -> None:
    heard = ask(service, f"rs-{fault.replace('_', '-')}", stream=True)
    if RAW_STREAM[fault] is None:
        assert (heard.status, heard.events[-1]) == (200, b"data: [DONE]")
        assert said(service, heard, "outcome", "usage_source") == ("ok", "estimated" if fault == "no_usage" else "provider")
        return
    assert heard.status == (200 if RAW_STREAM[fault] else 502)
    assert heard.error["code"] in ("upstream_error", "upstream_timeout")
    assert b"[DONE]" not in heard.body
    assert said(service, heard, "outcome", "usage_source") == ("failed", "estimated" if RAW_STREAM[fault] or fault in BEGAN else "none")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.usefixtures("vendor")
def test_nobody_listens_there(service: Service, streamed: bool) -> None:
    heard = ask(service, "refused", stream=streamed)
    assert (heard.status, heard.error["code"], attempts(service, heard)) == (502, "upstream_error", ["connect"])


@pytest.mark.usefixtures("vendor")
def test_a_redirect_is_never_followed(service: Service, vendor: Upstream) -> None:
    before = len(vendor.requests)
    prompt = f'[[sim: redirect="{vendor.url}/ok/stolen"]]'
    heard = ask(service, name_of("openai", "redirect", False), prompt)
    assert (heard.status, "location" in heard.headers) == (502, False)
    assert len(vendor.requests) == before


@pytest.mark.usefixtures("vendor")
def test_a_vendor_that_repeats_our_credential_is_not_quoted(service: Service) -> None:
    heard = ask(service, "repeated")
    assert heard.status == 400
    assert b"canary-credential-in-message" not in heard.body


@pytest.mark.parametrize("way", ["refused", "stalled", "limited"])
@pytest.mark.usefixtures("vendor")
def test_the_second_deployment_answers_when_the_first_cannot(service: Service, way: str) -> None:
    heard = ask(service, f"fo-{way}")
    assert (heard.status, heard.headers["x-sgw-attempts"], heard.headers["x-sgw-deployment"]) == (200, "2", f"t-fo-{way}-1/sim-chat")
    assert attempts(service, heard) == [{"refused": "connect", "stalled": "first_byte_timeout", "limited": "429"}[way], "ok"]
    assert said(service, heard, "outcome", "usage_source", "account") == ("ok", "provider", f"t-fo-{way}-1")


@pytest.mark.usefixtures("vendor")
def test_a_stream_fails_over_before_its_first_byte(service: Service) -> None:
    heard = ask(service, "fo-broken-stream", stream=True)
    assert (heard.status, heard.headers["x-sgw-attempts"], heard.events[-1]) == (200, "2", b"data: [DONE]")
    assert attempts(service, heard) == ["reset", "ok"]


@pytest.mark.usefixtures("vendor")
def test_a_limited_deployment_is_left_alone_as_long_as_it_asked(service: Service) -> None:
    heard = [ask(service, "cool") for _ in range(3)]
    assert [(one.status, attempts(service, one)) for one in heard] == [(200, ["429", "ok"]), (200, ["ok"]), (200, ["ok"])]


@pytest.mark.usefixtures("vendor")
def test_all_limited_says_when_the_first_is_free_again(service: Service) -> None:
    heard = [ask(service, "all-limited", stream=streamed) for streamed in (False, True)]
    assert [(one.status, one.error["code"], int(one.headers["retry-after"]) in (29, 30, 31)) for one in heard] == [(429, "rate_limited", True)] * 2
    assert attempts(service, heard[0]) == ["429", "429"]
    assert attempts(service, heard[1]) == []  # both are cooling down: nobody was asked


@pytest.mark.usefixtures("vendor")
def test_all_overloaded_is_503_and_anything_else_502(service: Service) -> None:
    busy, mixed = ask(service, "all-busy"), ask(service, "mixed")
    assert (busy.status, busy.error["code"], attempts(service, busy)) == (503, "overloaded", ["503", "529"])
    assert (mixed.status, mixed.error["code"], attempts(service, mixed)) == (502, "upstream_error", ["503", "500"])


@pytest.mark.usefixtures("vendor")
def test_a_deployment_that_keeps_failing_is_left_out(service: Service) -> None:
    heard = [ask(service, "opening") for _ in range(6)]
    assert [one.status for one in heard] == [200] * 6
    assert [attempts(service, one) for one in heard] == [["reset", "ok"]] * 5 + [["ok"]]


@pytest.mark.parametrize("status", [400, 404, 413, 422])
@pytest.mark.usefixtures("vendor")
def test_a_refusal_of_the_request_itself_is_passed_on(service: Service, status: int) -> None:
    heard = ask(service, "callers-own", f"[[sim: status={status}]]")
    assert (heard.status, heard.error["message"]) == (status, f"Simulated status {status}.")
    assert said(service, heard, "outcome", "usage_source") == ("refused", "none")
