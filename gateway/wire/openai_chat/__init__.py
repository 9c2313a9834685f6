"""OpenAI's chat and embeddings wire: reads what clients ask, writes what they get; writes what we ask upstreams, reads or meters what they send."""

from gateway.wire import ClientSide, UpstreamSide, Wire
from gateway.wire.openai_chat.answer import read_answer
from gateway.wire.openai_chat.ask import read_ask
from gateway.wire.openai_chat.batching import BATCHING
from gateway.wire.openai_chat.compose import compose
from gateway.wire.openai_chat.embed import EMBEDDING
from gateway.wire.openai_chat.events import ChunkWriter
from gateway.wire.openai_chat.foreign import without_foreign
from gateway.wire.openai_chat.head import read_head
from gateway.wire.openai_chat.kept import made, may_name
from gateway.wire.openai_chat.media import PLAIN
from gateway.wire.openai_chat.meter import Meter, error_message, message_bytes, read_usage, usage_from
from gateway.wire.openai_chat.realtime import LIVE
from gateway.wire.openai_chat.stream import ChunkReader
from gateway.wire.openai_chat.told import error_body, error_event, untold, write_answer
from gateway.wire.sse import EventBuffer

__all__ = [
    "WIRE",
    "ChunkReader",
    "ChunkWriter",
    "Meter",
    "compose",
    "error_body",
    "error_event",
    "error_message",
    "read_answer",
    "read_ask",
    "read_usage",
    "usage_from",
    "write_answer",
]

WIRE = Wire(
    name="openai_chat",
    surface="openai",
    client=ClientSide(
        endpoint="chat/completions",
        read_head=read_head,
        read_ask=read_ask,
        write_answer=write_answer,
        chunk_writer=ChunkWriter,
        error_body=error_body,
        error_event=error_event,
        may_name=may_name,
        made=made,
        untold=untold,
        names={
            "reasoning": "messages.reasoning_details",
            "image_url.detail": "messages.content.image_url.detail",
            "file.filename": "messages.content.file.filename",
            "tools.strict": "tools.function.strict",
            "user": ("safety_identifier", "user"),
        },
    ),
    upstream=UpstreamSide(compose=compose, read_answer=read_answer, chunk_reader=ChunkReader),
    also=("embeddings",),
    embedding=EMBEDDING,
    plain=PLAIN,
    live=LIVE,
    output_limits=frozenset({"max_tokens", "max_completion_tokens"}),
    output_limit="max_tokens",
    terminal=b"data: [DONE]\n\n",
    buffer=EventBuffer,
    error_message=error_message,
    read_usage=read_usage,
    meter=Meter,
    text_bytes=message_bytes,
    batching=BATCHING,
    without_foreign=without_foreign,
)
