"""What a call is billed whose worker died before it was settled. Knows receipts only."""

from billing.receipts import ATTEMPTS_BILLED, Attempted, Charge, Intent, Progress, Settle


def orphan_of(intent: Intent, progress: Progress | None) -> Settle:
    """The receipt of a call whose worker died: what its last progress says, else its input alone, and attempts before that cost; in nano-USD."""
    input_tokens, output_tokens = (progress.input_tokens, progress.output_tokens) if progress else (intent.input_tokens, 0)
    cost_nanousd = progress.cost_nanousd if progress else intent.input_nanousd
    own = Charge(
        provider=intent.provider,
        upstream_model=intent.upstream_model,
        price=intent.price,
        usage_source="estimated",
        flags="",
        input_tokens=input_tokens,
        cached_tokens=0,
        cache_write_tokens=0,
        audio_input_tokens=0,
        output_tokens=output_tokens,
        reasoning_tokens=0,
        audio_output_tokens=0,
        cost_nanousd=cost_nanousd,
    )
    last = Attempted(intent.deployment, intent.account, "unknown", 0, 0, own)
    charges = [one.charge for one in (*intent.attempts, last) if one.charge is not None]
    return Settle(
        call_id=intent.call_id,
        started_at_ms=intent.started_at_ms,
        duration_ms=max(0, progress.at_ms - intent.started_at_ms) if progress else 0,
        first_byte_ms=0,
        gateway_us=0,
        key=intent.key,
        project=intent.project,
        business_unit=intent.business_unit,
        model=intent.model,
        deployment=intent.deployment,
        account=intent.account,
        provider=intent.provider,
        upstream_model=intent.upstream_model,
        endpoint=intent.endpoint,
        stream=intent.stream,
        status=0,
        outcome="unknown",
        error_code="",
        usage_source="estimated",
        flags=f"orphan,{ATTEMPTS_BILLED}" if intent.attempts else "orphan",
        input_tokens=sum(one.input_tokens for one in charges),
        cached_tokens=sum(one.cached_tokens for one in charges),
        cache_write_tokens=sum(one.cache_write_tokens for one in charges),
        cache_write_1h_tokens=sum(one.cache_write_1h_tokens for one in charges),
        web_searches=sum(one.web_searches for one in charges),
        audio_input_tokens=sum(one.audio_input_tokens for one in charges),
        output_tokens=sum(one.output_tokens for one in charges),
        reasoning_tokens=sum(one.reasoning_tokens for one in charges),
        audio_output_tokens=sum(one.audio_output_tokens for one in charges),
        price=intent.price,
        cost_nanousd=sum(one.cost_nanousd for one in charges),
        quote_nanousd=intent.quote_nanousd,
        attempts=(*intent.attempts, last) if intent.attempts else (),
        end_user="",
        session="",
        tags="",
        ip="",
        user_agent="",
        client_request_id="",
        worker=intent.worker,
        windows=intent.windows,
        quote_tokens=intent.quote_tokens,
        person=intent.person,
    )
