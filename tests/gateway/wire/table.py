"""Writes docs/reference/translation.md from the golden cases: `python -m tests.gateway.wire.table`."""

import re
from collections import defaultdict
from pathlib import Path

from tests.gateway.wire.grid import FEATURES, Case, cases, feature_of, pairs

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "translation.md"
TITLES = {
    "openai_chat": "OpenAI Chat Completions",
    "openai_responses": "OpenAI Responses",
    "anthropic_messages": "Anthropic Messages",
    "gemini": "Gemini generateContent",
    "bedrock_converse": "AWS Bedrock Converse",
}
NO_CASE = "—"
# in the order they are told
OUTCOMES = ("exact", "mapped", "dropped", "refused")
_NUMBERS = re.compile(r"\[\d+\]|\.\d+(?=\.)")
INTRODUCTION = """# What happens to each feature between wires

An application speaks one wire, the provider that serves its model perhaps another. This page says for every feature what becomes of it; it is
written from the golden cases in `tests/cases/wires`, which the test suite plays, so it cannot say what the gateway does not do.

| word | meaning |
|---|---|
| exact | it arrives as it was sent, and the answer comes back as the client's SDK expects it |
| mapped | it arrives as the nearest thing the provider has; how is said |
| refused | 400 naming the field, because the answer would mean something else; what is refused is said, with the field |
| dropped | the provider has nothing like it and the answer is only poorer; the field is named in `x-sgw-dropped` as the application's wire calls it |

Where a cell says several things, `exact` is the plain case, and each other word says what it is about: "exact; **refused:** films" means that everything but
films arrives as it was sent.

Legacy completions (`/v1/completions`) carry a prompt and its continuation; elsewhere the prompt becomes the only message of a conversation.
Where the application's wire is the provider's own, requests and answers pass byte for byte, unknown fields included.

What of an answer cannot be told on the application's wire is named too: of a whole answer in the header, of a stream, whose header has long gone, in
`sgw.dropped` of its last event (`message_delta` of Messages, the event with the finish reason of chat and of Gemini, the response in the last event of
Responses), where SDKs keep or skip it.
"""


def page() -> str:
    """Return the whole page."""
    cells: dict[tuple[str, str, str], list[Case]] = defaultdict(list)
    for name, case in cases().items():
        cells[case["client"], case["upstream"], feature_of(name)].append(case)
    parts = [INTRODUCTION]
    for client in dict.fromkeys(one for one, _ in pairs()):
        upstreams = [other for one, other in pairs() if one == client]
        parts.append(f"\n## Applications on {TITLES[client]}\n\n| | " + " | ".join(TITLES[other] for other in upstreams) + " |")
        parts.append("|---" * (len(upstreams) + 1) + "|")
        for feature, title in FEATURES.items():
            told = [_cell(cells[client, upstream, feature]) for upstream in upstreams]
            parts.append(f"| {title} | " + " | ".join(told) + " |")
    return "\n".join(parts) + "\n"


def _cell(found: list[Case]) -> str:
    """Return what becomes of a feature: first whether it arrives as it is, then each other outcome with everything that meets it."""
    said: dict[str, dict[str, None]] = {outcome: {} for outcome in OUTCOMES}
    for case in found:
        outcome, _, what = case["cell"].partition(": ")
        said[outcome][f"{what} (`{_NUMBERS.sub('', case['refused']['param'])}`)" if "refused" in case else f"`{what}`" if outcome == "dropped" else what] = None
    told = [outcome if outcome == "exact" else f"**{outcome}:** {', '.join(whats)}" for outcome, whats in said.items() if whats]
    return "; ".join(told).replace("|", "\\|") or NO_CASE


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
