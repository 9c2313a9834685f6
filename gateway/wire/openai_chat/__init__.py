"""OpenAI's chat and embeddings wire: reads what clients ask, writes what they get, meters what upstreams of the same wire send."""

from gateway.wire.openai_chat.answer import ChunkWriter, error_body, error_event, write_answer
from gateway.wire.openai_chat.ask import read_ask
from gateway.wire.openai_chat.meter import Meter, Seen, error_message, read_usage, usage_from

__all__ = [
    "ChunkWriter",
    "Meter",
    "Seen",
    "error_body",
    "error_event",
    "error_message",
    "read_ask",
    "read_usage",
    "usage_from",
    "write_answer",
]
