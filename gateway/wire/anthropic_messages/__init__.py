"""Anthropic's Messages wire: reads what clients ask, writes what they get; writes what we ask upstreams, reads their whole answers and streams."""

from functools import partial

from gateway.wire import ClientSide, UpstreamSide, Wire
from gateway.wire.anthropic_messages.answer import error_message, read_answer, read_usage
from gateway.wire.anthropic_messages.ask import read_ask
from gateway.wire.anthropic_messages.batching import BATCHING
from gateway.wire.anthropic_messages.compose import compose
from gateway.wire.anthropic_messages.events import ChunkWriter
from gateway.wire.anthropic_messages.foreign import without_foreign
from gateway.wire.anthropic_messages.head import read_head
from gateway.wire.anthropic_messages.headers import answer_lines
from gateway.wire.anthropic_messages.kept import made, may_name
from gateway.wire.anthropic_messages.stream import ChunkReader
from gateway.wire.anthropic_messages.told import error_body, error_event, untold, write_answer, write_count
from gateway.wire.metering import ReaderMeter
from gateway.wire.sse import EventBuffer

__all__ = ["WIRE", "ChunkReader", "ChunkWriter", "compose", "error_message", "read_answer", "read_ask", "read_usage", "write_answer"]

WIRE = Wire(
    name="anthropic_messages",
    surface="anthropic",
    client=ClientSide(
        endpoint="messages",
        read_head=read_head,
        read_ask=read_ask,
        write_answer=write_answer,
        chunk_writer=ChunkWriter,
        error_body=error_body,
        error_event=error_event,
        may_name=may_name,
        made=made,
        answer_lines=answer_lines,
        passed=frozenset({b"anthropic-version", b"anthropic-beta"}),
        untold=untold,
        lost=frozenset({b"anthropic-beta"}),
        names={
            "stop": "stop_sequences",
            "reasoning": "messages.content.thinking",
            "reasoning_effort": ("thinking", "output_config.effort"),
            "file.filename": "messages.content.title",
            "citations": "messages.content.citations",
            "response_format": "output_config.format",
            "user": "metadata.user_id",
            "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
            "is_error": "messages.content.is_error",
        },
    ),
    upstream=UpstreamSide(compose=compose, read_answer=read_answer, chunk_reader=ChunkReader),
    counting={"messages/count_tokens": write_count},
    output_limits=frozenset({"max_tokens"}),
    output_limit="max_tokens",
    buffer=EventBuffer,
    error_message=error_message,
    read_usage=read_usage,
    meter=partial(ReaderMeter, ChunkReader),
    without_foreign=without_foreign,
    batching=BATCHING,
)
