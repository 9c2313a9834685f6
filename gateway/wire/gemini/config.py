"""Reads Gemini's `generationConfig` into the settings of a neutral request."""

from typing import Any

import msgspec
import orjson

from gateway.wire.gemini import schema as schemas
from gateway.wire.gemini.fields import drop_others, json_text, members, whole
from gateway.wire.gemini.head import MOST_CANDIDATES, MOST_OUTPUT_TOKENS
from gateway.wire.given import flag, invalid, list_, number, text, unsupported
from gateway.wire.logprobs import MOST_ALTERNATIVES

PARAM = "generationConfig"
_KNOWN = frozenset(
    {
        "temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "responseMimeType", "responseSchema", "responseJsonSchema",
        "thinkingConfig", "seed", "presencePenalty", "frequencyPenalty", "responseLogprobs", "logprobs", "responseModalities",
    }
)  # fmt: skip
# They ask for an answer of another kind.
_REFUSED = frozenset({"speechConfig", "imageConfig", "translationConfig", "responseFormat", "audioTranscriptionConfig"})
_PENALTIES = {"presencePenalty": "presence_penalty", "frequencyPenalty": "frequency_penalty"}
_OTHER_ANSWERS = frozenset({"candidateCount", "responseLogprobs", "logprobs", "responseModalities"})
_FORMAT = frozenset({"responseMimeType", "responseSchema", "responseJsonSchema"})
_THINKING = frozenset({"thinkingBudget", "thinkingLevel", "includeThoughts"})
_LEVELS = {"MINIMAL": "minimal", "LOW": "low", "MEDIUM": "medium", "HIGH": "high", "XHIGH": "xhigh", "THINKING_LEVEL_UNSPECIFIED": ""}
_MOST_TOKENS = 10_000_000


def read_config(value: object, dropped: list[str]) -> dict[str, Any]:
    """Return the fields of Ask that the configuration says something about. Raises WireError."""
    config = members(value, PARAM)
    if not _REFUSED.isdisjoint(config):
        raise unsupported(f"{PARAM}.{next(name for name in config if name in _REFUSED)}")
    made: dict[str, Any] = {}
    drop_others(config, _KNOWN, PARAM, dropped)
    if "temperature" in config:
        made["temperature"] = number(config["temperature"], f"{PARAM}.temperature", 2)
    if "topP" in config:
        made["top_p"] = number(config["topP"], f"{PARAM}.topP", 1)
    if "topK" in config:
        made["top_k"] = whole(config["topK"], f"{PARAM}.topK", 1, 1_000_000)
    for name, field in _PENALTIES.items():
        if name in config:
            made[field] = number(config[name], f"{PARAM}.{name}", 2, -2)
    if "seed" in config:
        made["seed"] = whole(config["seed"], f"{PARAM}.seed", -(2**31), 2**31 - 1)
    if "maxOutputTokens" in config and (limit := whole(config["maxOutputTokens"], f"{PARAM}.maxOutputTokens", 0, MOST_OUTPUT_TOKENS)):
        made["max_output_tokens"] = limit
    if "stopSequences" in config:
        made["stop"] = tuple([text(one, f"{PARAM}.stopSequences") for one in list_(config["stopSequences"], f"{PARAM}.stopSequences")])
    if not _OTHER_ANSWERS.isdisjoint(config):
        _other_answers(config, made)
    if not _FORMAT.isdisjoint(config):
        _format(config, made)
    if "thinkingConfig" in config:
        _thinking(members(config["thinkingConfig"], f"{PARAM}.thinkingConfig"), made, dropped)
    return made


def _other_answers(config: dict[str, Any], made: dict[str, Any]) -> None:
    """Read how many answers are wanted and whether with probabilities; answers of another kind are refused."""
    made["answers"] = max(1, whole(config.get("candidateCount", 1), f"{PARAM}.candidateCount", 0, MOST_CANDIDATES))
    made["logprobs"] = flag(config.get("responseLogprobs"), f"{PARAM}.responseLogprobs") or False
    made["top_logprobs"] = whole(config.get("logprobs", 0), f"{PARAM}.logprobs", 0, MOST_ALTERNATIVES)
    if made["top_logprobs"] and not made["logprobs"]:
        raise invalid(f"{PARAM}.logprobs", f"{PARAM}.logprobs are told with responseLogprobs alone: set it to true")
    modalities = [text(one, f"{PARAM}.responseModalities").upper() for one in list_(config.get("responseModalities", []), f"{PARAM}.responseModalities")]
    if any(one not in ("TEXT", "MODALITY_UNSPECIFIED") for one in modalities):
        raise unsupported(f"{PARAM}.responseModalities")


def _format(config: dict[str, Any], made: dict[str, Any]) -> None:
    kind = text(config.get("responseMimeType", ""), f"{PARAM}.responseMimeType")
    if kind not in ("", "text/plain", "application/json"):
        raise unsupported(f"{PARAM}.responseMimeType")
    given = config.get("responseJsonSchema")
    if given is not None:
        if not isinstance(given, dict):
            raise invalid(f"{PARAM}.responseJsonSchema", f"{PARAM}.responseJsonSchema must be an object")
        made["json_schema"] = msgspec.Raw(json_text(given, f"{PARAM}.responseJsonSchema").encode())
    elif "responseSchema" in config:
        given = schemas.closed(schemas.plain(config["responseSchema"], f"{PARAM}.responseSchema"))
        made["json_schema"] = msgspec.Raw(orjson.dumps(given))
    elif kind == "application/json":
        made["json_object"] = True
    if given is not None and schemas.is_strict(given):
        made["json_strict"] = True
    if "json_schema" in made and kind != "application/json":
        raise invalid(f"{PARAM}.responseMimeType", f"{PARAM}.responseMimeType must be application/json where a schema is given")


def _thinking(thinking: dict[str, Any], made: dict[str, Any], dropped: list[str]) -> None:
    param = f"{PARAM}.thinkingConfig"
    drop_others(thinking, _THINKING, param, dropped)
    # unasked, Google keeps them to itself
    made["shows_reasoning"] = flag(thinking.get("includeThoughts"), f"{param}.includeThoughts") or False
    if "thinkingLevel" in thinking:
        level = text(thinking["thinkingLevel"], f"{param}.thinkingLevel").upper()
        if level not in _LEVELS:
            raise invalid(f"{param}.thinkingLevel", f"{param}.thinkingLevel must be MINIMAL, LOW, MEDIUM, HIGH or XHIGH")
        made["reasoning_effort"] = _LEVELS[level]
    if "thinkingBudget" in thinking:
        budget = whole(thinking["thinkingBudget"], f"{param}.thinkingBudget", -1, _MOST_TOKENS)
        if budget > 0:
            made["reasoning_budget_tokens"] = budget
        elif "thinkingLevel" not in thinking:
            # 0 is off; -1 leaves it to the model, which others call a medium effort
            made["reasoning_effort"] = "medium" if budget else "none"
