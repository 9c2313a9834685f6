"""Which of OpenAI's models reason, with what effort, and which take sampling, by their names at OpenAI, at Azure and at resellers."""

import re

# They reason before they answer and take the default sampling only (gpt-5.1 and later: unless told not to reason).
_REASONS = re.compile(r"(?:o[1-9]|gpt-[5-9](?!.*-chat))")
_NEVER_SILENT = re.compile(r"(?:o[1-9]|gpt-5(?:-mini|-nano|-pro|-codex)?(?:-\d{4}|$))")
_SPEAKS_AT_ONCE = re.compile(r"(?:gpt-3|gpt-4|chatgpt-|gpt-[5-9].*-chat)")
# what such a model does anyway, by the name of the field
DEFAULTS = {"temperature": 1, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0}


def effort_for(model: str, wanted: str) -> str:
    """Return the effort to ask a model for that comes nearest to the wanted one (none, minimal, low ...); "" to ask for none at all."""
    name = _plain(model)
    if not wanted or _SPEAKS_AT_ONCE.match(name):
        return ""
    if wanted == "none" and _NEVER_SILENT.match(name):
        return "minimal" if name.startswith("gpt-5") else ""
    return wanted


def is_kept(model: str, wanted: str, effort: str) -> bool:
    """Return whether asking for `effort` gives what was wanted: a model that never reasons keeps silent by itself."""
    return effort == wanted or (wanted == "none" and _SPEAKS_AT_ONCE.match(_plain(model)) is not None)


def takes_sampling(model: str, effort: str) -> bool:
    """Return whether a model that is asked for this effort takes another sampling than the default; one that is not OpenAI's does."""
    return _REASONS.match(_plain(model)) is None or effort == "none"


def _plain(model: str) -> str:
    """Return a model's own name, without the vendor's before it (openai/gpt-5)."""
    return model.rpartition("/")[2].lower()
