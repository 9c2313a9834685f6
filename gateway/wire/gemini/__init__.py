"""Google's Gemini wire, both sides: generateContent and its streams as Google's SDKs speak them and as AI Studio and Vertex AI answer."""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from gateway.wire import ClientSide, UpstreamSide, Wire
from gateway.wire.gemini.answer import error_message, read_answer, read_usage, text_bytes
from gateway.wire.gemini.ask import read_ask
from gateway.wire.gemini.compose import compose
from gateway.wire.gemini.embed import EMBEDDING, PLAIN
from gateway.wire.gemini.events import KEEP_ALIVE, ChunkWriter
from gateway.wire.gemini.foreign import rename_model, without_foreign
from gateway.wire.gemini.head import candidates, read_head
from gateway.wire.gemini.kept import may_name
from gateway.wire.gemini.live import LIVE
from gateway.wire.gemini.path import read_path
from gateway.wire.gemini.stream import ChunkReader, Meter
from gateway.wire.gemini.thoughts import NAME, SEALED
from gateway.wire.gemini.told import error_body, error_event, write_answer, write_count
from gateway.wire.sse import EventBuffer
from gateway.wire.strict import splice

__all__ = ["WIRE", "ChunkReader", "ChunkWriter", "compose", "read_answer", "read_ask", "read_usage", "write_answer"]

_CONFIGS = ("generation_config", "generationConfig")
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def limit_output(fields: Mapping[str, msgspec.Raw], tokens: int) -> Mapping[str, bytes | None]:
    """Return the change that bounds an answer's tokens, which stands in `generationConfig`."""
    config: dict[str, msgspec.Raw] = {}
    for name in _CONFIGS:
        given = fields.get(name)
        if given is not None and bytes(given) != b"null":
            config |= _FIELDS.decode(given)
    counted: dict[str, Any] = {name: orjson.loads(bytes(config[name])) for name in ("candidateCount", "candidate_count") if name in config}
    # each candidate may reach the limit
    each = max(1, tokens // candidates(counted))
    changed = splice(config, {"max_output_tokens": None, "maxOutputTokens": orjson.dumps(each)})
    return {"generation_config": None, "generationConfig": changed}


WIRE = Wire(
    name=NAME,
    surface="gemini",
    client=ClientSide(
        endpoint="generateContent",
        read_head=read_head,
        read_ask=read_ask,
        write_answer=write_answer,
        chunk_writer=ChunkWriter,
        error_body=error_body,
        error_event=error_event,
        may_name=may_name,
        read_path=read_path,
        keep_alive=KEEP_ALIVE,
        streams_arrays=True,
        names={
            "messages": "contents",
            "stop": "generationConfig.stopSequences",
            "tool_choice": "toolConfig.functionCallingConfig",
            "n": "generationConfig.candidateCount",
            "logprobs": "generationConfig.responseLogprobs",
            "temperature": "generationConfig.temperature",
            "top_p": "generationConfig.topP",
            "top_k": "generationConfig.topK",
            "seed": "generationConfig.seed",
            "frequency_penalty": "generationConfig.frequencyPenalty",
            "presence_penalty": "generationConfig.presencePenalty",
            "response_format": "generationConfig.responseSchema",
            "reasoning_effort": "generationConfig.thinkingConfig",
            "shows_reasoning": "generationConfig.thinkingConfig.includeThoughts",
            "reasoning": "contents.parts.thoughtSignature",
            "is_error": "contents.parts.functionResponse.response.error",
            "service_tier": "serviceTier",
            "metadata": "labels",
        },
    ),
    upstream=UpstreamSide(compose=compose, read_answer=read_answer, chunk_reader=ChunkReader),
    plain=PLAIN,
    live=LIVE,
    embedding=EMBEDDING,
    counting={"countTokens": write_count},
    names_model=False,
    rename_model=rename_model,
    without_foreign=without_foreign,
    sealed=SEALED,
    text_bytes=text_bytes,
    limit_output=limit_output,
    usage_member="usageMetadata",
    # nothing ends a stream but its end
    terminal=b"",
    buffer=EventBuffer,
    error_message=error_message,
    read_usage=read_usage,
    meter=Meter,
)
