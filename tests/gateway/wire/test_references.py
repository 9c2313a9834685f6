"""What a request names that a vendor keeps: found wherever a vendor would look, and nowhere else."""

from typing import Any

import pytest

from gateway.wire import WireError, plain_endpoints, shelf
from gateway.wire.references import MOST_REFERENCES, google_file, references


def named(parsed: dict[str, Any]) -> list[tuple[str, str]]:
    return [(found.param, found.object_id) for found in references(parsed)]


def places(parsed: dict[str, Any]) -> list[tuple[str, str]]:
    return [(found.param, found.object_id) for found in references(parsed) if found.is_place]


URI = "https://generativelanguage.googleapis.com/v1beta/files/abc-1"


@pytest.mark.parametrize(
    ("parsed", "found"),
    [
        ({"messages": [{"content": [{"type": "file", "file": {"file_id": "file-1"}}]}]}, [("messages[0].content[0].file.file_id", "file-1")]),
        ({"input": [{"content": [{"type": "input_file", "file_id": "file-1"}]}]}, [("input[0].content[0].file_id", "file-1")]),
        ({"input": [{"type": "function_call_output", "output": [{"type": "input_image", "file_id": "f"}]}]}, [("input[0].output[0].file_id", "f")]),
        ({"tools": [{"vector_store_ids": ["vs_1", "vs_2"]}]}, [("tools[0].vector_store_ids", "vs_1"), ("tools[0].vector_store_ids", "vs_2")]),
        ({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, [("tools[0].container", "cntr_1")]),
        ({"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["f"]}}]}, [("tools[0].container.file_ids", "f")]),
        ({"tools": [{"type": "shell", "environment": {"type": "container_reference", "container_id": "c"}}]}, [("tools[0].environment.container_id", "c")]),
        ({"tool_resources": {"code_interpreter": {"file_ids": ["f"]}}}, [("tool_resources.code_interpreter.file_ids", "f")]),
        ({"tools": [{"type": "mcp", "server_label": "x", "tunnel_id": "tunnel_1"}]}, [("tools[0].tunnel_id", "tunnel_1")]),
        ({"agent": {"type": "agent", "id": "agent_1"}, "vault_ids": ["vlt_1"]}, [("agent", "agent_1"), ("vault_ids", "vlt_1")]),
        ({"type": "code_interpreter_call", "training_file": "f"}, [("training_file", "f")]),
        ({"type": "tool_use", "input": [{"type": "input_file", "file_id": "f"}]}, [("input[0].file_id", "f")]),
        ({"messages": [{"type": "file_search_call", "content": [{"file": {"file_id": "f"}}]}]}, [("messages[0].content[0].file.file_id", "f")]),
        ({"messages": [{"type": "tool_use", "input": {"file_id": "f"}}]}, [("messages[0].input.file_id", "f")]),
        ({"conversation": "conv_1"}, [("conversation", "conv_1")]),
        ({"conversation": {"id": "conv_1"}}, [("conversation", "conv_1")]),
        ({"prompt": {"id": "pmpt_1", "version": "2"}}, [("prompt", "pmpt_1")]),
        ({"prompt": "a red cat"}, []),
        ({"input_file_id": "f", "endpoint": "/v1/chat/completions"}, [("input_file_id", "f")]),
        ({"training_file": "f", "validation_file": "g"}, [("training_file", "f"), ("validation_file", "g")]),
        ({"data_source": {"source": {"type": "file_id", "id": "f"}}}, [("data_source.source.id", "f")]),
        ({"attachments": [{"file_id": "f", "tools": []}]}, [("attachments[0].file_id", "f")]),
        ({"assistant_id": "asst_1", "thread_id": "thread_1"}, [("assistant_id", "asst_1"), ("thread_id", "thread_1")]),
        ({"input_files": ["f"], "validation_files": ["g"]}, [("input_files", "f"), ("validation_files", "g")]),
        ({"training_files": [{"file_id": "f", "weight": 1}]}, [("training_files[0].file_id", "f")]),
        ({"tools": [{"type": "document_library", "library_ids": ["l"]}]}, [("tools[0].library_ids", "l")]),
        ({"file_ids[]": "f"}, [("file_ids[]", "f")]),
        ({"messages": [{"content": [{"type": "document", "source": {"type": "file", "file_id": "f"}}]}]}, [("messages[0].content[0].source.file_id", "f")]),
        ({"messages": [{"content": [{"type": "container_upload", "file_id": "f"}]}]}, [("messages[0].content[0].file_id", "f")]),
        ({"container": {"id": "c", "skills": [{"type": "anthropic", "skill_id": "pdf"}]}}, [("container", "c")]),
        ({"container": {"skills": [{"type": "custom", "skill_id": "s"}]}}, [("container.skills[0].skill_id", "s")]),
        ({"content": [{"type": "tool_result", "content": [{"source": {"file_id": "f"}}]}]}, [("content[0].content[0].source.file_id", "f")]),
        (
            {"messages": [{"content": [{"toolUse": {"name": "n", "input": {"file_id": "f"}, "file_id": "g"}}]}]},
            [("messages[0].content[0].toolUse.file_id", "g")],
        ),
        (
            {"messages": [{"content": [{"video": {"source": {"s3Location": {"uri": "s3://b/v.mp4"}}}}]}]},
            [("messages[0].content[0].video.source.s3Location.uri", "s3://b/v.mp4")],
        ),
        ({"outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://b"}}}, [("outputDataConfig.s3OutputDataConfig.s3Uri", "s3://b")]),
        ({"cachedContent": "cachedContents/c"}, [("cachedContent", "cachedContents/c")]),
        ({"cached_content": "cachedContents/c"}, [("cached_content", "cachedContents/c")]),
        ({"contents": [{"parts": [{"fileData": {"fileUri": URI}}]}]}, [("contents[0].parts[0].fileData.fileUri", "files/abc-1")]),
        ({"contents": {"parts": {"file_data": {"file_uri": URI}}}}, [("contents.parts.file_data.file_uri", "files/abc-1")]),
        ({"tools": [{"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/s"]}}]}, [("tools[0].fileSearch.fileSearchStoreNames", "fileSearchStores/s")]),
        ({"fileName": "files/abc-1"}, [("fileName", "files/abc-1")]),
        ({"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}, [("messages[0].audio", "audio_1")]),
        ({"audio": {"voice": "alloy", "format": "wav"}}, []),
        ({"audio": {"voice": {"id": "voice_1"}, "format": "wav"}}, [("audio.voice", "voice_1")]),
    ],
)
def test_what_a_vendor_would_look_up_is_found(parsed: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert named(parsed) == found


@pytest.mark.parametrize(
    "parsed",
    [
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"file_id": {"type": "string", "examples": ["x"]}}}}}]},
        {"tools": [{"function": {"parameters": {"examples": [{"file_id": "x"}]}}}]},
        {"tools": [{"name": "f", "input_schema": {"default": {"container": "x"}}}]},
        {"metadata": {"file_id": "x", "thread_id": "y"}},
        {"messages": [{"content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"file_id": "x"}}]}]},
        {"messages": [{"content": [{"type": "code_execution_tool_result", "content": {"content": [{"type": "code_execution_output", "file_id": "x"}]}}]}]},
        {"input": [{"type": "code_interpreter_call", "id": "ci_1", "container_id": "x"}]},
        {"input": [{"role": "assistant", "content": [{"type": "output_text", "annotations": [{"type": "file_citation", "file_id": "x"}]}]}]},
        {"contents": [{"parts": [{"functionCall": {"name": "f", "args": {"fileUri": URI}}}]}]},
        {"contents": [{"parts": [{"functionResponse": {"name": "f", "response": {"file_id": "x"}}}]}]},
        {"contents": [{"parts": [{"function_response": {"name": "f", "response": {"fileData": {"fileUri": URI}}}}]}]},
        {"contents": [{"parts": [{"fileData": {"fileUri": "https://www.youtube.com/watch?v=x"}}]}]},
        {"messages": [{"role": "user", "content": '{"file_id": "x"}'}]},
        {"text": {"format": {"type": "json_schema", "schema": {"enum": [{"file_id": "x"}]}}}},
        {"file_id": None, "container": 3, "vector_store_ids": [1, None, {}], "conversation": {}, "thread_id": ""},
    ],
)
def test_a_callers_own_data_names_nothing(parsed: dict[str, Any]) -> None:
    assert named(parsed) == []


@pytest.mark.parametrize(
    ("parsed", "found"),
    [
        ({"fileData": {"fileUri": "gs://bucket/a.pdf"}}, [("fileData.fileUri", "gs://bucket/a.pdf")]),
        ({"file_data": {"file_uri": " GS://bucket/a.pdf "}}, [("file_data.file_uri", "GS://bucket/a.pdf")]),
        ({"fileData": {"fileUri": "s3://bucket/a"}}, [("fileData.fileUri", "s3://bucket/a")]),
        ({"fileData": {"fileUri": "https://example.com/a.pdf"}}, []),
        ({"fileData": {"fileUri": URI}}, []),
        ({"file_name": "report: a draft"}, []),
        ({"modelInput": {"source": {"s3Location": {"uri": "s3://b/a"}}}}, [("modelInput.source.s3Location.uri", "s3://b/a")]),
        ({"outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://b"}}}, [("outputDataConfig.s3OutputDataConfig.s3Uri", "s3://b")]),
        ({"data_source": {"type": "completions", "source": {"type": "stored_completions"}}}, [("data_source.source", "stored_completions")]),
        ({"data_source": {"type": "responses", "source": {"type": "responses"}}}, [("data_source", "responses"), ("data_source.source", "responses")]),
        ({"data_source": {"type": "jsonl", "source": {"type": "file_content", "content": []}}}, []),
        ({"retrieval": {"vertexAiSearch": {"datastore": "projects/p/dataStores/d"}}}, [("retrieval.vertexAiSearch.datastore", "projects/p/dataStores/d")]),
        ({"vertexRagStore": {"ragCorpora": ["projects/p/ragCorpora/1"]}}, [("vertexRagStore.ragCorpora", "projects/p/ragCorpora/1")]),
        ({"plugins": [{"id": "web", "engine": "exa"}]}, []),
        ({"text": "gs://bucket/a", "args": {"fileUri": "gs://bucket/a"}}, []),
    ],
)  # fmt: skip
def test_what_a_vendor_reads_with_its_accounts_rights_is_found(parsed: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert places(parsed) == found


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("files/abc", "files/abc"),
        ("/v1beta/files/abc", "files/abc"),
        ("https://generativelanguage.googleapis.com/v1/files/abc:download?alt=media", "files/abc"),
        ("HTTPS://GENERATIVELANGUAGE.googleapis.com/v1beta/FILES/ABC/", "files/abc"),
        ("https://x@generativelanguage.googleapis.com./v1alpha/files/%61bc#x", "files/abc"),
        (" https://generativelanguage.googleapis.com/v1beta/files/abc", "files/abc"),
        ("https://generativelanguage.googleapis.com/v1main/files/x", "https://generativelanguage.googleapis.com/v1main/files/x"),
        ("https://example.com/files/report.pdf", ""),
        ("https://example.com/v1/other/abc", ""),
        ("gs://bucket/files/abc", ""),
        ("http://[", ""),
        ("", ""),
    ],
)
def test_googles_files_are_known_by_every_address(uri: str, name: str) -> None:
    assert google_file(uri) == name


SAYS = {"role": "user", "content": "Hello"}
PLAIN: dict[str, list[dict[str, Any]]] = {
    "openai_chat": [
        {"messages": [SAYS, {"role": "assistant", "content": None, "tool_calls": []}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "x"}}]}]},
        {"input": ["an embedding"]},
        {},
    ],
    "openai_responses": [
        {"input": "Hello", "tools": [{"type": "function", "name": "f"}]},
        {"input": [SAYS, {"type": "function_call_output", "call_id": "c", "output": "x"}, {"type": "item_reference", "id": "msg_1"}]},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}]},
    ],
    "anthropic_messages": [
        {"messages": [SAYS, {"role": "user", "content": [{"type": "text", "text": "x"}]}], "tools": [{"name": "f", "input_schema": {}}]},
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"file_id": "x"}}]}]},
    ],
    "gemini": [
        {"contents": [{"parts": [{"text": "x"}, {"inlineData": {"data": ""}}]}]},
        {"contents": [{"parts": [{"text": "x"}]}], "systemInstruction": {"parts": [{"text": "y"}]}},
    ],
}
NAMING: dict[str, list[dict[str, Any]]] = {
    "openai_chat": [
        {"messages": [SAYS, {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "file", "file": {"file_id": "x"}}]}]},
        {"messages": [{"role": "user", "content": {"type": "file", "file": {"file_id": "x"}}}]},
        {"messages": {"content": [{"file_id": "x"}]}},
        {"messages": [{"role": "user", "content": [{"file_id": "x"}]}]},
        {"messages": [SAYS, {"role": "assistant", "audio": {"id": "x"}}]},
        {"messages": [SAYS, {"role": "assistant", "audio": {"id": "x"}, "content": "Hello"}]},
        {"messages": [SAYS, {"role": "assistant", "audio": {"id": "x"}, "content": None, "refusal": None}]},
    ],
    "openai_responses": [
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "x"}]}]},
        {"input": [{"type": "function_call_output", "output": [{"type": "input_image", "file_id": "x"}]}]},
        {"input": [{"type": "custom_tool_call_output", "output": [{"type": "input_file", "file_id": "x"}]}]},
        {"input": [{"type": "computer_call_output", "output": {"type": "computer_screenshot", "file_id": "x"}}]},
        {"input": "x", "tools": [{"type": "function"}, {"type": "file_search", "vector_store_ids": ["x"]}]},
        {"input": "x", "tools": [{"type": "mcp", "tunnel_id": "x"}]},
    ],
    "anthropic_messages": [
        {"messages": [SAYS], "container": "x"},
        {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "file", "file_id": "x"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [{"type": "image", "source": {"file_id": "x"}}]}]}]},
    ],
    "gemini": [
        {"contents": [{"parts": [{"fileData": {"fileUri": URI}}]}]},
        {"contents": [{"parts": [{"file_data": {"file_uri": URI}}]}]},
        {"contents": {"parts": [{"fileData": {"fileUri": URI}}]}},
        {"contents": [{"parts": [{"fileData": {"fileUri": "gs://bucket/a"}}]}]},
        {"contents": [{"parts": [{"text": "x"}]}], "systemInstruction": {"parts": [{"fileData": {"fileUri": URI}}]}},
        {"contents": [{"parts": [{"text": "x"}]}], "system_instruction": {"parts": [{"file_data": {"file_uri": URI}}]}},
        {"contents": [{"parts": {"fileData": {"fileUri": URI}}}]},
        {"contents": [{"parts": [{"text": "x"}]}], "cachedContent": "cachedContents/x"},
        {"contents": [{"parts": [{"text": "x"}]}], "tools": [{"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/x"]}}]},
        {"generateContentRequest": {"contents": [{"parts": [{"fileData": {"fileUri": URI}}]}]}},
        # nothing hides behind a member of the other spelling, or behind one that says nothing
        {"contents": [], "systemInstruction": {"parts": [{"text": "x"}]}, "system_instruction": {"parts": [{"file_data": {"file_uri": URI}}]}},
        {"contents": [], "systemInstruction": None, "system_instruction": {"parts": [{"fileData": {"fileUri": URI}}]}},
        {"contents": [], "cached_content": "cachedContents/x"},
        {"contents": [], "tools": [{"file_search": {"file_search_store_names": ["fileSearchStores/x"]}}]},
        {"contents": [], "generate_content_request": {"contents": [{"parts": [{"file_data": {"file_uri": URI}}]}]}},
        {"contents": [], "content": {"parts": [{"fileData": {"fileUri": URI}}]}},
        {"contents": [{"parts": [{"functionResponse": {"name": "f", "response": {}, "parts": [{"fileData": {"fileUri": URI}}]}}]}]},
        {"contents": [{"parts": [{"function_response": {"name": "f", "response": {}, "parts": [{"file_data": {"file_uri": "gs://b/a"}}]}}]}]},
    ],
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_glance_misses_nothing_that_is_named_and_spares_plain_calls(name: str) -> None:
    client = shelf()[name].client
    assert client is not None and client.may_name is not None
    assert [client.may_name(parsed) for parsed in PLAIN[name]] == [False] * len(PLAIN[name])
    assert [(bool(named(parsed)), client.may_name(parsed)) for parsed in NAMING[name]] == [(True, True)] * len(NAMING[name])


def test_a_voice_of_ones_own_is_named_by_its_id() -> None:
    may_name = plain_endpoints()["audio/speech"].may_name
    assert may_name is not None
    own, vendors = {"voice": {"id": "voice_1"}}, {"voice": "alloy"}
    assert [(may_name(parsed), named(parsed)) for parsed in (own, vendors)] == [(True, [("voice", "voice_1")]), (False, [])]


MAKING: dict[str, list[dict[str, Any]]] = {
    "openai_chat": [{"messages": [SAYS], "modalities": ["text", "audio"]}],
    "openai_responses": [{"input": "x", "tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}],
    "anthropic_messages": [{"messages": [SAYS], "tools": [{"name": "f", "input_schema": {}}, {"type": "code_execution_20250825", "name": "code_execution"}]}],
}


@pytest.mark.parametrize("name", MAKING)
def test_a_glance_sees_that_something_may_be_made(name: str) -> None:
    client = shelf()[name].client
    assert client is not None and client.may_name is not None
    assert [client.may_name(parsed) for parsed in MAKING[name]] == [True] * len(MAKING[name])


def test_nobody_needs_so_many() -> None:
    assert len(references({"file_ids": ["f"] * MOST_REFERENCES})) == MOST_REFERENCES
    with pytest.raises(WireError, match="at most"):
        references({"file_ids": ["f"] * (MOST_REFERENCES + 1)})
