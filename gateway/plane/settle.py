"""Turns what a call did into its receipt. Knows nothing of sockets; writes nothing itself."""

from collections.abc import Sequence

import msgspec

from billing.money import Price, cost_nanousd, has_mode
from billing.receipts import ATTEMPTS_BILLED, Attempted, Charge, Intent, Progress, Settle
from gateway.terms import Attempt, Call, Caller, Deployment, Frozen, Plan, Usage

BYTES_PER_TOKEN = 4
NOTHING = Usage()
# A sum is as good as the weakest of its parts.
SOURCES = ("estimated", "counted", "provider")


class Billed(Frozen, frozen=True):
    """What a call is billed: tokens, where they come from (provider, estimated, none) and their cost."""

    usage: Usage
    usage_source: str
    cost_nanousd: int
    flags: str


def cost(price: Price | None, usage: Usage) -> int:
    """Return the cost of a usage in nano-USD; 0 without a price (the model's policy decided that before)."""
    if price is None:
        return 0
    return cost_nanousd(
        price,
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        audio_input_tokens=usage.audio_input_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        audio_output_tokens=usage.audio_output_tokens,
        web_searches=usage.web_searches,
        mode=usage.tier,
    )


def price_flags(price: Price | None, usage: Usage, problem: str) -> str:
    """Return a problem with what else must be known about a cost: unpriced, assumed_price, tier_<name> and tier_unpriced, separated by commas."""
    if price is not None and not price.is_assumed and not usage.tier:
        return problem
    flags = [problem] if problem else []
    if price is None:
        flags.append("unpriced")
    elif price.is_assumed:
        flags.append("assumed_price")
    if usage.tier:
        flags.append(f"tier_{usage.tier}")
        if price is not None and not has_mode(price, usage.tier):
            flags.append("tier_unpriced")
    return ",".join(flags)


def estimate(call: Call, output_bytes: int) -> Usage:
    """Return tokens estimated at four bytes each, rounded up; the input at its bound where bytes say little."""
    return Usage(call.most_input_tokens or -(-len(call.body) // BYTES_PER_TOKEN), output_tokens=-(-output_bytes // BYTES_PER_TOKEN))


def bill(call: Call, deployment: Deployment | None, usage: Usage | None, partial: Usage | None, problem: str, text_bytes: int, reached: bool) -> Billed:
    """Return what is billed: the vendor's numbers if they are sound, else our estimate, else nothing if the vendor was never `reached`.

    `partial` is what the vendor told before a stream was cut: its input is exact, its output at least that much.
    """
    if deployment is None or not reached:
        return Billed(NOTHING, "none", 0, problem)
    price = deployment.price
    if usage is not None:
        return Billed(usage, "provider", cost(price, usage), price_flags(price, usage, problem))
    guess = estimate(call, 0 if call.endpoint == "embeddings" else text_bytes)
    if partial is not None:
        guess = msgspec.structs.replace(partial, output_tokens=max(partial.output_tokens, guess.output_tokens))
    return Billed(guess, "estimated", cost(price, guess), price_flags(price, guess, problem))


def charge(call: Call, plan: Plan, deployment: Deployment, provider: str, usage: Usage | None, partial: Usage | None, problem: str, text_bytes: int) -> Charge:
    """Return what an attempt was or may have been billed that served nobody; an estimate never says more output than was held for."""
    billed = bill(call, deployment, usage, partial, problem, min(text_bytes, plan.output_tokens * BYTES_PER_TOKEN), True)
    return _charge(billed, deployment, provider)


def _charge(billed: Billed, deployment: Deployment, provider: str) -> Charge:
    usage = billed.usage
    return Charge(
        provider=provider,
        upstream_model=deployment.upstream_model,
        price=deployment.price.id if deployment.price is not None else "",
        usage_source=billed.usage_source,
        flags=billed.flags,
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        audio_input_tokens=usage.audio_input_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        audio_output_tokens=usage.audio_output_tokens,
        web_searches=usage.web_searches,
        cost_nanousd=billed.cost_nanousd,
    )


def together(own: Billed, attempts: list[Attempt], deployment: Deployment, provider: str) -> tuple[Billed, list[Attempt]]:
    """Return what a call is billed whose attempts cost money before the one that served it (`own`, none if none did), and its attempts.

    The sum is of tokens and costs; each attempt that cost has its charge.
    """
    if own.usage_source != "none":
        attempts = [*attempts[:-1], msgspec.structs.replace(attempts[-1], charge=_charge(own, deployment, provider))]
    charges = [attempt.charge for attempt in attempts if attempt.charge is not None]
    usage = Usage(
        input_tokens=sum(one.input_tokens for one in charges),
        cached_tokens=sum(one.cached_tokens for one in charges),
        cache_write_tokens=sum(one.cache_write_tokens for one in charges),
        cache_write_1h_tokens=sum(one.cache_write_1h_tokens for one in charges),
        audio_input_tokens=sum(one.audio_input_tokens for one in charges),
        output_tokens=sum(one.output_tokens for one in charges),
        reasoning_tokens=sum(one.reasoning_tokens for one in charges),
        audio_output_tokens=sum(one.audio_output_tokens for one in charges),
        web_searches=sum(one.web_searches for one in charges),
        tier=own.usage.tier,
    )
    source = min((one.usage_source for one in charges), key=SOURCES.index)
    return Billed(usage, source, sum(one.cost_nanousd for one in charges), flagged(own.flags, ATTEMPTS_BILLED)), attempts


def flagged(flags: str, flag: str) -> str:
    """Return flags, separated by commas, with one more."""
    return f"{flags},{flag}" if flags else flag


def attempted(attempts: Sequence[Attempt], revision: int) -> tuple[Attempted, ...]:
    """Return attempts as receipts keep them."""
    return tuple([Attempted(a.deployment, a.account, a.outcome, a.status, a.elapsed_ms, a.charge, revision) for a in attempts])


class Held(Frozen, frozen=True):
    """Which worker holds for a call, the budget windows it counts in (ids, separated by spaces), and the tokens and nano-USD held there."""

    worker: str
    windows: str
    quote_tokens: int
    quote_nanousd: int = 0


NOTHING_HELD = Held("", "", 0)


def intent(
    call: Call,
    caller: Caller,
    plan: Plan,
    deployment: Deployment,
    provider: str,
    started_at_ms: int,
    held: Held,
    attempts: tuple[Attempted, ...] = (),
) -> Intent:
    """Return what is journalled before a deployment is tried; `attempts` are those before it if one of them cost money."""
    guess = estimate(call, 0)
    units = caller.project.business_units
    return Intent(
        call.id,
        started_at_ms,
        caller.key.id,
        caller.project.id,
        units[0] if units else "",
        plan.model.name,
        deployment.slug,
        deployment.account,
        provider,
        deployment.upstream_model,
        call.endpoint,
        call.stream,
        deployment.price.id if deployment.price is not None else "",
        guess.input_tokens,
        cost(deployment.price, guess),
        held.quote_nanousd or plan.quote_nanousd,
        held.worker,
        held.windows,
        held.quote_tokens,
        attempts,
        caller.key.person,
    )


def progress(call: Call, deployment: Deployment, text_bytes: int, at_ms: int) -> Progress:
    """Return what is journalled every few seconds of a long stream."""
    guess = estimate(call, text_bytes)
    spent_nanousd = cost(deployment.price, guess)
    return Progress(call_id=call.id, at_ms=at_ms, input_tokens=guess.input_tokens, output_tokens=guess.output_tokens, cost_nanousd=spent_nanousd)


class Times(Frozen, frozen=True):
    """When a call began (Unix ms) and how long it took: whole, to the first byte given (0: none), and in the gateway itself."""

    started_at_ms: int
    duration_ms: int
    first_byte_ms: int
    gateway_us: int


def receipt(
    call: Call,
    caller: Caller,
    plan: Plan | None,
    deployment: Deployment | None,
    provider: str,
    billed: Billed,
    times: Times,
    attempts: list[Attempt],
    status: int,
    outcome: str,
    error_code: str,
    held: Held,
) -> Settle:
    """Return the receipt of a call."""
    usage = billed.usage
    units = caller.project.business_units
    # By position: 0.5 us instead of 1.3 by name. The order is the declared one, which a test holds.
    return Settle(
        call.id,
        times.started_at_ms,
        times.duration_ms,
        times.first_byte_ms,
        times.gateway_us,
        caller.key.id,
        caller.project.id,
        units[0] if units else "",
        plan.model.name if plan is not None else call.model[:200],
        deployment.slug if deployment is not None else "",
        deployment.account if deployment is not None else "",
        provider,
        deployment.upstream_model if deployment is not None else "",
        call.endpoint,
        call.stream,
        status,
        outcome,
        error_code,
        billed.usage_source,
        billed.flags,
        usage.input_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.audio_input_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        usage.audio_output_tokens,
        deployment.price.id if deployment is not None and deployment.price is not None else "",
        billed.cost_nanousd,
        held.quote_nanousd or (plan.quote_nanousd if plan is not None else 0),
        attempted(attempts, plan.revision if plan is not None else 0),
        call.end_user,
        call.session,
        call.tags,
        call.ip,
        call.user_agent,
        call.client_request_id,
        held.worker,
        held.windows,
        held.quote_tokens,
        caller.key.person,
        usage.cache_write_1h_tokens,
        usage.web_searches,
    )
