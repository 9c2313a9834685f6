"""What is written to the journal about a call: intent, progress and settlement, and how they are framed. No Django."""

import msgspec


class Attempted(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One attempt: deployment slug, account slug, outcome, upstream status (0: none), elapsed milliseconds."""

    deployment: str
    account: str
    outcome: str
    status: int
    elapsed_ms: int


class Intent(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="i"):
    """Written before the first upstream byte. `input_tokens` and `quote_nanousd` are the estimate an orphan is settled with."""

    call_id: str
    started_at_ms: int
    key: str
    project: str
    business_unit: str
    model: str
    deployment: str
    account: str
    provider: str
    upstream_model: str
    endpoint: str
    stream: bool
    price: str
    input_tokens: int
    input_nanousd: int
    quote_nanousd: int


class Progress(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="p"):
    """Written every few seconds of a long stream: tokens delivered so far and their cost."""

    call_id: str
    at_ms: int
    input_tokens: int
    output_tokens: int
    cost_nanousd: int


class Settle(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="s"):
    """The receipt of a call. `usage_source` is provider, counted, estimated or none; `outcome` ok, refused, failed, aborted or unknown."""

    call_id: str
    started_at_ms: int
    duration_ms: int
    first_byte_ms: int
    gateway_us: int
    key: str
    project: str
    business_unit: str
    model: str
    deployment: str
    account: str
    provider: str
    upstream_model: str
    endpoint: str
    stream: bool
    status: int
    outcome: str
    error_code: str
    usage_source: str
    flags: str
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    audio_input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    audio_output_tokens: int
    price: str
    cost_nanousd: int
    quote_nanousd: int
    attempts: tuple[Attempted, ...]
    end_user: str
    session: str
    tags: str
    ip: str
    user_agent: str
    client_request_id: str


Record = Intent | Progress | Settle
