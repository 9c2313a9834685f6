"""What OpenAI keeps for an account, and others who serve its API. Paths: https://platform.openai.com/docs/api-reference."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.wire.kept import Collection
from gateway.wire.made import Made, objects, told_in
from gateway.wire.made import made as made_of
from gateway.wire.references import has_other

_PLAIN = frozenset({"text", "image_url", "input_audio", "refusal"})

COLLECTIONS = (
    Collection(path="files", kind="file"),
    Collection(path="batches", kind="batch", tells=(("file", "output_file_id"), ("file", "error_file_id"))),
    Collection(path="uploads", kind="upload", tells=(("file", "file.id"),), is_free=True),
    Collection(path="vector_stores", kind="vector_store"),
    Collection(path="assistants", kind="assistant"),
    Collection(path="threads", kind="thread"),
    # one call that makes a thread and runs it: the thread is what lasts
    Collection(path="threads/runs", kind="thread", name="thread_id"),
    Collection(path="conversations", kind="conversation", is_free=True),
    Collection(path="containers", kind="container"),
    Collection(path="skills", kind="skill"),
    Collection(path="evals", kind="eval"),
    Collection(path="fine_tuning/jobs", kind="fine_tuning_job", tells=(("file", "result_files"),)),
    Collection(path="videos", kind="video", makes=("edits", "extensions", "remix")),
    Collection(path="audio/voices", kind="voice"),
    Collection(path="audio/voice_consents", kind="voice_consent"),
)


def may_name(parsed: Mapping[str, Any]) -> bool:
    """Return whether a request may name any of it, or have some made: files stand among the parts of messages, earlier sound beside them."""
    return "modalities" in parsed or has_other(parsed.get("messages"), _PLAIN, "content", "audio")


def made(said: bytes) -> Iterator[Made]:
    """Yield what an answer or an event says was made: sound, which later messages may name instead of sending it."""
    for told in told_in(said, (b'"audio"',)):
        for choice in objects(told.get("choices")):
            for spoken in (choice.get("message"), choice.get("delta")):
                yield from made_of("audio", spoken.get("audio") if isinstance(spoken, dict) else None)
