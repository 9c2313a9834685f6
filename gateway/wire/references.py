"""What a request names that a vendor keeps: files, containers, caches and their like, by the vendors' own ids. Knows nothing of whose they are."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from gateway.terms import Reference
from gateway.wire import WireError

MOST_REFERENCES = 200
# fields that hold an id, a list of ids, or an object with an id, wherever they stand
_ID_WORDS = """
    file_id file_ids input_file_id input_files training_file validation_file validation_files library_ids vector_store_id vector_store_ids
    container container_id skill_id conversation
    assistant_id thread_id video_id character_id cachedContent cached_content fileSearchStoreNames file_search_store_names
    agent agent_id environment_id environment_template_id vault_id vault_ids session_id memory_store_id tunnel_id credential_id automation_id
"""
_IDS = frozenset(_ID_WORDS.split())
# the same, where texts in these fields are no ids
_OBJECTS = frozenset({"prompt", "video", "audio", "voice"})
_URIS = frozenset({"fileUri", "file_uri", "fileName", "file_name"})
# fields by which Google's clients name what a cloud project holds
_RESOURCE_WORDS = "datastore dataStore data_store engine ragCorpus rag_corpus ragCorpora rag_corpora apiKeySecret apiKeySecretVersion"
_RESOURCES = frozenset(_RESOURCE_WORDS.split())
_RESOURCE = "projects/"
_SOURCES, _STORED = frozenset({"source", "data_source"}), frozenset({"stored_completions", "responses", "logs"})
# addresses of anything but the public web: gs:// and its like are read with the rights of whoever holds the credential
_ELSEWHERE = re.compile(r"\s*(?!https?:)[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# fields whose contents are the caller's own data, which no vendor takes for names of things
_DATA_WORDS = """
    parameters parametersJsonSchema parameters_json_schema input_schema schema item_schema responseSchema response_schema responseJsonSchema
    response_json_schema metadata args annotations citations
"""
_DATA = frozenset(_DATA_WORDS.split())
# results of Google's functions, and calls of tools as AWS writes them: these members are the caller's own data, what stands beside may be files
_DATA_OF = {"functionResponse": "response", "function_response": "response", "toolUse": "input"}
# lists whose elements vendors read by their `type`; anywhere else they may ignore such a word, and what stands beside it counts
_PARTS = frozenset({"input", "content", "output", "items"})
# calls of tools, with the field that holds their arguments, and reports of tools the vendor itself ran: what they name is told, not asked for
_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_REPORTS = frozenset(
    {
        "code_interpreter_call",
        "file_search_call",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
    }
)
_GOOGLE_HOST = "generativelanguage.googleapis.com"
# Google's names of files, and addresses of them; whatever else a URI says is fetched from elsewhere
_GOOGLE_FILE = re.compile(r"(?:/?(?:v1|v1beta|v1alpha)/)?(files/[a-z0-9-]+)(?::[a-zA-Z]+)?/?", re.IGNORECASE)


def has_other(items: Any, plain: frozenset[str | None], member: str = "content", beside: str = "") -> bool:
    """Return whether a list's items hold anything in their `member` but texts and parts of these types, or a field `beside` it."""
    if type(items) is not list:
        return items is not None and type(items) is not str
    for item in items:
        held = item
        if type(item) is dict:
            if beside in item:
                return True
            held = item.get(member)
            if type(held) is str:
                continue
        if type(held) is list:
            if not all_plain(held, plain):
                return True
        elif type(held) is dict:
            return True
    return False


def all_plain(parts: list[Any], plain: frozenset[str | None]) -> bool:
    """Return whether every part is an object of one of these types; a type that is no text is none of them."""
    try:
        for part in parts:
            if type(part) is not dict or part.get("type") not in plain:
                return False
    except TypeError:
        return False
    return True


def references(parsed: Mapping[str, Any]) -> tuple[Reference, ...]:
    """Return what a parsed request names, in order. Raises WireError for more than anybody needs."""
    found: list[Reference] = []
    _walk(parsed, "", found)
    return tuple(found)


def check_nameless(message: Mapping[str, Any], plain: frozenset[str] = frozenset()) -> None:
    """Raise WireError for a message of a live session that names what a vendor keeps, other than by the `plain` words: nobody looks whose that is."""
    for one in references(message):
        if one.object_id not in plain:
            words = "A live session cannot name what a provider keeps: send the content itself instead of"
            raise WireError("unsupported_field", f"{words} {one.param}.", one.param)


def _walk(node: Any, place: str, found: list[Reference], *, is_part: bool = False) -> None:
    if isinstance(node, list):
        holds_parts = place.rpartition(".")[2] in _PARTS
        for index, child in enumerate(node):
            if isinstance(child, dict | list):
                _walk(child, f"{place}[{index}]", found, is_part=holds_parts)
        return
    kind = node.get("type")
    kind = kind if isinstance(kind, str) else ""
    if is_part and kind in _REPORTS:
        return
    own = "input" if is_part and kind in _CALLS else _DATA_OF.get(place.rpartition(".")[2], "")
    for key, value in node.items():
        if key in _DATA or key == own:
            continue
        here = f"{place}.{key}" if place else key
        found += [Reference(here, object_id) for object_id in _named(key, value, kind)]
        found += [Reference(here, at, is_place=True) for at in _places(key, value)]
        if len(found) > MOST_REFERENCES:
            raise WireError("invalid_request", f"a call may name at most {MOST_REFERENCES} files and other things kept by a provider", found[-1].param)
        if isinstance(value, dict | list):
            _walk(value, here, found)


def _named(key: str, value: Any, kind: str) -> list[str]:
    key = key.removesuffix("[]")
    if key in _IDS and not (key == "skill_id" and kind == "anthropic"):
        return _ids(value)
    if key in _OBJECTS and isinstance(value, dict):
        return _ids(value)
    if key in _URIS and isinstance(value, str):
        file = google_file(value)
        return [file] if file else []
    return [value] if key == "id" and kind == "file_id" and isinstance(value, str) else []


def _places(key: str, value: Any) -> list[str]:
    if key in _URIS or key.lower().endswith("uri"):
        return [value.strip()] if isinstance(value, str) and _ELSEWHERE.match(value) else []
    if key in _SOURCES:
        # evaluations of whatever the account has stored, whoever asked for it
        kind = value.get("type") if isinstance(value, dict) else None
        return [kind] if isinstance(kind, str) and kind in _STORED else []
    return [one for one in _ids(value) if one.startswith(_RESOURCE)] if key in _RESOURCES else []


def _ids(value: Any) -> list[str]:
    if isinstance(value, dict):
        value = value.get("id")
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str) and one]


def google_file(uri: str) -> str:
    """Return the name of a file kept at Google that an address or a name stands for, "" for any other."""
    try:
        parts = urlsplit(uri.strip())
    except ValueError:
        return ""
    found = _GOOGLE_FILE.fullmatch(unquote(parts.path)) if parts.scheme in ("", "http", "https") else None
    if found is not None:
        return found[1].lower()
    # whatever else is addressed at Google's own host is nobody's that is known
    return uri.strip() if (parts.hostname or "").lower().rstrip(".") == _GOOGLE_HOST else ""
