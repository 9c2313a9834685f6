"""Cohere's own API, as its SDK speaks it on the provider path of an account there: chat and embed of version 2, passed as they are and metered."""

from gateway.wire import Plain, Surface, Wire
from gateway.wire.cohere.head import read_embed_head, read_head
from gateway.wire.cohere.meter import Meter, read_embed_usage, read_usage
from gateway.wire.cohere.told import error_body, error_event
from gateway.wire.openai_chat.meter import error_message
from gateway.wire.sse import EventBuffer

CHAT, EMBED = "v2/chat", "v2/embed"

WIRE = Wire(
    name="cohere",
    surface="cohere",
    own=Surface(endpoint=CHAT, read_head=read_head, error_body=error_body, error_event=error_event),
    plain={EMBED: Plain(kind="embeddings", read_head=read_embed_head, read_usage=read_embed_usage)},
    buffer=EventBuffer,
    error_message=error_message,
    read_usage=read_usage,
    meter=Meter,
    output_limits=frozenset({"max_tokens"}),
    output_limit="max_tokens",
    # message-end has said all: where [DONE] does not follow, nothing is missing
    terminal=b"",
)
