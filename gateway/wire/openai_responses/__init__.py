"""OpenAI's Responses wire: items in, items out. What is stored between calls is the plane's business, not the wire's."""

from functools import partial

from gateway.wire import ClientSide, UpstreamSide, Wire
from gateway.wire.metering import ReaderMeter
from gateway.wire.openai_chat.meter import error_message
from gateway.wire.openai_responses.answer import read_answer, read_usage
from gateway.wire.openai_responses.ask import read_ask
from gateway.wire.openai_responses.compose import compose
from gateway.wire.openai_responses.events import ChunkWriter
from gateway.wire.openai_responses.foreign import without_foreign
from gateway.wire.openai_responses.head import read_head
from gateway.wire.openai_responses.kept import made, may_name
from gateway.wire.openai_responses.reasoning import NAME
from gateway.wire.openai_responses.stream import ChunkReader
from gateway.wire.openai_responses.told import error_body, error_event, write_answer
from gateway.wire.openai_responses.working import WORKING
from gateway.wire.sse import EventBuffer

__all__ = ["WIRE", "ChunkReader", "ChunkWriter", "compose", "read_answer", "read_ask", "read_usage", "write_answer"]

WIRE = Wire(
    name=NAME,
    surface="openai",
    client=ClientSide(
        endpoint="responses",
        read_head=read_head,
        read_ask=read_ask,
        write_answer=write_answer,
        chunk_writer=ChunkWriter,
        error_body=error_body,
        error_event=error_event,
        may_name=may_name,
        made=made,
        names={
            "messages": "input",
            "logprobs": "include",
            "reasoning": "input.reasoning",
            "reasoning_effort": "reasoning.effort",
            "shows_reasoning": "reasoning.summary",
            "file.filename": "input.content.filename",
            "response_format": "text.format",
            "verbosity": "text.verbosity",
            "user": ("safety_identifier", "user"),
            "image_url.detail": "input.content.detail",
            "cache_control": "input.content.prompt_cache_breakpoint",
        },
    ),
    upstream=UpstreamSide(compose=compose, read_answer=read_answer, chunk_reader=ChunkReader),
    output_limits=frozenset({"max_output_tokens"}),
    output_limit="max_output_tokens",
    buffer=EventBuffer,
    error_message=error_message,
    read_usage=read_usage,
    meter=partial(ReaderMeter, ChunkReader),
    without_foreign=without_foreign,
    working=WORKING,
)
