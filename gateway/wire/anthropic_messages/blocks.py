"""Reads the content blocks of a Messages request as neutral parts. Knows nothing of the fields around them."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gateway.terms import Citation, Part, PartKind
from gateway.wire import given as read
from gateway.wire import signatures

WIRE_NAME = "anthropic_messages"
_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_PDF = "application/pdf"
_PLAIN = "text/plain"
_PLAIN_TEXT = frozenset(("type", "text"))

_Block = Mapping[str, Any]
_Reader = Callable[[_Block, str, list[str]], tuple[Part, ...]]


def parts_of(content: object, param: str, dropped: list[str]) -> tuple[Part, ...]:
    """Return the parts of a content that is a string or an array of blocks; raises WireError naming the block."""
    if content is None:
        return ()
    if isinstance(content, str):
        return (Part(kind=PartKind.TEXT, text=content),)
    if not isinstance(content, list):
        raise read.invalid(param, f"{param} must be a string or an array of blocks")
    parts: list[Part] = []
    call_signed = ("", "")
    for index, value in enumerate(content):
        if type(value) is dict and value.keys() == _PLAIN_TEXT and value["type"] == "text" and type(value["text"]) is str:
            parts.append(Part(kind=PartKind.TEXT, text=value["text"]))
            continue
        where = f"{param}.{index}"
        block = read.object_(value, where)
        kind = block.get("type")
        if not isinstance(kind, str):
            raise read.invalid(f"{where}.type", f"{where}.type: Field required")
        if kind == "redacted_thinking":
            sealed = signatures.unseal_call(read.text(block.get("data"), f"{where}.data"))
            if sealed[0]:
                # not reasoning at all: the proof of the tool call that comes next, which has no place of its own here
                call_signed = sealed
                continue
        reader = _READERS.get(kind)
        if reader is None:
            raise read.unsupported(f"{where}.type")
        for part in reader(block, where, dropped):
            if part.kind is PartKind.TOOL_CALL and call_signed[0]:
                part, call_signed = _signed(part, *call_signed), ("", "")
            parts.append(part)
    return tuple(parts)


def cache_of(value: object, param: str) -> str:
    """Return how long everything up to a mark shall be kept: 5m, 1h, or "" without a mark."""
    if value is None:
        return ""
    mark = read.object_(value, param)
    if mark.get("type") != "ephemeral":
        raise read.invalid(f"{param}.type", f"{param}.type must be ephemeral")
    return read.choice(mark.get("ttl"), f"{param}.ttl", ("5m", "1h")) or "5m"


def _cache(block: _Block, param: str) -> str:
    return cache_of(block["cache_control"], f"{param}.cache_control") if "cache_control" in block else ""


def _signed(call: Part, signed_by: str, signature: str) -> Part:
    return Part(kind=call.kind, text=call.text, id=call.id, name=call.name, cache=call.cache, signature=signature, signed_by=signed_by, at=call.at)


def _text(block: _Block, param: str, dropped: list[str]) -> tuple[Part, ...]:
    listed = read.list_(block.get("citations") or [], f"{param}.citations")
    citations = tuple(_citation(each, f"{param}.citations.{index}") for index, each in enumerate(listed))
    if citations:
        dropped.append("messages.content.citations")  # what an earlier answer cited: no other wire takes that back
    return (Part(kind=PartKind.TEXT, text=read.text(block.get("text"), f"{param}.text"), cache=_cache(block, param), citations=citations),)


PLACES = {
    "char_location": ("char", "start_char_index", "end_char_index"),
    "page_location": ("page", "start_page_number", "end_page_number"),
    "content_block_location": ("block", "start_block_index", "end_block_index"),
}


def _citation(value: object, param: str) -> Citation:
    cited = read.object_(value, param)
    quoted = read.text(cited.get("cited_text") or "", f"{param}.cited_text")
    place = PLACES.get(str(cited.get("type")))
    if place is None:
        url = read.text(cited.get("url") or cited.get("source") or "", f"{param}.url")
        return Citation(url=url, title=read.text(cited.get("title") or "", f"{param}.title"), quoted=quoted)
    document, first, last = (read.integer(cited.get(name), f"{param}.{name}", 0) for name in ("document_index", place[1], place[2]))
    title = read.text(cited.get("document_title") or "", f"{param}.document_title")
    return Citation(title=title, quoted=quoted, document=_or_none(document), place=place[0], first=_or_none(first), last=_or_none(last))


def _or_none(value: int | None) -> int:
    return -1 if value is None else value


def _image(block: _Block, param: str, dropped: list[str]) -> tuple[Part, ...]:
    source = read.object_(block.get("source"), f"{param}.source")
    if block.get("transformations"):
        dropped.append("image.transformations")
    kind, cache = source.get("type"), _cache(block, param)
    if kind == "url":
        return (Part(kind=PartKind.IMAGE, text=_url(source, param), cache=cache, at=f"{param}.source"),)
    if kind != "base64":
        raise read.unsupported(f"{param}.source.type")
    media_type = read.choice(source.get("media_type"), f"{param}.source.media_type", _IMAGE_TYPES)
    return (Part(kind=PartKind.IMAGE, text=_data_url(media_type, source, param), media_type=media_type, cache=cache, at=f"{param}.source"),)


def _url(source: _Block, param: str) -> str:
    url = read.text(source.get("url"), f"{param}.source.url")
    if read.media_type(url, f"{param}.source.url"):
        raise read.invalid(f"{param}.source.url", f"{param}.source.url must be an https URL")
    return url


def _data_url(media_type: str, source: _Block, param: str) -> str:
    data = read.text(source.get("data"), f"{param}.source.data")
    if not media_type or not data:
        raise read.invalid(f"{param}.source", f"{param}.source needs media_type and data")
    return f"data:{media_type};base64,{data}"


def _plain(text: str) -> str:
    return f"data:{_PLAIN};base64,{base64.b64encode(text.encode('utf-8', 'replace')).decode()}"


def _document(block: _Block, param: str, dropped: list[str]) -> tuple[Part, ...]:
    source = read.object_(block.get("source"), f"{param}.source")
    kind, media_type = source.get("type"), _PDF
    if kind == "url":
        text, media_type = _url(source, param), ""
    elif kind == "base64":
        media_type = read.text(source.get("media_type"), f"{param}.source.media_type")
        text = _data_url(media_type, source, param)
    elif kind == "text":
        text, media_type = _plain(read.text(source.get("data"), f"{param}.source.data")), _PLAIN
    elif kind == "content":
        inner = parts_of(source.get("content"), f"{param}.source.content", dropped)
        if any(part.kind is not PartKind.TEXT for part in inner):
            raise read.unsupported(f"{param}.source.content")
        text, media_type = _plain("\n\n".join(part.text for part in inner)), _PLAIN
    else:
        raise read.unsupported(f"{param}.source.type")
    name = read.text(block.get("title") or "", f"{param}.title")
    cache, cites = _cache(block, param), _cites(block, param)
    document = Part(kind=PartKind.DOCUMENT, text=text, media_type=media_type, name=name, cache=cache, cites=cites, at=f"{param}.source")
    context = read.text(block.get("context") or "", f"{param}.context")
    return (Part(kind=PartKind.TEXT, text=context), document) if context else (document,)


def _cites(block: _Block, param: str) -> bool:
    settings = block.get("citations")
    return settings is not None and bool(read.flag(read.object_(settings, f"{param}.citations").get("enabled"), f"{param}.citations.enabled"))


def _search_result(block: _Block, param: str, dropped: list[str]) -> tuple[Part, ...]:
    """A piece the caller's own search found is a document that says itself where it comes from."""
    texts = parts_of(read.list_(block.get("content"), f"{param}.content"), f"{param}.content", dropped)
    title, source = read.text(block.get("title"), f"{param}.title"), read.text(block.get("source"), f"{param}.source")
    text = _plain("\n\n".join([f"{title} ({source})", *(part.text for part in texts)]))
    return (Part(kind=PartKind.DOCUMENT, text=text, media_type=_PLAIN, cache=_cache(block, param), cites=_cites(block, param), at=param),)


def _thinking(block: _Block, param: str, dropped: list[str]) -> tuple[Part, ...]:
    signature, signed_by = signatures.kept(read.text(block.get("signature") or "", f"{param}.signature"), WIRE_NAME)
    text = read.text(block.get("thinking"), f"{param}.thinking")
    return (Part(kind=PartKind.REASONING, text=text, signature=signature, signed_by=signed_by),)


def _redacted(block: _Block, param: str, dropped: list[str]) -> tuple[Part, ...]:
    data, signed_by = signatures.kept(read.text(block.get("data"), f"{param}.data"), WIRE_NAME)
    return (Part(kind=PartKind.REDACTED, text=data, signed_by=signed_by),)


def _tool_use(block: _Block, param: str, dropped: list[str]) -> tuple[Part, ...]:
    if block.get("toolset_name") is not None:
        raise read.unsupported(f"{param}.toolset_name")
    arguments = orjson.dumps(read.object_(block.get("input"), f"{param}.input")).decode()
    call_id, name = _named(block, "id", param), _named(block, "name", param)
    return (Part(kind=PartKind.TOOL_CALL, text=arguments, id=call_id, name=name, cache=_cache(block, param), at=f"{param}.id"),)


def _named(block: _Block, field: str, param: str) -> str:
    text = read.text(block.get(field), f"{param}.{field}")
    if not text:
        raise read.invalid(f"{param}.{field}", f"{param}.{field} must not be empty")
    return text


def _tool_result(block: _Block, param: str, dropped: list[str]) -> tuple[Part, ...]:
    parts = parts_of(block.get("content"), f"{param}.content", dropped)
    is_error = bool(read.flag(block.get("is_error"), f"{param}.is_error"))
    call_id = _named(block, "tool_use_id", param)
    return (Part(kind=PartKind.TOOL_RESULT, id=call_id, parts=parts, is_error=is_error, cache=_cache(block, param), at=f"{param}.tool_use_id"),)


_READERS: Mapping[str, _Reader] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}
