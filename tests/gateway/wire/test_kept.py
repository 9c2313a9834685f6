"""What a provider path means among the things vendors keep."""

import pytest

from gateway.providers import shelf
from gateway.wire.kept import find, named


def found(provider: str, rest: str) -> tuple[str, str, str] | None:
    collections = shelf()[provider].collections
    assert collections is not None
    at = find(collections, rest)
    return None if at is None else (at.collection.kind, at.object_id, at.part)


@pytest.mark.parametrize(
    ("provider", "rest", "meant"),
    [
        ("openai", "vector_stores", ("vector_store", "", "")),
        ("openai", "v1/vector_stores/vs_1", ("vector_store", "vs_1", "")),
        ("openai", "vector_stores/vs_1/files/file-1", ("vector_store", "vs_1", "files/file-1")),
        ("openai", "threads/runs", ("thread", "", "")),
        ("openai", "threads/thread_1/runs", ("thread", "thread_1", "runs")),
        ("openai", "fine_tuning/jobs/ft-1/events", ("fine_tuning_job", "ft-1", "events")),
        ("openai", "fine_tuning/alpha/graders/run", None),
        ("openai", "videos/edits", ("video", "", "edits")),
        ("openai", "videos/video_1/remix", ("video", "video_1", "remix")),
        ("openai", "uploads/upload_1/complete", ("upload", "upload_1", "complete")),
        ("openai", "vector_storesx", None),
        ("openai", "tokenize", None),
        ("azure", "openai/vector_stores/vs_1", ("vector_store", "vs_1", "")),
        ("azure", "openai/v1/files/file-1/content", ("file", "file-1", "content")),
        ("mistral", "v1/files", ("mistral_file", "", "")),
        ("mistral", "files/5f0c/url", ("mistral_file", "5f0c", "url")),
        ("mistral", "v1/batch/jobs/b1/cancel", ("mistral_batch", "b1", "cancel")),
        ("mistral", "v1/conversations/conv_1/restart", ("conversation", "conv_1", "restart")),
        ("mistral", "v1/agents/ag_1", ("mistral_agent", "ag_1", "")),
        ("mistral", "v1/agents/completions", None),
        ("mistral", "v1/workflows/hello/execute", ("mistral_object", "hello", "execute")),
        ("together", "v1/files/upload", ("together_file", "", "upload")),
        ("together", "files/file-1/content", ("together_file", "file-1", "content")),
        ("together", "v1/batches/b1", ("together_batch", "b1", "")),
        ("together", "fine-tunes/estimate-price", None),
        ("groq", "v1/batches/batch_1", ("batch", "batch_1", "")),
        ("anthropic", "v1/skills/skill_1/versions", ("skill", "skill_1", "versions")),
        ("anthropic", "files", ("anthropic_file", "", "")),
        ("google", "v1beta/files/abc", ("google_file", "files/abc", "")),
        ("google", "v1beta/files/abc:download", ("google_file", "files/abc", "download")),
        ("google", "upload/v1beta/files", ("google_file", "", "")),
        ("google", "v1beta/cachedContents/c", ("cached_content", "cachedContents/c", "")),
        ("google", "upload/v1beta/fileSearchStores/s:uploadToFileSearchStore", ("file_search_store", "fileSearchStores/s", "uploadToFileSearchStore")),
        ("google", "v1beta/models/m/operations/o", None),
    ],
)
def test_a_path_means_an_object_of_a_collection(provider: str, rest: str, meant: tuple[str, str, str] | None) -> None:
    assert found(provider, rest) == meant


def test_servers_of_ones_own_keep_nothing() -> None:
    assert [shelf()[name].collections for name in ("vllm", "ollama", "tgi", "llama_cpp", "lmstudio")] == [None] * 5


def test_ids_are_read_wherever_an_answer_has_them() -> None:
    told = {"id": "a", "file": {"id": "b"}, "files": ["c", 1, "", "d"], "none": None, "text": "e"}
    assert [named(told, path) for path in ("id", "file.id", "files", "none", "text.id", "nothing")] == [["a"], ["b"], ["c", "d"], [], [], []]
