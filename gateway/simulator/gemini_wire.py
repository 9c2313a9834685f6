"""The Gemini wire: answers, streams, token counts, embeddings and models as Google's SDKs expect them. Knows nothing about faults on the socket."""

import base64
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle
from typing import Any

import orjson

from gateway.simulator import directives as sim
from gateway.simulator.answers import IMAGE_TOKENS, Counts, Offered, Prompt, Reply, identifier, seed_of, tokens_in
from gateway.simulator.catalogue import MODELS, SimModel, find
from gateway.simulator.openai_embeddings import vector
from gateway.simulator.problems import Problem

STATUSES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 413: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip
FINISHES = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}
# what Google takes for a call that another vendor's model made
UNSIGNED = "skip_thought_signature_validator"
SIGNED = b"simulated "
DIMENSIONS = 256
METHODS = {"chat": ["generateContent", "countTokens"], "embedding": ["embedContent", "batchEmbedContents"], "realtime": ["bidiGenerateContent"]}
# repeated members, for which an object alone will do
REPEATED = frozenset({"contents", "parts", "tools", "functionDeclarations"})
# members whose inside is the caller's own
THEIRS = frozenset({"args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema"})


def place(path: str) -> tuple[str, str]:
    """Return model and method of `models/{model}:{method}`; raises Problem 404."""
    model, colon, method = path.rpartition(":")
    if not colon or method not in ("generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"):
        raise Problem(404, "Requested entity was not found.")
    return model, method


def camel(value: Any) -> Any:
    """Return a request with its members in camelCase and its lists as lists, as Google reads it; what the caller names is left alone."""
    if isinstance(value, list):
        return [camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    plain = {re.sub(r"_([a-z])", lambda found: found[1].upper(), name): one for name, one in value.items()}
    listed = {name: [one] if name in REPEATED and isinstance(one, dict) else one for name, one in plain.items()}
    return {name: one if name in THEIRS else camel(one) for name, one in listed.items()}


def read(given: dict[str, Any], any_model: bool) -> Prompt:
    """Return the prompt of a request whose model and stream were put into its fields; raises Problem and BadDirective."""
    fields = camel(given)
    model = _model(str(fields["model"]), "chat", any_model)
    contents = fields.get("contents")
    if not isinstance(contents, list) or not contents or not all(isinstance(content, dict) for content in contents):
        raise Problem(400, "* GenerateContentRequest.contents: contents is not specified")
    config = fields.get("generationConfig") or {}
    _check(contents, config)
    calling = (fields.get("toolConfig") or {}).get("functionCallingConfig") or {}
    asked = next((text for content in contents[::-1] if content.get("role") != "model" and (text := _text(content))), "")
    images = tuple(kind for content in contents for kind in _images(content))
    thinking = config.get("thinkingConfig") or {}
    thinks = bool(thinking) and thinking.get("thinkingBudget") != 0 and thinking.get("thinkingLevel") != "MINIMAL"
    is_json = config.get("responseMimeType") == "application/json"
    return Prompt(
        model=model,
        text=sim.strip(asked),
        directives=sim.parse(str(fields["model"]), asked),
        seed=seed_of(model.id, fields.get("systemInstruction"), contents),
        input_tokens=_size(fields, contents, images),
        stream=fields.get("stream") is True,
        wants_usage=True,
        choices=min(int(config.get("candidateCount") or 1), 8),
        tools=tuple(_tools(fields.get("tools") or ())),
        tool_mode=_mode(calling),
        tool_results=tuple(_results(contents[-1])),
        schema=_plain(config.get("responseJsonSchema") or config.get("responseSchema")) if is_json else None,
        json_object=is_json,
        images=images,
        max_tokens=config.get("maxOutputTokens"),
        stop=tuple(str(one) for one in config.get("stopSequences") or ()),
        thinks=thinks,
        shows_thinking=thinks and thinking.get("includeThoughts") is True,
    )


def _model(name: str, kind: str, any_model: bool) -> SimModel:
    model = find(sim.strip(name).strip().removeprefix("models/"), kind, any_model)
    if model is None:
        raise Problem(404, f"models/{sim.strip(name)} is not found for API version v1beta, or is not supported for this method.")
    return model


def _mode(calling: dict[str, Any]) -> str:
    allowed = list(calling.get("allowedFunctionNames") or [])
    if calling.get("mode") == "ANY":
        return str(allowed[0]) if len(allowed) == 1 else "required"
    return "none" if calling.get("mode") == "NONE" else "auto"


def _check(contents: list[Any], config: dict[str, Any]) -> None:
    bounds: tuple[tuple[str, int], ...] = (("temperature", 2), ("topP", 1))
    for name, most in bounds:
        value = config.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most):
            raise Problem(400, f"* GenerateContentRequest.generation_config.{name}: {name} must be in the range [0.0, {most}.0]")
    if len(config.get("stopSequences") or ()) > 5:
        raise Problem(400, "* GenerateContentRequest.generation_config.stop_sequences: at most 5 are allowed")
    for at, content in enumerate(contents):
        if content.get("role") not in (None, "user", "model", "function"):
            raise Problem(400, "Please use a valid role: user, model.")
        parts = content.get("parts")
        if not isinstance(parts, list) or not parts:
            raise Problem(400, f"* GenerateContentRequest.contents[{at}].parts: contents.parts must not be empty.")
        for part in parts:
            if not part.keys() & {"text", "inlineData", "fileData", "functionCall", "functionResponse", "thoughtSignature"}:
                raise Problem(400, f"* GenerateContentRequest.contents[{at}].parts: required oneof field 'data' must have one initialized field")
    _check_calls(contents)


def _check_calls(contents: list[Any]) -> None:
    """Be as strict as Gemini 3: results stand right behind their calls, and the first call of a turn is signed."""
    for at, content in enumerate(contents):
        calls: list[Any] = [part for part in content["parts"] if "functionCall" in part]
        if not calls:
            continue
        after = contents[at + 1]["parts"] if at + 1 < len(contents) else []
        results = [part for part in after if "functionResponse" in part]
        if len(results) != len(calls):
            raise Problem(
                400, "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn."
            )
        if not _is_ours(calls[0].get("thoughtSignature")):
            raise Problem(400, f"Function call is missing a thought_signature in functionCall parts: {calls[0]['functionCall'].get('name')}")


def _is_ours(signature: Any) -> bool:
    if signature == UNSIGNED:
        return True
    return isinstance(signature, str) and base64.urlsafe_b64decode(signature.replace("+", "-").replace("/", "_")).startswith(SIGNED)


def _tools(given: Iterable[Any]) -> Iterator[Offered]:
    for tool in given:
        for one in tool.get("functionDeclarations") or ():
            schema = one.get("parametersJsonSchema") or _plain(one.get("parameters"))
            yield Offered(str(one["name"]), schema)


def _plain(schema: Any) -> Any:
    """Return a schema in Google's notation with the types JSON Schema knows."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: one.lower() if name == "type" and isinstance(one, str) else _plain(one) for name, one in schema.items()}


def _text(content: dict[str, Any]) -> str:
    return "\n".join(str(part["text"]) for part in content.get("parts") or () if "text" in part)


def _images(content: dict[str, Any]) -> Iterator[str]:
    for part in content.get("parts") or ():
        shown = part.get("inlineData") or part.get("fileData")
        if shown:
            yield str(shown.get("mimeType", "by address"))


def _results(content: dict[str, Any]) -> Iterator[str]:
    for part in content["parts"]:
        if "functionResponse" in part:
            response = part["functionResponse"].get("response") or {}
            value = next(iter(response.values())) if len(response) == 1 else response
            yield value if isinstance(value, str) else orjson.dumps(value).decode()


def _size(fields: dict[str, Any], contents: list[Any], images: tuple[str, ...]) -> int:
    total = sum(tokens_in(orjson.dumps(fields[name]).decode()) for name in ("tools", "systemInstruction") if fields.get(name))
    for content in contents:
        for part in content["parts"]:
            said = part.get("text")
            other = part.get("functionCall") or part.get("functionResponse")
            total += 1 + tokens_in(sim.strip(said) if isinstance(said, str) else orjson.dumps(other).decode())
    return total + IMAGE_TOKENS * len(images)


def usage(counts: Counts, directives: sim.Directives) -> dict[str, Any]:
    """Return the usage object, in which thoughts stand beside the candidates; bent as the directives ask."""
    sign = -1 if directives.has("usage_negative") else 1
    output = counts.output_tokens - counts.reasoning_tokens
    made: dict[str, Any] = {
        "promptTokenCount": sign * counts.input_tokens,
        "candidatesTokenCount": sign * output,
        "totalTokenCount": counts.input_tokens + counts.output_tokens,
    }
    if directives.has("usage_text"):
        return {name: str(value) for name, value in made.items()}
    if counts.reasoning_tokens:
        made["thoughtsTokenCount"] = counts.reasoning_tokens
    if counts.cached_tokens:
        made["cachedContentTokenCount"] = counts.cached_tokens
    made["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": counts.input_tokens}]
    return made


def _signature(prompt: Prompt) -> str:
    return base64.b64encode(SIGNED + prompt.seed).decode()


def _parts(prompt: Prompt, reply: Reply) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    if prompt.shows_thinking:
        parts.append({"text": "".join(reply.reasoning), "thought": True})
    if reply.pieces or not reply.calls:
        parts.append({"text": reply.text})
    calls: list[dict[str, Any]] = [{"functionCall": {"name": call.name, "args": orjson.loads(call.arguments)}} for call in reply.calls]
    if reply.calls or prompt.thinks:
        # the first of parallel calls is signed, else the last text
        (calls or parts[-1:])[0]["thoughtSignature"] = _signature(prompt)
    return parts + calls


def _is_blocked(prompt: Prompt) -> bool:
    return prompt.directives.word("finish") == "refusal"


def whole(prompt: Prompt, replies: Sequence[Reply]) -> bytes:
    """Return the body of an answer that is not streamed."""
    candidates = [_candidate(_parts(prompt, reply), reply, at) for at, reply in enumerate(replies)]
    made: dict[str, Any] = _blocked(prompt) if _is_blocked(prompt) else {"candidates": candidates}
    if not prompt.directives.has("no_usage"):
        made["usageMetadata"] = usage(_together(replies), prompt.directives)
    return orjson.dumps({**made, "modelVersion": prompt.model.id, "responseId": identifier("", prompt.seed)})


def _candidate(parts: list[dict[str, Any]], reply: Reply, at: int) -> dict[str, Any]:
    return {"content": {"parts": parts, "role": "model"}, "finishReason": FINISHES.get(reply.finish, "STOP"), "index": at}


def _blocked(prompt: Prompt) -> dict[str, Any]:
    return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}


def _together(replies: Sequence[Reply]) -> Counts:
    first = replies[0].counts
    return first._replace(
        output_tokens=sum(reply.counts.output_tokens for reply in replies), reasoning_tokens=sum(reply.counts.reasoning_tokens for reply in replies)
    )


def _event(prompt: Prompt, made: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps({**made, "modelVersion": prompt.model.id, "responseId": identifier("", prompt.seed)}) + b"\r\n\r\n"


def events(prompt: Prompt, replies: Sequence[Reply]) -> Iterator[bytes]:
    """Yield the events of a streamed answer: usage in each, the finish in the last; never ends when `endless` was asked for."""
    reply, directives = replies[0], prompt.directives
    silent = directives.has("no_usage")
    if _is_blocked(prompt):
        yield _event(prompt, {**_blocked(prompt), **({} if silent else {"usageMetadata": usage(reply.counts._replace(output_tokens=0), directives)})})
        return
    pieces = [{"text": piece, "thought": True} for piece in reply.reasoning] if prompt.shows_thinking else []
    for said, piece in enumerate([*pieces, *({"text": piece} for piece in reply.pieces)], 1):
        counted = {} if silent else {"usageMetadata": usage(reply.counts._replace(output_tokens=said, reasoning_tokens=0), directives)}
        yield _event(prompt, {"candidates": [{"content": {"parts": [piece], "role": "model"}, "index": 0}], **counted})
    for piece_again in cycle(reply.pieces or ("again ",)) if directives.has("endless") else ():
        yield text_event(prompt, piece_again)
    last: list[dict[str, Any]] = [{"functionCall": {"name": call.name, "args": orjson.loads(call.arguments)}} for call in reply.calls] or [{"text": ""}]
    if reply.calls or prompt.thinks:
        last[0]["thoughtSignature"] = _signature(prompt)
    counted = {} if silent else {"usageMetadata": usage(reply.counts, directives)}
    final = _event(prompt, {"candidates": [_candidate(last, reply, 0)], **counted})
    yield final
    if directives.has("usage_twice"):
        yield _event(prompt, counted)


def as_array(given: Iterable[bytes]) -> Iterator[bytes]:
    """Yield events as the elements of one JSON array: what comes without `alt=sse`."""
    before = b"["
    for event in given:
        yield before + event.removeprefix(b"data: ").rstrip()
        before = b",\r\n"
    yield b"]" if before != b"[" else b"[]"


def text_event(prompt: Prompt, text: str) -> bytes:
    """Return one more event that carries the text."""
    return _event(prompt, {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}]})


def error_event() -> bytes:
    """Return the event with which the vendor reports a failure inside a stream."""
    return b"data: " + problem(Problem(503, "The model is overloaded (simulated).")) + b"\r\n\r\n"


def count(fields: dict[str, Any], any_model: bool) -> bytes:
    """Return the body of a token count; raises Problem and BadDirective."""
    inner = fields.get("generateContentRequest")
    counted = read({**(inner if isinstance(inner, dict) else fields), "model": fields["model"]}, any_model)
    details = [{"modality": "TEXT", "tokenCount": counted.input_tokens}]
    return orjson.dumps({"totalTokens": counted.input_tokens, "promptTokensDetails": details})


def embed(fields: dict[str, Any], any_model: bool, *, many: bool) -> bytes:
    """Return the body of one embedding, or of many; raises Problem."""
    model = _model(str(fields["model"]), "embedding", any_model)
    asked = fields.get("requests") if many else [fields]
    if not isinstance(asked, list) or not asked:
        raise Problem(400, "* BatchEmbedContentsRequest.requests: requests is not specified")
    made, tokens = [], 0
    for one in asked:
        text = _text(one.get("content") or {})
        if not text:
            raise Problem(400, "* EmbedContentRequest.content: contents is not specified")
        dimensions = one.get("outputDimensionality") or DIMENSIONS
        if isinstance(dimensions, bool) or not isinstance(dimensions, int) or not 1 <= dimensions <= 4_096:
            raise Problem(400, "* EmbedContentRequest.output_dimensionality: must be in the range [1, 4096]")
        tokens += tokens_in(sim.strip(text))
        made.append({"values": struct.unpack(f"<{dimensions}f", vector(text, dimensions))})
    counted = {"usageMetadata": {"promptTokenCount": tokens, "totalTokenCount": tokens}}
    return orjson.dumps({"embeddings": made, **counted} if many else {"embedding": made[0], **counted, "model": model.id})


def problem(error: Problem) -> bytes:
    """Return an error body."""
    named = STATUSES.get(error.status, "INVALID_ARGUMENT" if error.status < 500 else "INTERNAL")
    return orjson.dumps({"error": {"code": error.status, "message": error.message, "status": named}})


def headers(seed: bytes) -> list[tuple[bytes, bytes]]:
    """Return the vendor's own answer headers."""
    return [(b"server-timing", b"gfet4t7; dur=1"), (b"x-gemini-service-tier", b"standard")]


def model_row(model: SimModel) -> dict[str, Any]:
    """Return a model as the model list shows it."""
    methods = METHODS[model.kind]
    return {
        "name": f"models/{model.id}",
        "version": "001",
        "displayName": model.title,
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": methods,
    }


def models() -> bytes:
    """Return the body of the model list."""
    return orjson.dumps({"models": [model_row(model) for model in MODELS.values() if model.vendor == "google"]})


def one_model(name: str) -> bytes:
    """Return the body for one model; raises Problem 404."""
    model = MODELS.get(name)
    if model is None or model.vendor != "google":
        raise Problem(404, f"models/{name} is not found for API version v1beta.")
    return orjson.dumps(model_row(model))
