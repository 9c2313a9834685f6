"""Gemini's wire: paths, requests in both notations, schemas, signatures, whole answers and streams."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.terms import Answer, Ask, Besides, Chunk, ChunkKind, Citation, Message, Part, PartKind, Tool, ToolChoice, Usage
from gateway.wire import Head, Named, Seen, Told, WireError, shelf
from gateway.wire.gemini import ChunkReader, ChunkWriter, compose, limit_output, read_answer, read_ask, read_usage, write_answer
from gateway.wire.gemini.answer import text_bytes
from gateway.wire.gemini.contents import media
from gateway.wire.gemini.fields import camel
from gateway.wire.gemini.foreign import rename_model, without_foreign
from gateway.wire.gemini.head import read_head
from gateway.wire.gemini.path import listed, locate, read_path, write_path
from gateway.wire.gemini.schema import cleaned, plain
from gateway.wire.gemini.stream import Meter
from gateway.wire.gemini.thoughts import OTHERS, SEALED, written, written_redacted
from gateway.wire.strict import fields

TOLD = Told(model="house-model", call_id="call_1", created_at_s=1)
HI = [{"role": "user", "parts": [{"text": "hi"}]}]


def asked(**body: Any) -> Ask:
    return read_ask(fields(orjson.dumps({"contents": HI, **body})), "m", False)


def turns(*contents: dict[str, Any]) -> list[tuple[str, list[Part]]]:
    return [(message.role, list(message.parts)) for message in asked(contents=list(contents)).messages]


def composed(ask: Ask, model: str = "gemini-2.5-flash") -> tuple[dict[str, Any], tuple[str, ...]]:
    body, dropped = compose(ask, model)
    return orjson.loads(body), dropped


def event(**body: Any) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\r\n\r\n"


def said(*parts: dict[str, Any], **rest: Any) -> bytes:
    return event(candidates=[{"content": {"parts": list(parts), "role": "model"}, "index": 0, **rest}])


# ---- paths --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("v1beta/models/gemini-2.5-flash:generateContent", Named("generateContent", "gemini-2.5-flash")),
        ("v1/models/gemini-2.5-flash:streamGenerateContent", Named("generateContent", "gemini-2.5-flash", True)),
        ("v1beta/models/meta/llama:free:generateContent", Named("generateContent", "meta/llama:free")),
        ("v1beta/models/meta%2Fllama%3Afree:generateContent", Named("generateContent", "meta/llama:free")),
        ("v1beta/models/caf%C3%A9%3AgenerateContent", Named("generateContent", "café")),
        ("v1beta/publishers/google/models/g:generateContent", Named("generateContent", "g")),
        ("v1beta/models/g:other", Named("other", "g")),
        ("v1beta/models/g:nothing", None),
        ("v1beta/models/g", None),
        ("v1beta/models/:generateContent", None),
        ("v1beta/tunedModels/g:generateContent", None),
        (f"v1beta/models/{'g' * 401}:generateContent", None),
    ],
)
def test_a_path_names_model_and_method(path: str, named: Named | None) -> None:
    assert read_path(path, frozenset({"other"})) == named


def test_paths_are_written_as_google_has_them() -> None:
    assert write_path("gemini-2.5-flash", "generateContent", stream=False) == "models/gemini-2.5-flash:generateContent"
    assert write_path("tunedModels/a b", "generateContent", stream=True) == "tunedModels/a%20b:streamGenerateContent?alt=sse"
    assert [locate(rest, frozenset()) for rest in ("v1beta/models/g:streamGenerateContent", "v1beta/files")] == ["generateContent", "v1beta/files"]
    assert listed({"models": [{"name": "models/one"}, {"name": "models/two"}]}) == ["one", "two"]


# ---- requests -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "head"),
    [
        ({}, Head()),
        ({"generationConfig": {"maxOutputTokens": 7}}, Head("", False, 7)),
        ({"generation_config": {"max_output_tokens": "7"}}, Head("", False, 7)),
        ({"generationConfig": None}, Head()),
        ({"generationConfig": {"maxOutputTokens": 7, "candidateCount": 3}}, Head("", False, 21, answers=3)),
        ({"generation_config": {"candidate_count": 3}}, Head(answers=3)),
        ({"generationConfig": None, "generation_config": {"maxOutputTokens": None, "max_output_tokens": 7}}, Head("", False, 7)),
    ],
)
def test_the_gateway_reads_the_output_limit(body: dict[str, Any], head: Head) -> None:
    assert read_head(body) == head


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"generationConfig": {"maxOutputTokens": 7}, "generation_config": {"maxOutputTokens": 900}}, "generationConfig"),
        ({"generationConfig": {}, "generation_config": {"candidateCount": 8}}, "generationConfig"),
        ({"generationConfig": {"maxOutputTokens": 7, "max_output_tokens": 900}}, "generationConfig.maxOutputTokens"),
        ({"generation_config": {"candidateCount": 1, "candidate_count": 8}}, "generationConfig.candidateCount"),
    ],
)
def test_what_an_answer_costs_does_not_hide_behind_the_other_spelling(body: dict[str, Any], param: str) -> None:
    with pytest.raises(WireError) as caught:
        read_head(body)
    assert (caught.value.code, caught.value.param) == ("invalid_request", param)


@pytest.mark.parametrize("limit", [-1, True, "many", 1.5, 10**9])
def test_an_output_limit_that_is_none_is_named(limit: object) -> None:
    with pytest.raises(WireError) as caught:
        read_head({"generationConfig": {"maxOutputTokens": limit}})
    assert caught.value.param == "generationConfig.maxOutputTokens"


def test_an_output_limit_of_ours_takes_the_place_of_every_other() -> None:
    body = orjson.dumps({"contents": HI, "generation_config": {"max_output_tokens": 9, "seed": 1}, "generationConfig": {"maxOutputTokens": 8, "topK": 2}})
    changes = limit_output(fields(body), 5)
    assert changes["generation_config"] is None
    assert orjson.loads(changes["generationConfig"] or b"") == {"seed": 1, "topK": 2, "maxOutputTokens": 5}
    several = limit_output(fields(orjson.dumps({"generationConfig": {"candidate_count": 2}})), 5)
    assert orjson.loads(several["generationConfig"] or b"") == {"candidate_count": 2, "maxOutputTokens": 2}


GOLDEN = {path: orjson.loads(path.read_bytes())["ask"] for path in sorted((Path(__file__).parents[2] / "cases" / "wires").glob("gemini--*/*.json"))}
# members whose inside is the caller's own
OWN = {"args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema", "labels"}


def snaked(value: Any) -> Any:
    if isinstance(value, list):
        return [snaked(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name): one if camel(name) in OWN else snaked(one) for name, one in value.items()}


def read_or_refused(body: dict[str, Any]) -> object:
    try:
        return read_head(body), read_ask(fields(orjson.dumps(body)), "m", False)
    except WireError as error:
        return error.code, error.message, error.param


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_request_of_the_golden_cases_says_the_same_in_snake_case(path: Path) -> None:
    body = GOLDEN[path]
    assert read_or_refused(snaked(body)) == read_or_refused(body)


def test_both_notations_say_the_same() -> None:
    as_camel = asked(
        systemInstruction={"parts": [{"text": "be brief"}]},
        generationConfig={
            "topP": 0.5, "topK": 4, "stopSequences": ["x"], "maxOutputTokens": 5, "thinkingConfig": {"thinkingBudget": 8, "includeThoughts": True},
        },
        toolConfig={"functionCallingConfig": {"mode": "ANY"}},
    )  # fmt: skip
    as_snake = asked(
        system_instruction={"parts": [{"text": "be brief"}]},
        generation_config={
            "top_p": 0.5, "top_k": 4.0, "stop_sequences": ["x"], "max_output_tokens": "5", "thinking_config": {"thinking_budget": 8, "include_thoughts": True},
        },
        tool_config={"function_calling_config": {"mode": "ANY"}},
    )  # fmt: skip
    assert as_camel == as_snake
    assert as_camel == Ask(
        model="m",
        messages=(Message("system", (Part(PartKind.TEXT, "be brief"),), "systemInstruction"), Message("user", (Part(PartKind.TEXT, "hi"),), "contents[0]")),
        top_p=0.5,
        top_k=4,
        stop=("x",),
        max_output_tokens=5,
        reasoning_budget_tokens=8,
        shows_reasoning=True,
        tool_choice=ToolChoice(mode="required"),
    )


def test_an_object_alone_is_a_list_of_one_as_in_googles_own_examples() -> None:
    declared = {"name": "f", "parameters": {"type": "OBJECT", "properties": {}}}
    alone = {"system_instruction": {"parts": {"text": "Meow"}}, "contents": {"parts": {"text": "hi"}}, "tools": {"function_declarations": declared}}
    listed = {"systemInstruction": {"parts": [{"text": "Meow"}]}, "contents": [{"parts": [{"text": "hi"}]}], "tools": [{"functionDeclarations": [declared]}]}
    assert asked(**alone) == asked(**listed)


def test_results_find_their_calls_by_name_and_order_where_no_id_is_given() -> None:
    found = turns(
        {"role": "user", "parts": [{"text": "?"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "a", "args": {"x": 1}}}, {"functionCall": {"name": "b"}}, {"functionCall": {"name": "a"}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": name, "response": {"output": name}}} for name in ("b", "a", "a")]},
    )
    assert [(part.id, part.name, part.text) for part in found[1][1]] == [("call_1", "a", '{"x":1}'), ("call_2", "b", "{}"), ("call_3", "a", "{}")]
    assert [(part.id, part.name) for part in found[2][1]] == [("call_2", "b"), ("call_1", "a"), ("call_3", "a")]


def test_a_result_without_a_call_is_refused() -> None:
    with pytest.raises(WireError) as caught:
        turns({"role": "user", "parts": [{"functionResponse": {"name": "a", "response": {}}}]})
    assert caught.value.param == "contents[0].parts[0].functionResponse"


def test_a_streamed_answer_that_comes_back_in_pieces_is_one_turn() -> None:
    signature = written("SIG", "anthropic_messages")
    found = turns(
        {"role": "user", "parts": [{"text": "?"}]},
        {"role": "model", "parts": [{"text": "thin", "thought": True}]},
        {"role": "model", "parts": [{"text": "king", "thought": True}]},
        {"role": "model", "parts": [{"text": "", "thought": True, "thoughtSignature": signature}]},
        {"role": "model", "parts": [{"text": "", "thought": True, "thoughtSignature": written_redacted("SEALED", "anthropic_messages")}]},
        {"role": "model", "parts": [{"text": "Hel"}]},
        {"role": "model", "parts": [{"text": "lo"}]},
        {"role": "model", "parts": [{"text": ""}]},
        {"role": "user", "parts": [{"text": "!"}]},
    )
    assert found[1] == (
        "assistant",
        [
            Part(PartKind.REASONING, "thinking", signature="SIG", signed_by="anthropic_messages"),
            Part(PartKind.REDACTED, "SEALED", signed_by="anthropic_messages"),
            Part(PartKind.TEXT, "Hello"),
        ],
    )


def test_googles_own_signature_of_a_call_stays_googles() -> None:
    found = turns({"role": "user", "parts": [{"text": "?"}]}, {"role": "model", "parts": [{"functionCall": {"name": "a"}, "thoughtSignature": "c2ln"}]})
    assert found[1][1] == [Part(PartKind.TOOL_CALL, "{}", id="call_1", name="a", signature="c2ln", signed_by="gemini", at="contents[1].parts[0].functionCall")]


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"contents": []}, "invalid_request", "contents"),
        ({"contents": [{"role": "system", "parts": []}]}, "invalid_request", "contents[0].role"),
        ({"contents": [{"parts": [{}]}]}, "invalid_request", "contents[0].parts[0]"),
        ({"contents": [{"parts": [{"executableCode": {}}]}]}, "unsupported_field", "contents[0].parts[0].executableCode"),
        ({"contents": [{"parts": [{"fileData": {"fileUri": "gs://b/c"}}]}]}, "unsupported_field", "contents[0].parts[0].fileData.fileUri"),
        (
            {"contents": [{"parts": [{"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x", "mimeType": "image/png"}}]}]},
            "unsupported_field",
            "contents[0].parts[0].fileData.fileUri",
        ),
        ({"cachedContent": "cachedContents/1"}, "unsupported_field", "cachedContent"),
        ({"tools": [{"googleSearch": {}}]}, "unsupported_field", "tools[0].googleSearch"),
        ({"generationConfig": {"candidateCount": 101}}, "invalid_request", "generationConfig.candidateCount"),
        ({"generationConfig": {"logprobs": 3}}, "invalid_request", "generationConfig.logprobs"),
        ({"generationConfig": {"responseModalities": ["IMAGE"]}}, "unsupported_field", "generationConfig.responseModalities"),
        ({"generationConfig": {"responseMimeType": "text/x.enum"}}, "unsupported_field", "generationConfig.responseMimeType"),
        ({"generationConfig": {"temperature": 3}}, "invalid_request", "generationConfig.temperature"),
        ({"generationConfig": {"topP": 1, "top_p": 1}}, "invalid_request", "generationConfig.topP"),
        (
            {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["x"]}}},
            "invalid_request",
            "toolConfig.functionCallingConfig.allowedFunctionNames",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_or_carried_is_named(body: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(WireError) as caught:
        asked(**body)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_what_would_only_be_poorer_is_listed() -> None:
    made = asked(
        safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        contents=[{"parts": [{"text": "hi", "videoMetadata": {}}]}],
        generationConfig={"mediaResolution": "MEDIA_RESOLUTION_LOW"},
        toolConfig={"retrievalConfig": {}, "functionCallingConfig": {"mode": "VALIDATED"}},
        unheardOf=1,
    )
    assert sorted(made.dropped) == [
        "contents.parts.videoMetadata", "generationConfig.mediaResolution", "safetySettings", "toolConfig.functionCallingConfig.mode",
        "toolConfig.retrievalConfig", "unheardOf",
    ]  # fmt: skip


LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(["", "x", "ANY", "AAAA", "model"])
NAMES = st.sampled_from(
    [
        "contents", "parts", "text", "role", "thought", "thoughtSignature", "functionCall", "functionResponse", "name", "args", "response", "inlineData",
        "inline_data", "mimeType", "data", "fileData", "fileUri", "systemInstruction", "tools", "functionDeclarations", "parameters", "type", "properties",
        "toolConfig", "functionCallingConfig", "mode", "generationConfig", "responseSchema", "thinkingConfig", "thinkingBudget", "stopSequences", "labels",
        "id",
    ]
)  # fmt: skip
GARBAGE = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=20)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(NAMES, GARBAGE, max_size=5), st.lists(st.dictionaries(NAMES, GARBAGE, max_size=3), max_size=3))
def test_garbage_is_refused_and_nothing_else(body: dict[str, Any], parts: list[dict[str, Any]]) -> None:
    for given_body in (body, {"contents": [{"role": "model", "parts": parts}], **body}):
        try:
            compose(read_ask(fields(orjson.dumps(given_body)), "m", False), "gemini-3-pro")
        except WireError as error:
            assert error.param is not None  # noqa: PT017  # any other error fails the test


@pytest.mark.parametrize(
    ("reason", "named"),
    [
        ("STOP", []),
        ("MAX_TOKENS", []),
        ("SAFETY", []),
        ("MALFORMED_FUNCTION_CALL", ["finishReason.MALFORMED_FUNCTION_CALL"]),
        ("UNEXPECTED_TOOL_CALL", ["finishReason.UNEXPECTED_TOOL_CALL"]),
        ("a\r\nb", ["other"]),
    ],
)
def test_an_end_that_no_other_wire_has_is_named(reason: str, named: list[str]) -> None:
    body = {"candidates": [{"content": {"role": "model"}, "finishReason": reason, "index": 0}]}
    assert list(read_answer(orjson.dumps(body)).untold) == named
    reader, client = ChunkReader(), shelf()["openai_chat"].client
    assert client is not None
    assert client.chunk_writer is not None
    writer = client.chunk_writer(TOLD)
    told = [writer.write(chunk) for chunk in [*reader.feed(event(**body)), *reader.end()]]
    ends = [orjson.loads(data[6:]) for data in told if b'"finish_reason":"' in data]
    assert [end.get("sgw", {"dropped": []})["dropped"] for end in ends] == [named]


# ---- what passes unchanged, but for ---------------------------------------------------------------------------------------


def test_other_vendors_reasoning_is_taken_out_of_what_passes() -> None:
    theirs, ours = written("SIG", "anthropic_messages"), "Q2lR"
    contents = [
        *HI,
        {"role": "model", "parts": [{"text": "hm", "thought": True, "thoughtSignature": theirs}, {"functionCall": {"name": "f"}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f"}}]},
        {"role": "model", "parts": [{"text": "", "thought_signature": theirs}]},
        {"role": "model", "parts": [{"text": "so", "thoughtSignature": ours}, {"text": "there", "thoughtSignature": theirs}]},
    ]
    body = orjson.dumps({"contents": contents, "other": 1})
    assert SEALED in body
    changes = without_foreign(fields(body))
    assert orjson.loads(changes["contents"] or b"") == [
        *HI,
        {"role": "model", "parts": [{"functionCall": {"name": "f"}, "thoughtSignature": "skip_thought_signature_validator"}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f"}}]},
        {"role": "model", "parts": [{"text": "so", "thoughtSignature": ours}, {"text": "there"}]},
    ]
    assert without_foreign(fields(orjson.dumps({"contents": HI}))) == {}


def test_a_call_of_another_vendors_model_is_told_apart() -> None:
    calls = {"role": "model", "parts": [{"functionCall": {"name": "f"}, "thoughtSignature": OTHERS}, {"functionCall": {"name": "g"}}]}
    at = "contents[1].parts[%d].functionCall"
    expected = [Part(PartKind.TOOL_CALL, "{}", id=f"call_{index + 1}", name=name, at=at % index) for index, name in enumerate("fg")]
    assert turns(*HI, calls)[1][1] == expected
    changed = orjson.loads(without_foreign(fields(orjson.dumps({"contents": [calls]})))["contents"] or b"")
    assert changed[0]["parts"] == [{"functionCall": {"name": "f"}, "thoughtSignature": "skip_thought_signature_validator"}, {"functionCall": {"name": "g"}}]


def test_a_model_that_a_body_repeats_is_named_as_the_provider_knows_it() -> None:
    one = {"model": "models/house", "content": {}}
    changes = rename_model(fields(orjson.dumps({"requests": [one, {"content": {}}], "model": "house", "content": {}})), "up-1")
    assert {name: orjson.loads(raw or b"") for name, raw in changes.items()} == {
        "requests": [{"model": "models/up-1", "content": {}}, {"content": {}}], "model": "models/up-1",
    }  # fmt: skip
    assert rename_model(fields(orjson.dumps({"contents": HI})), "up-1") == {}


def test_what_is_to_be_counted_may_stand_in_a_request_of_its_own() -> None:
    inner = read_ask(fields(orjson.dumps({"generateContentRequest": {"model": "models/m", "contents": HI}})), "m", False)
    assert inner == asked()


def test_embeddings_have_no_text_to_estimate_output_from() -> None:
    assert text_bytes(orjson.dumps({"embedding": {"values": [0.5] * 100}})) == 0
    assert text_bytes(orjson.dumps({"candidates": [{"content": {"parts": [{"text": "é"}, {"functionCall": {"name": "f", "args": {"a": 1}}}]}}]})) == 9


# ---- schemas ------------------------------------------------------------------------------------------------------------


def test_googles_notation_becomes_json_schema() -> None:
    given_schema = {
        "type": "OBJECT", "property_ordering": ["c", "a"], "required": ["a"], "example": {"a": None},
        "properties": {
            "a": {"type": "STRING", "nullable": True, "enum": ["x"], "format": "enum"},
            "b": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "2"},
            "c": {"anyOf": [{"type": "NUMBER"}], "nullable": True},
        },
    }  # fmt: skip
    made = plain(given_schema, "p")
    assert list(made["properties"]) == ["c", "a", "b"]
    assert made == {
        "type": "object", "required": ["a"], "examples": [{"a": None}],
        "properties": {
            "a": {"type": ["string", "null"], "enum": ["x", None]},
            "b": {"type": "array", "items": {"type": "integer"}, "minItems": 2},
            "c": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        },
    }  # fmt: skip


def test_an_answers_schema_is_closed_and_strict_where_all_is_required() -> None:
    item = {"type": "OBJECT", "properties": {"b": {"type": "STRING"}}, "required": ["b"]}
    whole = {"type": "OBJECT", "properties": {"a": {"type": "ARRAY", "items": item}}, "required": ["a"]}
    for schema, strict in ((whole, True), ({**whole, "required": []}, None)):
        ask = asked(generationConfig={"responseMimeType": "application/json", "responseSchema": schema})
        assert ask.json_schema is not None
        made = orjson.loads(bytes(ask.json_schema))
        assert (made["additionalProperties"], made["properties"]["a"]["items"]["additionalProperties"], ask.json_strict) == (False, False, strict)


def test_a_member_no_schema_has_is_named() -> None:
    with pytest.raises(WireError) as caught:
        plain({"type": "STRING", "unheardOf": 1}, "p")
    assert caught.value.param == "p.unheardOf"


def test_references_are_put_in_place_and_foreign_keywords_named() -> None:
    dropped: list[str] = []
    schema = {
        "$schema": "x", "type": "object", "additionalProperties": False,
        "properties": {
            "a": {"$ref": "#/$defs/A", "description": "mine"}, "b": {"allOf": [{"$ref": "#/$defs/A"}]}, "c": {"const": 1},
            "d": {"type": "integer", "exclusiveMinimum": 0, "multipleOf": 2}, "e": {"oneOf": [{"type": "string"}]},
        },
        "$defs": {"A": {"type": "string"}},
    }  # fmt: skip
    assert cleaned(schema, "p", dropped) == {
        "type": "object", "additionalProperties": False,
        "properties": {
            "a": {"type": "string", "description": "mine"}, "b": {"type": "string"}, "c": {"enum": [1]}, "d": {"type": "integer", "minimum": 1},
            "e": {"anyOf": [{"type": "string"}]},
        },
    }  # fmt: skip
    assert dropped == ["schema.multipleOf"]


def test_a_schema_that_holds_itself_keeps_its_references() -> None:
    tree = {"type": "object", "properties": {"child": {"$ref": "#/definitions/T"}}}
    assert cleaned({"$ref": "#/definitions/T", "definitions": {"T": tree}}, "p", []) == {
        "$ref": "#/$defs/T",
        "$defs": {"T": {"type": "object", "properties": {"child": {"$ref": "#/$defs/T"}}}},
    }


def test_a_schema_that_would_fill_the_memory_is_refused() -> None:
    bomb = {f"d{level}": {"anyOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 8} for level in range(20)} | {"d20": {"type": "string"}}
    with pytest.raises(WireError):
        cleaned({"$ref": "#/$defs/d0", "$defs": bomb}, "p", [])


# ---- what is asked of Google --------------------------------------------------------------------------------------------


def user(text: str) -> Message:
    return Message("user", (Part(PartKind.TEXT, text),))


def test_calls_of_another_vendors_model_pass_gemini_threes_check() -> None:
    calls = tuple(Part(PartKind.TOOL_CALL, '{"x":1}', id=name, name=name) for name in ("a", "b"))
    results = tuple(Part(PartKind.TOOL_RESULT, id=name, parts=(Part(PartKind.TEXT, '{"y":2}'),)) for name in ("a", "b"))
    ask = Ask("m", (user("hi"), Message("assistant", calls), Message("user", (Part(PartKind.TEXT, "and?"), *results))))
    body, dropped = composed(ask, "gemini-3-pro-preview")
    assert body["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"id": "a", "name": "a", "args": {"x": 1}}, "thoughtSignature": "skip_thought_signature_validator"},
                {"functionCall": {"id": "b", "name": "b", "args": {"x": 1}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "a", "name": "a", "response": {"output": {"y": 2}}}},
                {"functionResponse": {"id": "b", "name": "b", "response": {"output": {"y": 2}}}},
                {"text": "and?"},
            ],
        },
    ]
    assert dropped == ()
    assert "thoughtSignature" not in composed(ask)[0]["contents"][1]["parts"][0]


def test_reasoning_goes_back_only_to_who_signed_it() -> None:
    ours = Part(PartKind.REASONING, "mine", signature="S", signed_by="gemini")
    theirs = Part(PartKind.REASONING, "theirs", signature="T", signed_by="anthropic_messages")
    call = Part(PartKind.TOOL_CALL, "{}", id="a", name="a")
    body, dropped = composed(Ask("m", (user("hi"), Message("assistant", (theirs, ours, call)))))
    assert body["contents"][1]["parts"] == [
        {"text": "mine", "thought": True},
        {"functionCall": {"id": "a", "name": "a", "args": {}}, "thoughtSignature": "S"},
    ]
    assert dropped == ("reasoning",)


@pytest.mark.parametrize(
    ("model", "ask", "thinking"),
    [
        ("gemini-2.5-pro", {"reasoning_effort": "none"}, {"thinkingBudget": 128}),
        ("gemini-2.5-flash", {"reasoning_effort": "none"}, {"thinkingBudget": 0}),
        ("gemini-2.5-flash-lite", {"reasoning_budget_tokens": 100}, {"thinkingBudget": 512, "includeThoughts": True}),
        ("models/gemini-2.5-flash", {"reasoning_effort": "high", "shows_reasoning": False}, {"thinkingBudget": 24576}),
        ("gemini-3-pro-preview", {"reasoning_effort": "minimal"}, {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-3.5-flash", {"reasoning_effort": "none"}, {"thinkingLevel": "MINIMAL"}),
        ("gemini-flash-latest", {"reasoning_effort": "xhigh"}, {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-3.5-flash", {"reasoning_budget_tokens": 700}, {"thinkingBudget": 700, "includeThoughts": True}),
        ("gemini-3.5-flash", {"shows_reasoning": True}, {"includeThoughts": True}),
        ("gemini-2.0-flash", {"reasoning_effort": "high"}, None),
    ],
)
def test_thinking_is_asked_for_as_each_model_takes_it(model: str, ask: dict[str, Any], thinking: dict[str, Any] | None) -> None:
    body, dropped = composed(Ask("m", (user("hi"),), **ask), model)
    assert body.get("generationConfig", {}).get("thinkingConfig") == thinking
    assert dropped == (("reasoning_effort",) if thinking is None else ())


def test_a_format_beside_tools_is_told_in_words_before_gemini_three() -> None:
    ask = Ask("m", (user("hi"),), tools=(Tool("f"),), json_object=True)
    body, dropped = composed(ask)
    assert (body["systemInstruction"]["parts"][0]["text"][:31], dropped) == ("Answer with one valid JSON obje", ("response_format",))
    assert composed(ask, "gemini-3-flash-preview")[0]["generationConfig"] == {"responseMimeType": "application/json"}


def test_more_stop_sequences_than_google_takes_are_refused() -> None:
    with pytest.raises(WireError) as caught:
        compose(Ask("m", (user("hi"),), stop=tuple("abcdef")), "gemini-2.5-flash")
    assert (caught.value.code, caught.value.param) == ("unsupported_field", "stop")
    assert caught.value.message == "stop: the provider of this model takes at most 5 stop sequences"


# ---- answers ------------------------------------------------------------------------------------------------------------


def test_thoughts_are_output_and_a_tools_prompt_is_input() -> None:
    body = {"usageMetadata": {
        "promptTokenCount": 10, "toolUsePromptTokenCount": 5, "cachedContentTokenCount": 4, "candidatesTokenCount": 3, "thoughtsTokenCount": 7,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 2}], "trafficType": "ON_DEMAND_FLEX",
    }}  # fmt: skip
    assert read_usage(orjson.dumps(body)) == (Usage(15, 4, 0, 2, 10, 7, 0, "flex"), "")


def test_sound_from_the_cache_is_not_counted_as_fresh_too() -> None:
    body = {"usageMetadata": {
        "promptTokenCount": 1000, "cachedContentTokenCount": 500, "candidatesTokenCount": 3,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 500}, {"modality": "TEXT", "tokenCount": 500}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 500}],
    }}  # fmt: skip
    assert read_usage(orjson.dumps(body)) == (Usage(1000, 500, 0, 0, 3), "")


@pytest.mark.parametrize(
    ("usage", "problem"), [({}, "usage_missing"), ({"promptTokenCount": -1}, "usage_invalid"), ({"promptTokenCount": "many"}, "usage_invalid")]
)
def test_usage_that_cannot_be_believed_is_none(usage: dict[str, Any], problem: str) -> None:
    assert read_usage(orjson.dumps({"usageMetadata": usage})) == (None, problem)


def test_a_blocked_prompt_is_a_refusal() -> None:
    answer = read_answer(orjson.dumps({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}))
    assert (answer.parts, answer.finish) == ((Part(PartKind.REFUSAL, "The provider did not answer this prompt: SAFETY."),), "content_filter")


def test_citations_count_characters_where_google_counts_bytes() -> None:
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}],
        "groundingSupports": [{"segment": {"startIndex": 3, "endIndex": 7, "text": "café"[:3]}, "groundingChunkIndices": [0, 9]}],
    }
    body = {"candidates": [{"content": {"parts": [{"text": "é café"}]}, "finishReason": "STOP", "groundingMetadata": grounding}], "responseId": "r"}
    answer = read_answer(orjson.dumps(body))
    assert answer.parts[0].citations == (Citation("https://a.example", "A", "caf", 2, 5),)
    told = orjson.loads(write_answer(answer, TOLD))
    assert told["candidates"][0]["groundingMetadata"]["groundingSupports"][0]["segment"] == {"startIndex": 3, "endIndex": 6, "text": "caf"}


def test_calls_without_ids_get_some_that_are_nobody_elses() -> None:
    body = {"candidates": [{"content": {"parts": [{"functionCall": {"name": "a"}}, {"functionCall": {"name": "a", "id": "own"}}]}}], "responseId": "r-1"}
    answer = read_answer(orjson.dumps(body))
    assert ([part.id for part in answer.parts], answer.finish) == (["call_r-1_0", "own"], "tool_calls")


# ---- streams ------------------------------------------------------------------------------------------------------------


def test_a_stream_ends_where_its_body_ends_after_a_finish_reason() -> None:
    reader = ChunkReader()
    kinds = [chunk.kind for piece in (said({"text": "a"}), said({"text": ""}, finishReason="STOP")) for chunk in reader.feed(piece)]
    assert kinds == [ChunkKind.START, ChunkKind.TEXT]
    assert reader.end() == [Chunk(ChunkKind.FINISH, finish="stop"), Chunk(ChunkKind.END)]
    cut = ChunkReader()
    cut.feed(said({"text": "a"}))
    assert cut.end() == []


def test_signatures_in_a_stream_stand_by_what_they_sign() -> None:
    reader = ChunkReader()
    chunks = reader.feed(said({"text": "hm", "thought": True}, {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "S"}))
    assert chunks[1:] == [
        Chunk(ChunkKind.REASONING, "hm"),
        Chunk(ChunkKind.SIGNATURE, "S", signed_by="gemini"),
        Chunk(ChunkKind.TOOL_START, id="call_" + chunks[3].id[5:], name="f"),
        Chunk(ChunkKind.TOOL_ARGUMENTS, '{"a":1}'),
    ]
    assert reader.feed(said({"text": "so", "thoughtSignature": "T"})) == [
        Chunk(ChunkKind.TEXT, "so"), Chunk(ChunkKind.REASONING), Chunk(ChunkKind.SIGNATURE, "T", signed_by="gemini"),
    ]  # fmt: skip


def test_an_error_in_a_stream_has_googles_words_and_status() -> None:
    assert ChunkReader().feed(event(error={"code": 503, "message": "busy", "status": "UNAVAILABLE"})) == [Chunk(ChunkKind.ERROR, "busy", status=503)]


def test_a_stream_is_written_as_googles_sdk_reads_it() -> None:
    writer = ChunkWriter(TOLD)
    out = b"".join(
        writer.write(chunk)
        for chunk in (
            Chunk(ChunkKind.START),
            Chunk(ChunkKind.REASONING, "hm"),
            Chunk(ChunkKind.SIGNATURE, "S", signed_by="anthropic_messages"),
            Chunk(ChunkKind.TEXT, "a\u2028b"),
            Chunk(ChunkKind.TOOL_START, index=0, id="1", name="f"),
            Chunk(ChunkKind.TOOL_START, index=1, id="2", name="g"),
            Chunk(ChunkKind.TOOL_ARGUMENTS, '{"x"', index=0),
            Chunk(ChunkKind.TOOL_ARGUMENTS, ":1}", index=0),
            Chunk(ChunkKind.FINISH, finish="tool_calls"),
            Chunk(ChunkKind.USAGE, usage=Usage(input_tokens=5, output_tokens=4, reasoning_tokens=1)),
            Chunk(ChunkKind.END),
            Chunk(ChunkKind.TEXT, "late"),
        )
    )
    told = [orjson.loads(one.removeprefix(b"data: ")) for one in out.split(b"\n\n")[:-1]]
    assert [one["candidates"][0]["content"]["parts"] for one in told] == [
        [{"text": "hm", "thought": True}],
        [{"text": "", "thought": True, "thoughtSignature": written("S", "anthropic_messages")}],
        [{"text": "a\u2028b"}],
        [{"functionCall": {"id": "1", "name": "f", "args": {"x": 1}}, "thoughtSignature": OTHERS}, {"functionCall": {"id": "2", "name": "g", "args": {}}}],
        [{"text": ""}],
    ]
    assert {**told[-1], "candidates": told[-1]["candidates"][0]["finishReason"]} == {
        "candidates": "STOP",
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 9, "thoughtsTokenCount": 1},
        "modelVersion": "house-model",
        "responseId": "call_1",
    }


def test_a_waiting_stream_gets_nothing_that_googles_sdk_would_read() -> None:
    client = shelf()["gemini"].client
    assert client is not None
    assert ChunkWriter(TOLD).write(Chunk(ChunkKind.PING)) == client.keep_alive == b"\n\n"


def test_a_stream_that_passes_is_billed_by_its_last_figures() -> None:
    meter = Meter()
    counted = {"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 1}}
    assert meter.feed(event(candidates=[{"content": {"parts": [{"text": "é"}]}}], **counted)) == Seen(2)
    assert meter.usage_so_far == Usage(input_tokens=5, output_tokens=1)
    last = {"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 9}}
    assert meter.feed(event(candidates=[{"finishReason": "STOP"}], **last)) == Seen(0, Usage(input_tokens=5, output_tokens=9), "", False, True)
    assert meter.feed(event(error={"code": 500, "message": "no"})) == Seen(error="no")


def test_an_answer_with_everything_in_it_is_told_whole() -> None:
    parts = (
        Part(PartKind.REASONING, "hm", signature="S", signed_by="gemini"),
        Part(PartKind.REDACTED, "X", signed_by="anthropic_messages"),
        Part(PartKind.TEXT, "a"),
        Part(PartKind.TOOL_CALL, "broken", id="1", name="f"),
    )
    told = orjson.loads(write_answer(Answer("r", "up", parts, "length", Usage(1, output_tokens=2)), TOLD))
    assert told["candidates"] == [
        {
            "content": {
                "parts": [
                    {"text": "hm", "thought": True, "thoughtSignature": "S"},
                    {"text": "", "thought": True, "thoughtSignature": written_redacted("X", "anthropic_messages")},
                    {"text": "a"},
                    {"functionCall": {"id": "1", "name": "f", "args": {"arguments": "broken"}}, "thoughtSignature": OTHERS},
                ],
                "role": "model",
            },
            "finishReason": "MAX_TOKENS",
            "index": 0,
        }
    ]
    assert (told["modelVersion"], told["responseId"]) == ("house-model", "r")


@pytest.mark.parametrize("address", ["https://generativelanguage.googleapis.com/v1beta/files/abc", "HTTPS://x@GenerativeLanguage.googleapis.com./v1/FILES/%61bc:download"])
def test_other_vendors_clients_name_no_file_that_google_keeps(address: str) -> None:
    with pytest.raises(WireError, match="must not be a file that Google keeps"):
        media(Part(kind=PartKind.IMAGE, text=address), "messages.0.content.0")
    elsewhere = media(Part(kind=PartKind.IMAGE, text="https://storage.googleapis.com/public/a.png"), "messages.0.content.0")
    assert elsewhere == {"fileData": {"mimeType": "image/png", "fileUri": "https://storage.googleapis.com/public/a.png"}}


@pytest.mark.parametrize(("model", "searches"), [("gemini-2.5-flash", 1), ("gemini-3-pro-preview", 3), ("", 3)])
def test_google_searches_are_counted_as_the_models_generation_is_billed(model: str, searches: int) -> None:
    grounded = {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP", "groundingMetadata": {"webSearchQueries": ["a", "b", "c"]}}
    body = {"candidates": [grounded], "modelVersion": model, "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2}}
    expected = Usage(input_tokens=3, output_tokens=2, web_searches=searches)
    assert read_usage(orjson.dumps(body)) == (expected, "")
    meter = Meter()
    early = {**body, "candidates": [{**grounded, "finishReason": None, "groundingMetadata": {"webSearchQueries": ["a"]}}]}
    meter.feed(b"data: " + orjson.dumps(early) + b"\n\n")
    assert meter.feed(b"data: " + orjson.dumps(body) + b"\n\n").usage == expected
    for nothing in ({}, {"webSearchQueries": []}, {"webSearchQueries": 7}):
        plain = {**body, "candidates": [{**grounded, "groundingMetadata": nothing}]}
        assert read_usage(orjson.dumps(plain)) == (Usage(input_tokens=3, output_tokens=2), "")
    assert read_usage(orjson.dumps({**body, "candidates": [{"groundingMetadata": {"webSearchQueries": []}, "index": "x"}]})) == (
        None,
        "usage_invalid",
    )


@pytest.mark.parametrize(
    ("asked", "head"),
    [
        ({"tools": [{"functionDeclarations": []}, 7]}, Head()),
        ({"tools": [{"googleSearch": {}}]}, Head(besides=Besides(10))),
        ({"tools": {"googleSearch": {}}}, Head(besides=Besides(10))),
        ({"tools": [{"google_search": {}}], "generationConfig": {"maxOutputTokens": 5}}, Head(max_output_tokens=5, besides=Besides(10))),
    ],
)
def test_google_searches_that_a_request_may_cause_are_read(asked: dict[str, Any], head: Head) -> None:
    assert read_head(asked) == head
