"""What Anthropic keeps for an account. Paths: https://docs.claude.com/en/api."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.wire.kept import Collection
from gateway.wire.made import Made, objects, told_in
from gateway.wire.made import made as made_of
from gateway.wire.references import has_other

# results of code that the vendor ran
EXECUTED = frozenset({"code_execution_tool_result", "bash_code_execution_tool_result"})
_PLAIN = frozenset({"text", "tool_use", "thinking", "redacted_thinking"})

COLLECTIONS = (
    Collection(path="files", kind="anthropic_file", root="anthropic", cursor="after_id", is_free=True),
    Collection(path="messages/batches", kind="message_batch", cursor="after_id"),
    Collection(path="skills", kind="skill", cursor="page", next_page="next_page", is_free=True),
)


def may_name(parsed: Mapping[str, Any]) -> bool:
    """Return whether a request may name any of it, or have some made: files stand among the blocks of messages, skills in the container."""
    return "container" in parsed or ("tools" in parsed and _runs_code(parsed["tools"])) or has_other(parsed.get("messages"), _PLAIN)


def _runs_code(tools: object) -> bool:
    return type(tools) is list and any(str(tool.get("type")).startswith("code_execution") for tool in tools if type(tool) is dict)


def made(said: bytes) -> Iterator[Made]:
    """Yield what an answer or an event says was made: the container that code ran in, and the files it wrote."""
    for told in told_in(said, (b'"container"', b'"file_id"')):
        for place in (told, told.get("message"), told.get("delta")):
            if isinstance(place, dict):
                yield from made_of("container", place.get("container"))
                for block in objects(place.get("content")):
                    yield from _written(block)
        yield from _written(told.get("content_block"))


def _written(block: Any) -> Iterator[Made]:
    """Yield the files that a result of executed code tells of."""
    if isinstance(block, dict) and block.get("type") in EXECUTED and isinstance(block.get("content"), dict):
        for output in objects(block["content"].get("content")):
            yield from made_of("anthropic_file", output, "file_id")
