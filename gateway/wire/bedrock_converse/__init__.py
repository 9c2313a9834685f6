"""AWS Bedrock's Converse: one wire for every model AWS hosts. Applications do not speak it here; providers are asked in it."""

from functools import partial

from gateway.wire import UpstreamSide, Wire
from gateway.wire.bedrock_converse.answer import error_message, read_answer, read_usage
from gateway.wire.bedrock_converse.compose import compose
from gateway.wire.bedrock_converse.frames import FrameBuffer
from gateway.wire.bedrock_converse.stream import ChunkReader
from gateway.wire.metering import ReaderMeter

__all__ = ["WIRE", "ChunkReader", "FrameBuffer", "compose", "read_answer"]

WIRE = Wire(
    name="bedrock_converse",
    surface="bedrock",
    upstream=UpstreamSide(compose=compose, read_answer=read_answer, chunk_reader=ChunkReader),
    buffer=FrameBuffer,
    error_message=error_message,
    read_usage=read_usage,
    meter=partial(ReaderMeter, ChunkReader),
    names_model=False,
    stream_type=b"application/vnd.amazon.eventstream",
)
