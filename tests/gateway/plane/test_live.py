"""Live sessions: every response held for before and settled after, whoever ends them and however."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec import structs
from websockets.asyncio.server import ServerConnection

from accounts.addresses import AddressRules
from billing.money import Price, Rates
from billing.receipts import Intent, Progress, Settle
from gateway.errors import BadRequest, KeyRevoked, NoSuchModel, NotAllowed, OverBudget, PriceUnknown, Refusal, UpstreamFailed
from gateway.plane.endpoint import endpoint_of
from gateway.plane.figures import Figures
from gateway.plane.health import Health
from gateway.plane.live import Closing, Session
from gateway.plane.pools import Pools
from gateway.plane.send import Sender
from gateway.plane.sockets import Sockets
from gateway.plane.walk import Corridor
from gateway.providers import Provider
from gateway.providers import shelf as providers
from gateway.terms import Account, Call, Caller, Model, Rules
from gateway.wire import live_endpoints
from tests.fakes.live import WITHIN_S, Listener, LiveVendor, silent, vendor
from tests.fakes.upstream import Upstream, whole
from tests.gateway.plane import builders
from tests.gateway.plane.corridor import NOW_S, Records
from tests.gateway.plane.corridor import Vendor as Nobody
from tests.gateway.plane.test_hold import Bank, budget, rules

SHELF = {
    "openai": Provider(slug="openai", title="OpenAI", wires={"realtime": "openai_chat", "audio/transcriptions": "openai_chat"}),
    "google": providers()["simulator_google"],
    # without the exchange of its credential
    "cloud": structs.replace(providers()["vertex"], token_request=None),
    "chat": builders.SHELF["openai"],
}
# a dollar for a million tokens in, two for one out, four and eight where it is sound, ten cents where it is cached
PRICE = Price(
    id="price-live",
    rates=Rates(
        input_nanousd=1_000_000_000, output_nanousd=2_000_000_000, audio_input_nanousd=4_000_000_000, audio_output_nanousd=8_000_000_000,
        cached_nanousd=100_000_000,
    ),
)  # fmt: skip
ASK = {"type": "response.create"}
SOUND = "A" * 32_000  # half a second as the model speaks: ten tokens
USAGE = {
    "total_tokens": 130, "input_tokens": 100, "output_tokens": 30,
    "input_token_details": {
        "text_tokens": 60, "audio_tokens": 40, "cached_tokens": 30, "cached_tokens_details": {"text_tokens": 20, "audio_tokens": 10},
    },
    "output_token_details": {"text_tokens": 10, "audio_tokens": 20},
}  # fmt: skip
# 40 text, 30 of sound that is not cached, 30 cached; 10 of text and 20 of sound
COST = (40 * 1_000 + 30 * 4_000 + 30 * 100) + (10 * 2_000 + 20 * 8_000)
WHO = builders.caller()


def created() -> str:
    return json.dumps({"type": "response.created", "response": {"id": "r", "status": "in_progress"}})


def done(usage: Any = USAGE, status: str = "completed") -> str:
    return json.dumps({"type": "response.done", "response": {"id": "r", "status": status, "usage": usage}})


def speaking(*after: str, usage: Any = USAGE) -> LiveVendor:
    """Return a vendor that answers each `response.create` with sound and its usage, or with `after` in place of the end."""

    async def answer(connection: ServerConnection, event: dict[str, Any]) -> None:
        if event["type"] == "response.create":
            for told in (created(), json.dumps({"type": "response.output_audio.delta", "delta": SOUND}), *(after or (done(usage),))):
                await connection.send(told)

    return vendor(answer)


class Stage:
    """A session at vendors in their order, with budgets in a bank."""

    def __init__(self, *vendors: LiveVendor | str, these: Rules | None = None, bank: Bank | None = None, provider: str = "openai", **model: Any) -> None:
        self.records, self.bank = Records(), bank or Bank()
        urls = [one if isinstance(one, str) else one.url for one in vendors]
        accounts = tuple(builders.sealed_account(f"v{at}", provider=provider, base_url=f"{url}/v1", sealed_credential=b"s3cret") for at, url in enumerate(urls))
        deployments = tuple(builders.deployment(f"v{at}", order=at, price=PRICE) for at in range(len(urls)))
        named = builders.model("talk", *deployments, **{"kind": "realtime", **model})
        structure = builders.Structure(accounts=accounts, models=(named,), projects=(builders.project(),))
        found = builders.apply(None, builders.Update(revision=9, structure=structure, keys=(), whole=True), SHELF, builders.opened)
        self.snapshot = found if these is None else structs.replace(found, rules=these)
        pools = Pools(SHELF, lambda account: Nobody(), b"test", make_sockets=sockets)
        pools.adopt(self.snapshot.accounts)
        self.pools = pools
        clock = lambda: NOW_S  # noqa: E731
        sender = Sender(pools, Health(clock), clock, clock)
        self.sender = Sender(pools, Health(clock), clock, clock, None, lambda pool: pool.sockets)  # type: ignore[arg-type,return-value]
        self.corridor = Corridor(
            sender,
            self.records,
            Figures(),
            lambda line: None,
            clock,
            clock,
            random.Random(1),
            self.bank.holds,
            "w1",  # type: ignore[arg-type]
        )
        self.caller: Caller | Refusal = WHO
        self.ids = 1

    def add(self, model: Model) -> None:
        """Put a further model into the catalogue."""
        places = {(one.account, one.upstream_model): (model,) for one in model.deployments}
        dearest = {one.price.id: (1_000_000_000, 2_000_000_000, 0, 0) for one in model.deployments if one.price is not None}
        self.snapshot = structs.replace(
            self.snapshot,
            models={**self.snapshot.models, model.name: model},
            by_upstream={**self.snapshot.by_upstream, **places},
            dearest={**self.snapshot.dearest, **dearest},
        )

    def session(self, side: Listener, **changes: Any) -> Session:
        """Return a session that is about to begin."""
        asked = {"id": "call_1", "endpoint": "realtime", "model": "talk", "body": b"", "stream": True, "session": "call_1", **changes}
        call: Call = builders.call(**asked)
        live = live_endpoints()[call.endpoint][1]

        def tell(refusal: Refusal) -> str | None:
            return live.error_event and live.error_event(refusal.status, refusal.code, refusal.kind, refusal.message, refusal.param, {})

        return Session(self.corridor, self.sender, side, call, self.again, lambda: self.snapshot, self.new_id, tell)

    async def again(self) -> Caller:
        """Return who calls by now."""
        if isinstance(self.caller, Refusal):
            raise self.caller
        return self.caller

    def new_id(self) -> str:
        """Return the next call's id."""
        self.ids += 1
        return f"call_{self.ids}"

    async def run(self, side: Listener, then: Callable[[Session], Awaitable[None]] | None = None, setup: str | None = None, **changes: Any) -> Closing:
        """Carry a session to its end while `then` plays the caller."""
        session = self.session(side, **changes)
        async with asyncio.timeout(2 * WITHIN_S):
            playing = asyncio.ensure_future(then(session)) if then is not None else None
            closing = await session.go(WHO, setup)
            if playing is not None:
                await playing
        assert [pool.in_flight for pool in (self.pools[slug] for slug in self.snapshot.accounts)] == [0] * len(self.snapshot.accounts)
        return closing

    @property
    def receipts(self) -> list[Settle]:
        """Return every receipt; each call has one, and only calls of which an intent was noted may have reached a vendor."""
        found = [record for record in self.records.all if isinstance(record, Settle)]
        assert len({receipt.call_id for receipt in found}) == len(found)
        assert {record.call_id for record in self.records.all if isinstance(record, Intent)} <= {receipt.call_id for receipt in found}
        return found

    @property
    def told(self) -> list[tuple[Any, ...]]:
        """Return what the receipts say in short."""
        return [(one.call_id, one.status, one.outcome, one.error_code, one.usage_source, one.cost_nanousd) for one in self.receipts]


def sockets(account: Account) -> Sockets:
    """Return what opens an account's sockets."""
    return Sockets(endpoint_of(account.base_url, rules=AddressRules("loopback"), deadlines=account.deadlines))


async def test_every_response_is_a_call_of_its_own_at_the_prices_of_sound_and_cache() -> None:
    async with speaking() as one:
        stage, side = Stage(one), Listener(ASK)

        async def play(_: Session) -> None:
            await side.until("response.done")
            side.say(ASK)
            await side.until("response.done", 2)
            side.leave()

        closing = await stage.run(side, play)
    assert closing.has_left
    assert stage.told == [("call_1", 200, "ok", "", "provider", COST), ("call_2", 200, "ok", "", "provider", COST)]
    first = stage.receipts[0]
    assert (first.input_tokens, first.cached_tokens, first.audio_input_tokens, first.output_tokens, first.audio_output_tokens) == (100, 30, 30, 30, 20)
    assert {(one.session, one.endpoint, one.deployment, one.price, one.stream) for one in stage.receipts} == {
        ("call_1", "realtime", "v0/up-1", "price-live", True)
    }
    assert [attempt.outcome for one in stage.receipts for attempt in one.attempts] == ["ok", "ok"]
    assert any(isinstance(record, Progress) for record in stage.records.all)
    assert (one.paths, one.headers[0]["authorization"]) == (["/v1/realtime?model=up-1"], "Bearer s3cret")


async def test_messages_pass_as_they_are_both_ways() -> None:
    odd = '{"type" : "conversation.item.create","item":{"type":"message","content":[{"type":"input_text","text":"\\u00e4 ö 🙂"}]},  "x":1.50}'
    back = '{"type":"conversation.item.added",  "item":{"a":1e3,"b":"\\ud83d\\ude42 ö"}}'

    async def answer(connection: ServerConnection, event: dict[str, Any]) -> None:
        await connection.send(back)

    async with vendor(answer) as one:
        stage, side = Stage(one), Listener(odd)

        async def play(_: Session) -> None:
            await side.until("conversation.item.added")
            side.leave()

        await stage.run(side, play)
    assert (one.heard, side.heard) == ([odd], [back])
    # nothing was responded: it costs nothing
    assert stage.told == [("call_1", 200, "ok", "", "none", 0)]


async def test_a_session_ends_when_the_next_response_cannot_be_held_for() -> None:
    # a turn holds 1024 tokens in and out and some framing: below 13.2 million nano-USD; this is enough for one
    bank = Bank(**{"p:2026-11-24": 13_500_000})
    async with speaking() as one:
        stage, side = Stage(one, these=rules(budget("p", "project:prj", period="daily")), bank=bank), Listener(ASK)

        async def play(_: Session) -> None:
            await side.until("response.done")
            bank.holds.drain()
            bank.amounts["p:2026-11-24"] = 1_000
            side.say(ASK)

        closing = await stage.run(side, play)
    assert isinstance(closing.refusal, OverBudget)
    assert (closing.code, closing.reason) == (1008, "budget_exceeded")
    assert stage.told == [("call_1", 200, "ok", "", "provider", COST), ("call_2", 402, "refused", "budget_exceeded", "none", 0)]
    assert stage.receipts[0].quote_nanousd > COST
    assert [json.loads(message)["type"] for message in one.heard] == ["response.create"]


async def test_what_is_held_grows_with_what_is_said_and_comes_back() -> None:
    bank = Bank(**{"p:2026-11-24": 10**12})
    async with speaking() as one:
        stage = Stage(one, these=rules(budget("p", "project:prj", period="daily")), bank=bank)
        long = {"type": "conversation.item.create", "item": {"type": "message", "content": [{"type": "input_text", "text": "x" * 50_000}]}}
        side = Listener(long, ASK)

        async def play(_: Session) -> None:
            await side.until("response.done")
            side.leave()

        await stage.run(side, play)
    (receipt,) = stage.receipts
    # every byte may be a token, at the dearest rate
    assert receipt.quote_tokens >= 50_000 + 1_024
    assert receipt.quote_nanousd >= 50_000 * 4_000
    bank.holds.drain()
    assert bank.amounts["p:2026-11-24"] == 10**12 - COST


async def test_a_flood_ends_where_the_budget_does_and_what_was_made_is_billed() -> None:
    bank = Bank(**{"p:2026-11-24": 14_000_000})
    async with speaking(*[json.dumps({"type": "response.output_text.delta", "delta": "y" * 2_000})] * 50) as one:
        stage = Stage(one, these=rules(budget("p", "project:prj", period="daily")), bank=bank)
        side = Listener(ASK)
        closing = await stage.run(side)
    assert (closing.code, closing.reason) == (1008, "budget_exceeded")
    (receipt,) = stage.receipts
    assert (receipt.status, receipt.outcome, receipt.error_code, receipt.usage_source) == (402, "failed", "budget_exceeded", "estimated")
    assert len(side.heard) < 50
    assert receipt.cost_nanousd > 0


async def test_a_vendor_silent_about_usage_is_estimated_and_flagged() -> None:
    async with speaking(usage=None) as one:
        stage, side = Stage(one), Listener(ASK)

        async def play(_: Session) -> None:
            await side.until("response.done")
            side.leave()

        await stage.run(side, play)
    (receipt,) = stage.receipts
    # half a second of sound as the model speaks, and the 27 bytes that asked for it
    assert (receipt.usage_source, receipt.flags, receipt.input_tokens, receipt.output_tokens, receipt.audio_output_tokens) == (
        "estimated", "usage_missing", 7, 11, 11,
    )  # fmt: skip


async def test_the_conversation_so_far_is_held_for_again() -> None:
    async with speaking(usage={**USAGE, "input_tokens": 30_000}) as one:
        stage = Stage(one, these=rules(budget("p", "project:prj", period="daily")), bank=Bank(**{"p:2026-11-24": 10**12}))
        side = Listener(ASK)

        async def play(_: Session) -> None:
            await side.until("response.done")
            side.say(ASK)
            await side.until("response.done", 2)
            side.leave()

        await stage.run(side, play)
    assert [one.quote_tokens >= 30_000 for one in stage.receipts] == [False, True]


async def test_a_caller_who_leaves_within_a_response_pays_for_what_was_made() -> None:
    async with speaking(json.dumps({"type": "response.output_text.delta", "delta": "z" * 400})) as one:
        stage, side = Stage(one), Listener(ASK)

        async def play(_: Session) -> None:
            await side.until("response.output_text.delta")
            side.leave()

        await stage.run(side, play)
        async with asyncio.timeout(WITHIN_S):
            await one.ended.wait()
    (receipt,) = stage.receipts
    assert (receipt.status, receipt.outcome, receipt.error_code) == (499, "aborted", "client_closed_request")
    assert (receipt.usage_source, receipt.output_tokens, receipt.audio_output_tokens) == ("estimated", 112, 11)


@pytest.mark.parametrize("code", [1011, 1013, 4000])
async def test_a_vendor_that_leaves_within_a_response_ends_the_session_with_its_code(code: int) -> None:
    async def play(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(created())
        await connection.close(code, "over")

    async with LiveVendor(play) as one:
        stage = Stage(one)
        closing = await stage.run(Listener(ASK))
    assert (closing.code, closing.reason, isinstance(closing.refusal, UpstreamFailed)) == (code, "over", True)
    assert [(one.status, one.outcome, one.error_code, one.usage_source) for one in stage.receipts] == [(502, "failed", "upstream_error", "estimated")]


async def test_a_vendor_that_is_torn_away_is_told_as_a_broken_session() -> None:
    async def play(connection: ServerConnection) -> None:
        await connection.recv()
        connection.transport.abort()

    async with LiveVendor(play) as one:
        stage = Stage(one)
        closing = await stage.run(Listener(ASK))
    assert (closing.code, closing.refusal is not None and closing.refusal.code) == (1011, "upstream_error")
    assert stage.told[0][4:] == ("none", 0)


async def test_what_is_no_json_ends_the_session() -> None:
    async with speaking("{not json") as one:
        stage = Stage(one)
        closing = await stage.run(Listener(ASK))
    assert (closing.code, closing.reason) == (1011, "upstream_error")
    assert stage.told[0][1:5] == (502, "failed", "upstream_error", "estimated")


async def test_a_failed_response_without_usage_costs_nothing() -> None:
    async def answer(connection: ServerConnection, event: dict[str, Any]) -> None:
        await connection.send(created())
        await connection.send(done(None, "failed"))

    async with vendor(answer) as one:
        stage, side = Stage(one), Listener(ASK)

        async def play(_: Session) -> None:
            await side.until("response.done")
            side.leave()

        await stage.run(side, play)
    assert stage.told == [("call_1", 502, "failed", "upstream_error", "none", 0)]


async def test_a_response_that_nobody_asked_for_is_metered_too() -> None:
    async def play(connection: ServerConnection) -> None:
        for told in (created(), done(), created(), done()):
            await connection.send(told)
        await silent(connection)

    async with LiveVendor(play) as one:
        stage, side = Stage(one), Listener()

        async def listen(_: Session) -> None:
            await side.until("response.done", 2)
            side.leave()

        await stage.run(side, listen)
    assert stage.told == [("call_1", 200, "ok", "", "provider", COST), ("call_2", 200, "ok", "", "provider", COST)]


async def test_a_response_that_nothing_is_left_for_is_billed_and_ends_the_session() -> None:
    go_on = asyncio.Event()

    async def play(connection: ServerConnection) -> None:
        for told in (created(), done()):
            await connection.send(told)
        await go_on.wait()
        await connection.send(done())
        await silent(connection)

    bank = Bank(**{"p:2026-11-24": 13_500_000})
    async with LiveVendor(play) as one:
        stage, side = Stage(one, these=rules(budget("p", "project:prj", period="daily")), bank=bank), Listener()

        async def listen(_: Session) -> None:
            await side.until("response.done")
            bank.holds.drain()
            bank.amounts["p:2026-11-24"] = 0
            go_on.set()

        closing = await stage.run(side, listen)
    assert closing.reason == "budget_exceeded"
    assert stage.told[1] == ("call_2", 402, "refused", "budget_exceeded", "provider", COST)
    assert "unheld" in stage.receipts[1].flags


async def test_whoever_may_not_call_any_more_is_ended_at_once() -> None:
    async with speaking(json.dumps({"type": "response.output_text.delta", "delta": "z"})) as one:
        stage, side = Stage(one), Listener(ASK)

        async def play(session: Session) -> None:
            await side.until("response.output_text.delta")
            stage.caller = KeyRevoked("This key was revoked.")
            await session.check()

        closing = await stage.run(side, play)
    assert (closing.code, closing.reason) == (1008, "key_revoked")
    assert stage.told[0][1:5] == (401, "failed", "key_revoked", "estimated")


async def test_a_key_that_loses_the_model_begins_no_further_response() -> None:
    async with speaking() as one:
        stage, side = Stage(one), Listener(ASK)

        async def play(_: Session) -> None:
            await side.until("response.done")
            stage.caller = builders.caller(models=frozenset())
            side.say(ASK)

        closing = await stage.run(side, play)
    assert (closing.code, closing.reason) == (1008, "model_not_allowed")
    assert stage.told[1] == ("call_2", 403, "refused", "model_not_allowed", "none", 0)


async def test_a_gateway_that_stops_waits_for_the_response() -> None:
    go_on = asyncio.Event()

    async def answer(connection: ServerConnection, event: dict[str, Any]) -> None:
        await connection.send(created())
        await go_on.wait()
        await connection.send(done())

    async with vendor(answer) as one:
        stage, side = Stage(one), Listener(ASK)

        async def play(session: Session) -> None:
            await side.until("response.created")
            session.drain()
            go_on.set()

        closing = await stage.run(side, play)
    assert (closing.code, closing.reason, side.events[-1]["type"]) == (1001, "overloaded", "response.done")
    assert stage.told == [("call_1", 200, "ok", "", "provider", COST)]


async def test_a_gateway_that_stops_ends_an_idle_session_at_once() -> None:
    async with LiveVendor(silent) as one:
        stage, side = Stage(one), Listener()

        async def play(session: Session) -> None:
            session.drain()

        closing = await stage.run(side, play)
        async with asyncio.timeout(WITHIN_S):
            await one.ended.wait()
    assert (closing.code, stage.told, one.codes) == (1001, [("call_1", 200, "ok", "", "none", 0)], [1000])


async def test_a_cancelled_session_is_settled_and_told() -> None:
    async with speaking(json.dumps({"type": "response.output_text.delta", "delta": "z"})) as one:
        stage, side = Stage(one), Listener(ASK)
        running = asyncio.ensure_future(stage.session(side).go(WHO))
        await side.until("response.output_text.delta")
        running.cancel()
        closing = await running
    assert (closing.code, closing.refusal is not None and closing.refusal.code) == (1001, "overloaded")
    assert stage.told[0][1:5] == (503, "failed", "overloaded", "estimated")


async def test_a_session_has_a_longest_time() -> None:
    async with LiveVendor(silent) as one:
        stage = Stage(one)
        closing = await stage.run(Listener(), timeout_ms=50)
    assert (closing.code, closing.reason) == (1001, "session_expired")


async def test_a_caller_who_does_not_read_holds_the_vendor_back() -> None:
    sent: list[int] = []

    async def play(connection: ServerConnection) -> None:
        await connection.recv()
        for at in range(400):
            await connection.send(json.dumps({"type": "rate_limits.updated", "x": "y" * 100_000}))
            sent.append(at)

    async with LiveVendor(play) as one:
        stage, side = Stage(one), Listener(ASK, is_slow=True)
        running = asyncio.ensure_future(stage.session(side).go(WHO))
        await side.until("rate_limits.updated")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await one.ended.wait()
        side.leave()
        await running
    # what the sockets' own buffers take, not 40 MB
    assert len(sent) < 200


async def test_what_would_reach_another_model_is_not_passed_on_and_told() -> None:
    async with speaking() as one:
        stage = Stage(one)
        side = Listener(
            {"type": "session.update", "session": {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}},
            {"type": "session.update", "session": {"model": "dearer"}},
            '{"type":"response.create","type":"session.update"}',
            "[]",
            ASK,
        )

        async def play(_: Session) -> None:
            await side.until("response.done")
            side.leave()

        await stage.run(side, play)
    errors = [event["error"] for event in side.events if event["type"] == "error"]
    assert [(error["code"], error["param"]) for error in errors] == [
        ("model_not_found", "model"), ("invalid_request", "session.model"), ("invalid_request", "type"), ("invalid_request", None),
    ]  # fmt: skip
    assert [json.loads(message)["type"] for message in one.heard] == ["response.create"]


async def test_a_transcript_is_a_call_of_its_own_at_its_own_price() -> None:
    settings = {"type": "session.update", "session": {"audio": {"input": {"transcription": {"model": "scribe-1"}}}}}
    usage = {"type": "tokens", "total_tokens": 25, "input_tokens": 20, "output_tokens": 5, "input_token_details": {"text_tokens": 0, "audio_tokens": 20}}
    kind = "conversation.item.input_audio_transcription.completed"

    async def answer(connection: ServerConnection, event: dict[str, Any]) -> None:
        if event["type"] == "input_audio_buffer.commit":
            await connection.send(json.dumps({"type": kind, "transcript": "Hello", "usage": usage}))

    async with vendor(answer) as one:
        stage, side = Stage(one), Listener(settings, {"type": "input_audio_buffer.commit"})
        scribe = builders.model("scribe", builders.deployment("v0", "scribe-1", id="v0/scribe-1", price=builders.PRICE), kind="transcription")
        stage.add(scribe)

        async def play(_: Session) -> None:
            await side.until(kind)
            side.leave()

        await stage.run(side, play)
    assert len(one.heard) == 2
    assert stage.told == [("call_3", 200, "ok", "", "provider", 20 * 1_000 + 5 * 2_000), ("call_1", 200, "ok", "", "none", 0)]
    assert [(receipt.endpoint, receipt.model, receipt.session) for receipt in stage.receipts] == [
        ("audio/transcriptions", "scribe", "call_1"), ("realtime", "talk", "call_1"),
    ]  # fmt: skip


async def test_a_transcriber_that_the_key_may_not_use_is_not_set() -> None:
    settings = {"type": "session.update", "session": {"input_audio_transcription": {"model": "scribe-1"}}}
    async with speaking() as one:
        stage, side = Stage(one), Listener(settings, ASK)
        scribe = builders.model("scribe", builders.deployment("v0", "scribe-1", id="v0/scribe-1"), kind="transcription")
        stage.add(scribe)
        session = stage.session(side)

        async def play() -> None:
            await side.until("response.done")
            side.leave()

        playing = asyncio.ensure_future(play())
        await session.go(builders.caller(models=frozenset({"talk"})))
        await playing
    assert [(event["error"]["code"], event["error"]["param"]) for event in side.events if event["type"] == "error"] == [("model_not_allowed", "model")]
    assert [json.loads(message)["type"] for message in one.heard] == ["response.create"]


async def test_the_catalogues_name_is_the_vendors_in_a_sessions_settings() -> None:
    async with speaking() as one:
        stage = Stage(one)
        side = Listener('{"type":"session.update","session":{"model":"talk","voice" : "alloy"},"event_id":"e"}', ASK)

        async def play(_: Session) -> None:
            await side.until("response.done")
            side.leave()

        await stage.run(side, play)
    assert json.loads(one.heard[0]) == {"type": "session.update", "session": {"model": "up-1", "voice": "alloy"}, "event_id": "e"}


@pytest.mark.parametrize(
    ("changes", "model", "expected"),
    [
        ({"model": "nothing"}, {}, NoSuchModel),
        ({}, {"kind": "chat"}, BadRequest),
        ({}, {"unknown_price": "refuse", "deployments": (builders.deployment("v0", price=None),)}, PriceUnknown),
    ],
)
async def test_what_a_call_would_be_refused_for_begins_no_session(changes: dict[str, Any], model: dict[str, Any], expected: type[Refusal]) -> None:
    async with speaking() as one:
        stage, side = Stage(one, **model), Listener()
        with pytest.raises(expected):
            await stage.run(side, **changes)
    assert (side.head, one.paths, [told[1:3] for told in stage.told]) == (None, [], [(expected.status, "refused")])


async def test_a_key_that_may_not_use_the_model_begins_no_session() -> None:
    async with speaking() as one:
        stage = Stage(one)
        with pytest.raises(NotAllowed):
            await stage.session(Listener()).go(builders.caller(models=frozenset()))
    assert one.paths == []


async def test_a_provider_without_the_endpoint_is_not_asked() -> None:
    async with speaking() as one:
        stage = Stage(one, provider="chat")
        with pytest.raises(BadRequest, match="does not serve /realtime"):
            await stage.run(Listener())
    assert one.paths == []


async def test_a_deployment_that_is_down_gives_way_to_the_next() -> None:
    async with speaking() as one:
        stage, side = Stage("http://127.0.0.1:9", one), Listener(ASK)

        async def play(_: Session) -> None:
            await side.until("response.done")
            side.leave()

        await stage.run(side, play)
    (receipt,) = stage.receipts
    assert [(attempt.deployment, attempt.outcome) for attempt in receipt.attempts] == [("v0/up-1", "connect"), ("v1/up-1", "ok")]
    assert side.head is not None
    assert b"x-sgw-deployment: v1/up-1\r\n" in side.head


async def test_googles_turns_are_metered_by_their_usage_and_the_model_is_renamed() -> None:
    usage = {"promptTokenCount": 50, "responseTokenCount": 20, "totalTokenCount": 70, "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 20}]}

    async def answer(connection: ServerConnection, message: dict[str, Any]) -> None:
        if "setup" in message:
            await connection.send(b'{"setupComplete": {}}')
        else:
            await connection.send(b'{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm;rate=24000","data":"AAAA"}}]}}}')
            await connection.send(json.dumps({"serverContent": {"turnComplete": True}, "usageMetadata": usage, "type": "last"}).encode())

    setup = '{"setup": {"model": "models/talk", "generationConfig": {"responseModalities": ["AUDIO"]}}}'
    async with vendor(answer) as one:
        stage = Stage(one, provider="google")
        side = Listener({"clientContent": {"turns": [{"role": "user", "parts": [{"text": "Hello"}]}], "turnComplete": True}})

        async def play(_: Session) -> None:
            await side.until("last")
            side.leave()

        await stage.run(side, play, setup, endpoint="BidiGenerateContent", surface="gemini")
    assert json.loads(one.heard[0])["setup"]["model"] == "models/up-1"
    assert side.heard[0] == b'{"setupComplete": {}}'
    assert one.paths == ["/v1/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"]
    assert stage.told == [("call_1", 200, "ok", "", "provider", 50 * 1_000 + 20 * 8_000)]


async def test_google_cloud_is_asked_at_its_own_path_for_the_model_by_its_whole_name() -> None:
    async def answer(connection: ServerConnection, message: dict[str, Any]) -> None:
        await connection.send(b'{"setupComplete": {}, "type": "last"}')

    async with vendor(answer) as one:
        stage = Stage(one, provider="cloud")
        side = Listener()

        async def play(_: Session) -> None:
            await side.until("last")
            side.leave()

        await stage.run(side, play, '{"setup": {"model": "publishers/google/models/talk"}}', endpoint="BidiGenerateContent", surface="gemini")
    assert one.paths == ["/v1/ws/google.cloud.aiplatform.v1.LlmBidiService/BidiGenerateContent"]
    assert json.loads(one.heard[0]) == {"setup": {"model": "projects//locations//publishers/google/models/up-1"}}
    assert one.headers[0]["authorization"] == "Bearer s3cret"


async def test_googles_callers_are_told_by_closing() -> None:
    async with LiveVendor(silent) as one:
        stage = Stage(one, provider="google")
        closing = await stage.run(Listener("{}", "[1]"), setup='{"setup":{"model":"talk"}}', endpoint="BidiGenerateContent")
    assert (closing.code, closing.refusal is not None and closing.refusal.code) == (1008, "invalid_request")


async def test_a_budget_that_is_used_up_refuses_the_session_itself() -> None:
    async with speaking() as one:
        stage = Stage(one, these=rules(budget("p", "project:prj", period="daily")), bank=Bank(**{"p:2026-11-24": 1_000}))
        side = Listener()
        with pytest.raises(OverBudget):
            await stage.run(side)
    assert (side.head, one.paths, stage.told) == (None, [], [("call_1", 402, "refused", "budget_exceeded", "none", 0)])


@pytest.mark.parametrize(("status", "expected"), [(404, (404, "model_gone")), (401, (502, "upstream_error")), (429, (429, "rate_limited"))])
async def test_a_vendors_refusal_is_the_callers_where_it_is_about_the_request(status: int, expected: tuple[int, str]) -> None:
    error = b'{"error":{"message":"no, by s3cret","code":"model_gone"}}'
    async with Upstream(whole(error, f"{status} No")) as upstream:
        stage, side = Stage(upstream.url), Listener()
        with pytest.raises(Refusal) as caught:
            await stage.run(side)
    assert ((caught.value.status, caught.value.code), "s3cret" in caught.value.message, side.head) == (expected, False, None)
    (receipt,) = stage.receipts
    assert (receipt.status, receipt.usage_source, receipt.cost_nanousd) == (expected[0], "none", 0)


async def test_what_cannot_be_recorded_is_not_made() -> None:
    async with speaking() as one:
        stage, side = Stage(one), Listener(ASK)

        async def play(_: Session) -> None:
            await side.until("response.done")
            stage.records.writable = False
            side.say(ASK)

        closing = await stage.run(side, play)
    assert (closing.code, closing.reason) == (1011, "dependency_unavailable")
    assert len(one.heard) == 1
