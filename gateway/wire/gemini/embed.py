"""Gemini's embeddings: requests and answers pass as they are, and this reads what they cost."""

from collections.abc import Mapping
from typing import Any

from gateway.wire import Head, Plain
from gateway.wire.gemini.answer import read_usage

_HEAD = Head()


def _read_head(parsed: Mapping[str, Any]) -> Head:
    return _HEAD


# older models of this endpoint tell no usage: it is estimated from the request then
PLAIN = {name: Plain(kind="embeddings", read_head=_read_head, read_usage=read_usage) for name in ("embedContent", "batchEmbedContents")}
