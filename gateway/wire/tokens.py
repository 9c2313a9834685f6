"""Estimates the tokens of a request where no vendor counts them. Knows no tokenizer: four bytes of text are taken for one token."""

from gateway.terms import Ask, Part, PartKind

BYTES_PER_TOKEN = 4
# what vendors add around a message
FRAMING_TOKENS = 4
# a picture of a megapixel, about the largest that vendors look at whole
IMAGE_TOKENS = 1_600
# of a page of text with its picture; pages are taken to be of 50 kB
PAGE_TOKENS, PAGE_BYTES = 2_000, 50_000


def estimate(ask: Ask) -> int:
    """Return about how many input tokens a request has."""
    text_bytes = sum(len(tool.name) + len(tool.description) + len(bytes(tool.schema or b"")) for tool in ask.tools) + len(bytes(ask.json_schema or b""))
    tokens = FRAMING_TOKENS * len(ask.messages)
    for message in ask.messages:
        for part in message.parts:
            tokens += _tokens(part)
    return tokens - (-text_bytes // BYTES_PER_TOKEN)


def _tokens(part: Part) -> int:
    if part.kind is PartKind.IMAGE:
        return IMAGE_TOKENS
    if part.kind is PartKind.DOCUMENT or part.kind is PartKind.AUDIO:
        is_text = part.media_type.startswith("text/")
        size_bytes = len(part.text) * 3 // 4
        return -(-size_bytes // BYTES_PER_TOKEN) if is_text else PAGE_TOKENS * -(-size_bytes // PAGE_BYTES)
    own = len(part.text.encode("utf-8", "replace")) + len(part.name)
    return -(-own // BYTES_PER_TOKEN) + sum(_tokens(inner) for inner in part.parts)
