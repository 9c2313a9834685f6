"""What callers gave, read with types: each function returns the value or raises a WireError that names the field and says what to do."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
import orjson

from gateway.terms import Ask
from gateway.wire import WireError

# Dropped names end in a response header: what a caller made up must not break out of it.
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_FOREIGN_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")
_DROPPED_LIMIT = 32
# the year 9999
_LATEST_S = 253_402_300_800
_SAYS_NOTHING = frozenset((b"null", b"0", b"0.0", b"false", b"{}", b"[]", b'""'))
# how msgspec's messages name a field
_MISSING = re.compile(r"missing required field `([^`]+)`")
_PLACE = re.compile(r" - at `\$\.([^`]+)`")
_IMAGE_AT = ("https://", "http://")


def invalid(param: str, message: str) -> WireError:
    """Return the error for nonsense in a field."""
    return WireError("invalid_request", message, param)


def misfit(error: msgspec.ValidationError) -> WireError:
    """Return the error for a request of which msgspec says what does not fit, and where."""
    words = str(error)
    missing, place = _MISSING.search(words), _PLACE.search(words)
    names = [found[1] for found in (place, missing) if found is not None]
    return WireError("invalid_request", f"The request does not fit: {words}.", ".".join(names) or None)


def unsupported(param: str) -> WireError:
    """Return the error for a field that cannot be carried over without changing the answer's meaning."""
    return WireError("unsupported_field", f"{param} is not supported by the provider of this model: leave it out or choose another model", param)


def begun() -> WireError:
    """Return the error for a conversation that ends with an answer the provider's models would not go on with."""
    words = "The last message must be the user's: the provider of this model cannot go on with an answer that was begun. Leave it out or choose another model"
    return WireError("unsupported_field", words, "messages")


def refuse_other_answers(ask: Ask) -> None:
    """Raise WireError for what a provider of one plain answer cannot give: several, and probabilities."""
    if ask.answers > 1:
        raise unsupported("n")
    if ask.logprobs:
        raise unsupported("logprobs")


def says_nothing(raw: msgspec.Raw) -> bool:
    """Return whether a field's value is as good as its absence: null, zero, false or empty."""
    return bytes(raw) in _SAYS_NOTHING


def value(name: str, raw: msgspec.Raw) -> Any:
    """Return a top-level field's value."""
    try:
        return orjson.loads(bytes(raw))
    except orjson.JSONDecodeError:
        raise invalid(name, f"{name} is not valid JSON") from None


def text(given: object, param: str) -> str:
    """Return a string."""
    if not isinstance(given, str):
        raise invalid(param, f"{param} must be a string")
    return given


def object_(given: object, param: str) -> dict[str, Any]:
    """Return an object."""
    if not isinstance(given, dict):
        raise invalid(param, f"{param} must be an object")
    return given


def list_(given: object, param: str) -> list[Any]:
    """Return an array."""
    if not isinstance(given, list):
        raise invalid(param, f"{param} must be an array")
    return given


def mended_id(text: str) -> str:
    """Return another vendor's id of a call in the letters that Anthropic and AWS take; ids that differ stay different."""
    return _FOREIGN_IN_ID.sub(lambda found: f"_{ord(found[0]):x}_", text)


def flag(given: object, param: str) -> bool | None:
    """Return true or false, None where nothing was said."""
    if given is not None and not isinstance(given, bool):
        raise invalid(param, f"{param} must be true or false")
    return given


def integer(given: object, param: str, least: int) -> int | None:
    """Return a whole number of at least `least`, None where nothing was said."""
    if given is None:
        return None
    if type(given) is not int or given < least:
        raise invalid(param, f"{param} must be an integer of at least {least}")
    return given


def moment(given: object) -> int:
    """Return a provider's Unix time in whole seconds, 0 for what can be none."""
    return int(given) if isinstance(given, int | float) and 0 < given < _LATEST_S else 0


def number(given: object, param: str, most: float, least: float = 0) -> float | None:
    """Return a number from `least` to `most`, None where nothing was said."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float) or not least <= given <= most:
        raise invalid(param, f"{param} must be a number from {least} to {most}")
    return float(given)


def choice(given: object, param: str, allowed: Iterable[str]) -> str:
    """Return one of the allowed words, "" where nothing was said."""
    if given is None:
        return ""
    if not isinstance(given, str) or given not in allowed:
        raise invalid(param, f"{param} must be one of {', '.join(allowed)}")
    return given


def labels(given: object, param: str) -> Mapping[str, str] | None:
    """Return an object of strings, None where nothing was said."""
    if given is None:
        return None
    return {name: text(each, f"{param}.{name[:64]}") for name, each in object_(given, param).items()}


def raw_object(given: object, param: str) -> msgspec.Raw:
    """Return an object, such as a JSON schema, as raw JSON."""
    return msgspec.Raw(orjson.dumps(object_(given, param)))


def media_type(url: str, param: str) -> str:
    """Return the media type of a base64 data URL, "" for an http(s) URL, which is passed on and never fetched here."""
    if url[:8].lower().startswith(_IMAGE_AT):
        return ""
    head, comma, payload = url.partition(",")
    if not head.startswith("data:") or not head.endswith(";base64") or not comma or not payload:
        raise invalid(param, f"{param} must be an https URL or a base64 data URL")
    return head[5:].partition(";")[0].lower()


def left_out(names: Collection[str]) -> dict[str, Any]:
    """Return what the last event of a stream says of parts its caller did not get, whose headers have long gone: nothing where there are none."""
    return {"sgw": {"dropped": list(found)}} if (found := dropped(names)) else {}


def dropped(names: Collection[str]) -> tuple[str, ...]:
    """Return names of dropped fields once each, fit for a response header; `other` stands for what a caller made up."""
    return tuple(dict.fromkeys([name if _NAME.match(name) else "other" for name in names]))[:_DROPPED_LIMIT] if names else ()
