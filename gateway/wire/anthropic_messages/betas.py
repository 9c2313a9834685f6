"""Which of a caller's headers Anthropic may be told: its API version, and betas that change how a call is answered."""

import re

from gateway.terms import Headers

# https://docs.claude.com/en/api/versioning: the older one still takes temperature, top_p and top_k, which callers of other wires send.
VERSION = b"2023-06-01"
_A_VERSION, _DATED = re.compile(rb"20\d\d-\d\d-\d\d"), re.compile(rb"-20\d\d-?\d\d-?\d\d$")
# Betas that change how a call is answered, and files, whose ids are looked up. Left out are those that else reach into the vendor's account (batches, skills,
# agents), sign in another way, or have the vendor call servers of the caller's choosing.
BETAS = frozenset(
    b"""prompt-caching extended-cache-ttl context-1m context-management compact interleaved-thinking adaptive-thinking effort dev-full-thinking redact-thinking
    fine-grained-tool-streaming token-efficient-tools advanced-tool-use tool-examples tool-search-tool computer-use output-128k max-tokens-3-5-sonnet pdfs
    structured-outputs model-context-window-exceeded search-results token-counting fast-mode prompt-caching-scope claude-code files-api""".split()
)


def tells(headers: Headers) -> tuple[Headers, tuple[str, ...]]:
    """Return the caller's API version and those betas that may pass; `anthropic-beta` among what is left out if one may not."""
    told: list[tuple[bytes, bytes]] = []
    left_out: tuple[str, ...] = ()
    for name, value in headers:
        if name == b"anthropic-version":
            if _A_VERSION.fullmatch(value.strip()):
                told.append((name, value.strip()))
            continue
        asked = [beta.strip() for beta in value.split(b",") if beta.strip()]
        allowed = [beta for beta in asked if _DATED.sub(b"", beta) in BETAS]
        if allowed:
            told.append((name, b",".join(allowed)))
        if len(allowed) < len(asked):
            left_out = ("anthropic-beta",)
    return tuple(told), left_out
