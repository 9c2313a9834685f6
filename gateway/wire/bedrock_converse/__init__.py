"""AWS Bedrock: Converse, one wire for every model AWS hosts, and InvokeModel, whose bodies pass. Providers are asked in it; callers are AWS's own SDKs."""

from functools import partial

from gateway.wire import Surface, UpstreamSide, Wire
from gateway.wire.bedrock_converse.answer import error_message, read_answer, read_usage
from gateway.wire.bedrock_converse.callers import PASSED, answer_lines, error_body, error_event, limit_output, may_name, read_head, write_count
from gateway.wire.bedrock_converse.compose import compose
from gateway.wire.bedrock_converse.frames import FrameBuffer
from gateway.wire.bedrock_converse.invoke import PLAIN
from gateway.wire.bedrock_converse.path import CONVERSE, COUNT, INVOKE, read_path
from gateway.wire.bedrock_converse.stream import ChunkReader
from gateway.wire.metering import ReaderMeter

__all__ = ["WIRE", "ChunkReader", "FrameBuffer", "compose", "read_answer"]

WIRE = Wire(
    name="bedrock_converse",
    surface="bedrock",
    own=Surface(
        endpoint=CONVERSE,
        read_head=read_head,
        error_body=error_body,
        error_event=error_event,
        read_path=read_path,
        # AWS's event encoding has no comments
        keep_alive=b"",
        answer_lines=answer_lines,
        passed=PASSED,
        may_name=may_name,
    ),
    upstream=UpstreamSide(compose=compose, read_answer=read_answer, chunk_reader=ChunkReader),
    plain={INVOKE: PLAIN},
    counting={COUNT: write_count},
    buffer=FrameBuffer,
    error_message=error_message,
    read_usage=read_usage,
    meter=partial(ReaderMeter, ChunkReader),
    names_model=False,
    limit_output=limit_output,
    # an answer that came whole, though its figures did not
    terminal=b"",
    stream_type=b"application/vnd.amazon.eventstream",
)
