"""OpenAI's legacy Completions, client side: passed on to servers that have them, told by chat models where the prompt is one plain text."""

from gateway.wire import ClientSide, Wire
from gateway.wire.openai_chat.meter import error_message, read_usage
from gateway.wire.openai_chat.told import error_body, error_event
from gateway.wire.openai_completions.ask import read_ask
from gateway.wire.openai_completions.events import ChunkWriter, untold, write_answer
from gateway.wire.openai_completions.head import limit_output, read_head
from gateway.wire.openai_completions.meter import Meter
from gateway.wire.sse import EventBuffer

__all__ = ["WIRE", "ChunkWriter", "read_ask", "read_head", "write_answer"]

WIRE = Wire(
    name="openai_completions",
    surface="openai",
    client=ClientSide(
        endpoint="completions",
        read_head=read_head,
        read_ask=read_ask,
        write_answer=write_answer,
        chunk_writer=ChunkWriter,
        error_body=error_body,
        error_event=error_event,
        names={"messages": "prompt"},
        untold=untold,
    ),
    output_limits=frozenset({"max_tokens"}),
    output_limit="max_tokens",
    limit_output=limit_output,
    terminal=b"data: [DONE]\n\n",
    buffer=EventBuffer,
    error_message=error_message,
    read_usage=read_usage,
    meter=Meter,
)
