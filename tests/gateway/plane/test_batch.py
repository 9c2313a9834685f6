"""Batches as many calls: each checked and quoted as a call, sent where all of them can go, billed at the vendor's rates for batches."""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson
import pytest
from msgspec import structs

from billing.money import Mode, Rates
from gateway.errors import BadRequest, NoSuchModel, NotAllowed, Refusal, UnsupportedField
from gateway.plane import batch
from gateway.plane.batch import Drafted, Planned, drafted, planned, settled, surveyed
from gateway.plane.snapshot import Snapshot
from gateway.terms import Call, Caller, Reference
from gateway.wire import BatchResult, batching_endpoints
from tests.gateway.plane.builders import PRICE, call, caller, deployment, model, project, sealed_account, snapshot

BATCHES = batching_endpoints()["batches"]
HALF = structs.replace(PRICE, modes=(Mode(name="batch", rates=Rates(input_nanousd=500_000_000, output_nanousd=1_000_000_000)),))
ENDPOINTS = {"acme": frozenset({"chat/completions"}), "other": frozenset({"chat/completions"})}
CALL = call(id="call_0000000000000000000000000000", endpoint="batches", model="-")
FRAMING = 64


def lines(*asks: Mapping[str, Any], url: str = "/v1/chat/completions") -> bytes:
    """Return a file with a request a line."""
    return b"\n".join(
        orjson.dumps({"custom_id": f"c{place}", "method": "POST", "url": url, "body": {"model": "chat", "max_tokens": 10, **ask}})
        for place, ask in enumerate(asks)
    )


def catalogue() -> Snapshot:
    accounts = (sealed_account(), sealed_account("other"))
    both = model("chat", deployment("acme", "up-1", price=HALF), deployment("other", "up-2", order=1))
    return snapshot(both, model("mine", deployment("other", "chat-mine")), model("chatty", deployment("acme", "chatty")), accounts=accounts)


def read(content: bytes, who: Caller | None = None, of: Call = CALL) -> list[Planned]:
    return list(planned(BATCHES, content, of, who or caller(), catalogue()))


def draft(content: bytes, who: Caller | None = None, endpoint: str = "chat/completions") -> Drafted:
    of = structs.replace(CALL, account="acme")
    who = who or caller()
    return drafted(planned(BATCHES, content, of, who, catalogue()), who, "openai", "acme", endpoint, 5_000, "w:2026-11")


def test_azures_addresses_leave_out_the_version() -> None:
    assert [one.call.endpoint for one in read(lines({}, url="/chat/completions"))] == ["chat/completions"]


def test_every_request_is_quoted_as_a_call_would_be() -> None:
    content = lines({"model": "up-1"}, {"model": "up-1", "max_tokens": 500})
    drafted = draft(content)
    sizes = [len(orjson.dumps(orjson.loads(line)["body"])) for line in content.splitlines()]
    # a byte is a token, at the dearest rate: the standard one
    quotes = [(size + FRAMING) * 1000 + most * 2000 for size, most in zip(sizes, (10, 500), strict=True)]
    assert [item.quote_nanousd for item in drafted.items] == quotes
    assert [item.quote_tokens for item in drafted.items] == [sizes[0] + FRAMING + 10, sizes[1] + FRAMING + 500]
    assert (drafted.quote_nanousd, drafted.quote_tokens) == (sum(quotes), sum(item.quote_tokens for item in drafted.items))
    assert ([item.custom_id for item in drafted.items], len(drafted.tickets)) == (["c0", "c1"], 1)
    receipt = drafted.tickets[0].receipt
    assert (receipt.worker, receipt.windows, receipt.model, receipt.upstream_model) == (f"batch:{CALL.id}", "w:2026-11", "chat", "up-1")


def test_what_is_held_counts_every_answer_that_a_request_asks_for() -> None:
    one, eight = (draft(lines({"model": "up-1", **more})).items[0] for more in ({"n": 1}, {"n": 8}))
    assert eight.quote_tokens - one.quote_tokens == 7 * 10


@pytest.mark.parametrize(
    ("content", "who", "kind", "words"),
    [
        (lines({}, {"model": "none"}), {}, NoSuchModel, "Request 2 ('c1'): The model 'none'"),
        (lines({"model": "chatty"}), {"models": frozenset({"chat"})}, NotAllowed, "Request 1 ('c0'): This key may not use 'chatty'"),
        (lines({"stream": True}), {}, BadRequest, "Request 1 ('c0'): A batch has no streams"),
        (lines({"model": 3}), {}, BadRequest, "Request 1 ('c0'): The request does not fit"),
        (lines({}, url="/v1/audio/speech"), {}, BadRequest, "Request 1 ('c0'): Calls to 'audio/speech' are not batched"),
        (lines({}) + b"\n" + lines({}), {}, BadRequest, "The custom_id 'c0' stands twice"),
        (lines({"previous_response_id": "resp_1", "input": "x"}, url="/v1/responses"), {}, BadRequest, "Request 1 ('c0'): A request of a batch cannot go on"),
        (lines({"contents": [{"fileData": {"fileUri": "gs://b/a"}}]}), {}, UnsupportedField, "Request 1 ('c0'): A request of a batch cannot name 'gs://b/a'"),
        (b"\n", {}, BadRequest, "The batch holds no request."),
    ],
)
def test_what_would_be_refused_as_a_call_is_refused_in_a_batch(content: bytes, who: dict[str, Any], kind: type[Refusal], words: str) -> None:
    with pytest.raises(kind) as caught:
        read(content, caller(**who))
    assert caught.value.message.startswith(words)


@pytest.mark.parametrize(
    ("body", "where", "name"),
    [
        ({"input": [{"content": [{"type": "input_file", "file_id": "file-1"}]}]}, "input[0].content[0].file_id", "file-1"),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}, "tools[0].vector_store_ids", "vs_1"),
        ({"tools": [{"type": "mcp", "tunnel_id": "tunnel_1"}]}, "tools[0].tunnel_id", "tunnel_1"),
        ({"container": {"id": "container_1"}}, "container", "container_1"),
        # the caller's own data
        ({"metadata": {"file_id": "mine"}, "tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "", ""),
        ({"messages": [{"content": [{"type": "tool_use", "input": {"file_id": "mine"}}]}]}, "", ""),
    ],
)
def test_what_a_vendor_keeps_is_found_in_each_request(body: dict[str, Any], where: str, name: str) -> None:
    found = read(lines({}, body))
    assert [one.named for one in found] == [(), (Reference(f"requests.1.{where}", name),) if name else ()]
    assert batch.named(found) == found[1].named


def test_a_thing_is_looked_up_once_a_batch_and_not_without_end() -> None:
    bodies: list[dict[str, Any]] = [{"file_ids": [f"file-{place}", "file-0"]} for place in range(batch.MOST_NAMED)]
    found = read(lines(*bodies))
    assert [one.object_id for one in batch.named(found)] == [f"file-{place}" for place in range(batch.MOST_NAMED)]
    with pytest.raises(BadRequest, match="at most 1000 different files"):
        batch.named([*found, *read(lines({"file_id": "one-more"}))])


def test_data_too_close_for_a_model_are_refused_in_a_batch_too() -> None:
    who = structs.replace(caller(), project=project(data_class=3))
    cleared = snapshot(model("chat", deployment(), cleared_for=1))
    with pytest.raises(Refusal) as caught:
        list(planned(BATCHES, lines({}), CALL, who, cleared))
    assert (caught.value.code, caught.value.message[:7]) == ("data_class_not_allowed", "Request")


def test_a_batch_goes_where_all_its_models_are() -> None:
    assert surveyed(read(lines({}, {})), ENDPOINTS)[1] == ("acme", "other")
    assert surveyed(read(lines({}, {"model": "mine"})), ENDPOINTS)[1] == ("other",)
    with pytest.raises(BadRequest) as caught:
        surveyed(read(lines({}, {"model": "mine"}, {"model": "chatty"})), ENDPOINTS)
    assert "takes batches of 'chatty'" in caught.value.message
    with pytest.raises(BadRequest):
        surveyed(read(lines({})), {"acme": frozenset({"embeddings"})})


def test_the_account_gets_its_own_names_and_nothing_to_store() -> None:
    requests = read(lines({}, {"model": "chatty"}))
    assert batch.changed(requests, "acme", stores=True) == {0: b'{"max_tokens":10,"model":"up-1"}'}
    stored = read(lines({"input": "x", "max_output_tokens": 5}, {"input": "x", "store": False}, url="/v1/responses"))
    bodies = batch.changed(stored, "acme", stores=False)
    assert [(orjson.loads(bodies[place])["model"], orjson.loads(bodies[place]).get("store")) for place in (0, 1)] == [("up-1", False), ("up-1", False)]


def test_a_file_from_before_a_change_of_names_is_refused() -> None:
    for content, endpoint, words in (
        (lines({}), "chat/completions", "Request 1 names 'chat', which is called otherwise by now"),
        (lines({"model": "up-1"}), "embeddings", "Request 1 is for 'chat/completions', the batch for 'embeddings'"),
        (lines({"model": "up-1", "input": "x"}, url="/v1/responses"), "responses", "Request 1 would be stored"),
    ):
        with pytest.raises(BadRequest) as caught:
            draft(content, endpoint=endpoint)
        assert caught.value.message.startswith(words)


ANSWER = orjson.dumps({"choices": [{"message": {"content": "hello"}}], "usage": {"prompt_tokens": 50, "completion_tokens": 10, "total_tokens": 60}})


def test_an_answer_is_billed_at_the_rates_for_batches() -> None:
    drafted = draft(lines({"model": "up-1"}))
    item, ticket = drafted.items[0], drafted.tickets[0]
    receipt = settled(0, item, ticket, BatchResult("c0", 200, ANSWER), "batch")
    assert (receipt.call_id, receipt.client_request_id, receipt.status, receipt.outcome) == (f"{CALL.id}-0", "c0", 200, "ok")
    assert (receipt.input_tokens, receipt.output_tokens, receipt.usage_source, receipt.flags) == (50, 10, "provider", "tier_batch")
    assert (receipt.cost_nanousd, receipt.quote_nanousd) == (50 * 500 + 10 * 1000, item.quote_nanousd)
    beyond = settled(0, structs.replace(item, quote_nanousd=34_999), ticket, BatchResult("c0", 200, ANSWER), "batch")
    assert (beyond.cost_nanousd, beyond.flags) == (35_000, "tier_batch,overrun")


def test_without_rates_for_batches_the_standard_ones_are_billed_and_that_is_said() -> None:
    drafted = draft(lines({"model": "chatty"}))
    receipt = settled(0, drafted.items[0], drafted.tickets[0], BatchResult("c0", 200, ANSWER), "batch")
    assert (receipt.cost_nanousd, receipt.flags) == (50 * 1000 + 10 * 2000, "tier_batch,tier_unpriced")


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (BatchResult("c0", 400, b"{}", "bad_thing"), (400, "refused", "bad_thing", "none", 0)),
        (BatchResult("c0", 500, b"{}", "vendor_refused"), (500, "failed", "vendor_refused", "none", 0)),
        (BatchResult("c0", 0, error_code="batch_expired"), (0, "aborted", "batch_expired", "none", 0)),
        # 52 bytes sent are 13 tokens; the message's 19 bytes are 5
        (BatchResult("c0", 200, b'{"choices":[{"message":{"content":"hello"}}]}'), (200, "ok", "", "estimated", 13 * 500 + 5 * 1000)),
        (BatchResult("c0", 200, b"nonsense"), (200, "ok", "", "estimated", 13 * 500 + 2 * 1000)),
    ],
)
def test_what_became_of_a_request_is_billed_as_it_came(result: BatchResult, expected: tuple[int, str, str, str, int]) -> None:
    drafted = draft(lines({"model": "up-1", "messages": [{}]}))
    item = structs.replace(drafted.items[0], body_bytes=52)
    receipt = settled(0, item, drafted.tickets[0], result, "batch")
    assert (receipt.status, receipt.outcome, receipt.error_code, receipt.usage_source, receipt.cost_nanousd) == expected


def test_what_is_kept_of_a_batch_comes_back_as_it_was() -> None:
    drafted = draft(lines({"model": "up-1"}))
    assert batch.ITEMS.decode(msgspec.msgpack.encode(drafted.items)) == drafted.items
    assert batch.TICKETS.decode(msgspec.msgpack.encode(drafted.tickets)) == drafted.tickets
