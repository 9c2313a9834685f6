"""Ollama's own API, as its SDK speaks it on the provider path of an account there: chat, generate and embed, passed as they are and metered."""

from gateway.wire import Plain, Surface, Wire
from gateway.wire.ollama.head import limit_output, read_bounded_head, read_embed_head, read_head
from gateway.wire.ollama.lines import LineBuffer
from gateway.wire.ollama.meter import Meter, read_embed_usage, read_usage
from gateway.wire.ollama.told import error_body, error_event
from gateway.wire.openai_chat.meter import error_message

CHAT, GENERATE, EMBED, EMBEDDINGS = "api/chat", "api/generate", "api/embed", "api/embeddings"

_EMBED = Plain(kind="embeddings", read_head=read_embed_head, read_usage=read_embed_usage)

WIRE = Wire(
    name="ollama",
    surface="ollama",
    own=Surface(
        endpoint=CHAT,
        read_head=read_head,
        error_body=error_body,
        error_event=error_event,
        # its SDK reads every line as JSON
        keep_alive=b"",
    ),
    plain={GENERATE: Plain(kind="chat", read_head=read_bounded_head, read_usage=read_usage, meter=Meter), EMBED: _EMBED, EMBEDDINGS: _EMBED},
    buffer=LineBuffer,
    error_message=error_message,
    read_usage=read_usage,
    meter=Meter,
    limit_output=limit_output,
    stream_type=b"application/x-ndjson",
)
