"""Anthropic's Messages wire, upstream side: writes what we ask, reads whole answers and streams."""

from gateway.wire.anthropic_messages.answer import error_message, read_answer, read_vendor_usage, usage_of
from gateway.wire.anthropic_messages.ask import compose, write_ask
from gateway.wire.anthropic_messages.stream import ChunkReader

__all__ = ["ChunkReader", "compose", "error_message", "read_answer", "read_vendor_usage", "usage_of", "write_ask"]
