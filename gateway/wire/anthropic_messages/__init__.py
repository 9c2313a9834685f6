"""Anthropic's Messages wire, upstream side: writes what we ask, reads whole answers and streams."""

from functools import partial

from gateway.wire import UpstreamSide, Wire
from gateway.wire.anthropic_messages.answer import error_message, read_answer, read_usage
from gateway.wire.anthropic_messages.ask import compose
from gateway.wire.anthropic_messages.stream import ChunkReader
from gateway.wire.metering import ReaderMeter
from gateway.wire.sse import EventBuffer

__all__ = ["WIRE", "ChunkReader", "compose", "error_message", "read_answer", "read_usage"]

WIRE = Wire(
    name="anthropic_messages",
    surface="anthropic",
    upstream=UpstreamSide(compose=compose, read_answer=read_answer, chunk_reader=ChunkReader),
    output_limits=frozenset({"max_tokens"}),
    output_limit="max_tokens",
    buffer=EventBuffer,
    error_message=error_message,
    read_usage=read_usage,
    meter=partial(ReaderMeter, ChunkReader),
)
