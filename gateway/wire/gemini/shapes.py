"""The shapes of Gemini's answers, as far as they are read. Knows nothing about what they mean."""

from typing import Any

import msgspec

NULL = msgspec.Raw(b"null")


class Modality(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one kind."""

    modality: str = ""
    token_count: int = msgspec.field(default=0, name="tokenCount")


class VendorUsage(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Tokens as Google counts them: thoughts beside the candidates, a tool's own prompt beside the prompt."""

    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[Modality] | None = None
    candidates_tokens_details: list[Modality] | None = None
    cache_tokens_details: list[Modality] | None = None
    traffic_type: Any = None
    service_tier: Any = None


class FunctionCall(msgspec.Struct, frozen=True, gc=False):
    """A call; many models give no id."""

    name: str = ""
    id: str | None = None
    args: msgspec.Raw = NULL


class Blob(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Data within an answer."""

    mime_type: str = ""
    data: str = ""


class VendorPart(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A piece of an answer."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None
    executable_code: msgspec.Raw = NULL
    code_execution_result: msgspec.Raw = NULL
    file_data: msgspec.Raw = NULL
    tool_call: msgspec.Raw = NULL
    tool_response: msgspec.Raw = NULL


class Content(msgspec.Struct, frozen=True, gc=False):
    """An answer's turn."""

    parts: list[VendorPart] | None = None


class Web(msgspec.Struct, frozen=True, gc=False):
    """A source."""

    uri: str | None = None
    title: str | None = None


class GroundingChunk(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A source of one of two kinds."""

    web: Web | None = None
    retrieved_context: Web | None = None


class Segment(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A stretch of an answer's text, in UTF-8 bytes."""

    start_index: int | None = None
    end_index: int | None = None
    text: str | None = None


class Support(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Which sources a segment has."""

    segment: Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class Grounding(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Where an answer comes from."""

    grounding_chunks: list[GroundingChunk] | None = None
    grounding_supports: list[Support] | None = None
    web_search_queries: Any = None


class Source(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What a stretch of an answer repeats."""

    start_index: int | None = None
    end_index: int | None = None
    uri: str | None = None
    title: str | None = None


class Sources(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The citations of a candidate; AI Studio and Vertex call them differently."""

    citation_sources: list[Source] | None = None
    citations: list[Source] | None = None


class Token(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """How likely a token was."""

    token: str = ""
    log_probability: float = 0.0


class Alternatives(msgspec.Struct, frozen=True, gc=False):
    """The likeliest tokens in one place."""

    candidates: list[Token] | None = None


class Logprobs(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """How likely the tokens of an answer were, and the likeliest in their places."""

    chosen_candidates: list[Token] | None = None
    top_candidates: list[Alternatives] | None = None


class Candidate(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One of the answers, or a piece of it."""

    content: Content | None = None
    finish_reason: str | None = None
    index: int | None = None
    citation_metadata: Sources | None = None
    grounding_metadata: Grounding | None = None
    logprobs_result: Logprobs | None = None


class Feedback(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Why a prompt was not answered."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class Response(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A GenerateContentResponse, or an event of a stream."""

    candidates: list[Candidate] | None = None
    prompt_feedback: Feedback | None = None
    usage_metadata: msgspec.Raw = NULL
    response_id: str | None = None
    model_version: str | None = None
    error: msgspec.Raw = NULL


RESPONSE = msgspec.json.Decoder(Response)
