"""Reads whole answers of servers that speak OpenAI's chat wire, each with its own habits. Knows nothing about streams."""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from gateway.terms import Answer, Citation, Part, PartKind
from gateway.wire import WireError, logprobs
from gateway.wire.given import moment
from gateway.wire.openai_chat.meter import error_message, read_usage
from gateway.wire.openai_chat.turns import REASONING_FIELDS, WIRE_NAME

_FINISH = {
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
}
_THOUGHTS = frozenset(("reasoning_details", *REASONING_FIELDS))
_BESIDE = frozenset(("audio", "images", "annotations"))
_Json = Mapping[str, Any]


def finish_of(reason: object, *, has_calls: bool) -> str:
    """Return the neutral finish; an answer that calls tools has finished for that, whatever some servers say."""
    finish = _FINISH.get(reason, "stop") if isinstance(reason, str) else "stop"
    return "tool_calls" if has_calls and finish == "stop" else finish


def read_answer(body: bytes) -> Answer:
    """Return a whole answer, usage None when it cannot be believed; raises WireError("garbage") when the body holds no message."""
    try:
        value = orjson.loads(body)
        first, *others = [_choice(choice) for choice in value["choices"]]
    except (LookupError, TypeError, AttributeError, ValueError):
        words = error_message(body)
        raise WireError("garbage", f"the provider's answer is not a chat completion{': ' + words if words else ''}") from None
    usage, problem = read_usage(body)
    return msgspec.structs.replace(
        first,
        id=_word(value.get("id")),
        model=_word(value.get("model")),
        usage=usage,
        problem=problem,
        created_at_s=moment(value.get("created")),
        service_tier=_word(value.get("service_tier")),
        others=tuple(others),
    )


def _choice(choice: _Json) -> Answer:
    parts = tuple(_parts(choice["message"]))
    finish = finish_of(choice.get("finish_reason"), has_calls=any(part.kind is PartKind.TOOL_CALL for part in parts))
    told = choice.get("logprobs")
    message = choice["message"]
    untold = () if _BESIDE.isdisjoint(message) else tuple(untold_of(message.get("audio"), message.get("images"), message.get("annotations")))
    return Answer("", "", parts, finish, None, logprobs=logprobs.read(told.get("content")) if isinstance(told, dict) else (), untold=untold)


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _parts(message: _Json) -> list[Part]:
    parts = thoughts(message)
    text, thought = text_of(message.get("content"))
    if thought:
        parts.append(Part(kind=PartKind.REASONING, text=thought))
    if text:
        annotations = message.get("annotations")
        citations = tuple([found for each in annotations if (found := citation_of(each)) is not None]) if annotations else ()
        parts.append(Part(kind=PartKind.TEXT, text=text, citations=citations))
    if "images" in message:
        parts += [Part(kind=PartKind.IMAGE, text=url) for url in pictures(message["images"])]
    if refusal := _word(message.get("refusal")):
        parts.append(Part(kind=PartKind.REFUSAL, text=refusal))
    calls = list(message.get("tool_calls") or ())
    if not calls and message.get("function_call"):
        calls = [{"function": message["function_call"]}]
    parts += [_call(call, index) for index, call in enumerate(calls)]
    return parts


def pictures(images: object) -> list[str]:
    """Return the data URLs of what a model drew, which servers that can tell it put beside the text."""
    listed = [each["image_url"] for each in images if isinstance(each, dict) and isinstance(each.get("image_url"), dict)] if isinstance(images, list) else []
    return [url for each in listed if (url := _word(each.get("url"))).startswith("data:image/")]


def untold_of(audio: object, images: object, annotations: object) -> list[str]:
    """Return which of these members say something that has no neutral form: sound, pictures in another place, annotations of no web page."""
    found = ["audio"] if audio else []
    if isinstance(images, list) and len(pictures(images)) < len(images):
        found.append("images")
    if isinstance(annotations, list) and any(citation_of(each) is None for each in annotations):
        found.append("annotations")
    return found


def text_of(content: object) -> tuple[str, str]:
    """Return what is said and what is thought in a content that is a string or, with some servers, a list of pieces."""
    if isinstance(content, str):
        return content, ""
    said, thought = "", ""
    for piece in content if isinstance(content, list) else ():
        if isinstance(piece, dict) and piece.get("type") == "thinking":
            inner = piece.get("thinking")
            thought += inner if isinstance(inner, str) else text_of(inner)[0]
        elif isinstance(piece, dict):
            said += _word(piece.get("text"))
        else:
            said += _word(piece)
    return said, thought


def thoughts(message: _Json) -> list[Part]:
    """Return the reasoning of a message: signed or sealed as `reasoning_details` say, else what stands in one of the plain fields."""
    if _THOUGHTS.isdisjoint(message):
        return []
    details = [each for each in message.get("reasoning_details") or () if isinstance(each, dict)]
    field = next((name for name in REASONING_FIELDS if _word(message.get(name))), "")
    found: list[Part] = []
    for detail in details:
        if data := _word(detail.get("data")):
            found.append(Part(kind=PartKind.REDACTED, text=data, signed_by=WIRE_NAME))
        elif signature := _word(detail.get("signature")):
            text = _word(detail.get("text")) or _word(detail.get("summary"))
            found.append(Part(kind=PartKind.REASONING, text=text, signature=signature, signed_by=WIRE_NAME))
    if field and not any(part.text for part in found if part.kind is PartKind.REASONING):
        found.insert(0, Part(kind=PartKind.REASONING, text=message[field], signature=field, signed_by=WIRE_NAME))
    return found


def _call(call: _Json, index: int) -> Part:
    function = call.get("function") or {}
    signature = call_signature(call)
    return Part(
        kind=PartKind.TOOL_CALL,
        id=_word(call.get("id")) or f"call_{index}",
        name=_word(function.get("name")),
        text=arguments_of(function.get("arguments")) or "{}",
        signature=signature,
        signed_by=WIRE_NAME if signature else "",
    )


def call_signature(call: _Json) -> str:
    """Return the signature Google's own OpenAI endpoint gives to a tool call, "" without one."""
    extra = call.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    return _word(google.get("thought_signature")) if isinstance(google, dict) else ""


def arguments_of(value: object) -> str:
    """Return a call's arguments as JSON text; some servers send the object itself."""
    if value is None or isinstance(value, str):
        return value or ""
    return orjson.dumps(value).decode()


def citation_of(value: object) -> Citation | None:
    """Return a citation of a web page; None for annotations of any other kind."""
    cited = value.get("url_citation") if isinstance(value, dict) else None
    if not isinstance(cited, dict) or not isinstance(cited.get("url"), str):
        return None
    start, end = cited.get("start_index"), cited.get("end_index")
    return Citation(
        url=cited["url"],
        title=_word(cited.get("title")),
        quoted=_word(cited.get("content")),
        start=start if isinstance(start, int) else -1,
        end=end if isinstance(end, int) else -1,
    )
