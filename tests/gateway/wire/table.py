"""Writes docs/reference/translation.md from the golden cases: `python -m tests.gateway.wire.table`."""

import re
from collections import defaultdict
from pathlib import Path

from tests.gateway.wire.around import ENDPOINTS, Told, scripts
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


AROUND = """
## Around the bodies

Whoever serves a call, its answer has `x-request-id`, the id of the call here, under which the call's record stands; Messages' clients find the same in
`request-id`. Limits of this gateway are told as `x-ratelimit-*` and take the place of the provider's, which else pass as the provider calls them; Messages'
clients are told those as `anthropic-ratelimit-*` too. A provider's
fault is tried at the model's other deployments first; what follows is told when none is left. `error.sgw` holds our own detail, `attempts` among it.
"""
ANSWER = "an answer"


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
    return "\n".join([*parts, *_around()]) + "\n"


def _around() -> list[str]:
    """Return the section about headers and refusals."""
    kept = [f"| {TITLES[upstream]} | {_limits(script[ANSWER]['told'])} |" for upstream, script in scripts().items()]
    parts = [AROUND, "| the provider speaks | headers of its answers that callers of every wire get |", "|---|---|", *kept]
    parts += ["\n| the provider refuses | " + " | ".join(TITLES[client] for client in ENDPOINTS) + " |", "|---" * (len(ENDPOINTS) + 1) + "|"]
    for title in next(iter(scripts().values())):
        if title != ANSWER:
            said = [script[title] for script in scripts().values()]
            cells = [dict.fromkeys(_refusal(one, one["told"][client]) for one in said if client in one["told"]) for client in ENDPOINTS]
            parts.append(f"| {title} | " + " | ".join("; ".join(cell) for cell in cells) + " |")
    return parts


def _limits(told: dict[str, Told]) -> str:
    """Return the vendor's headers that callers of all wires are told with an answer."""
    first, *others = [one["headers"] for one in told.values()]
    return ", ".join(f"`{name}`" for name in first if name != "x-request-id" and all(name in other for other in others)) or NO_CASE


def _refusal(said: Told, told: Told) -> str:
    """Return what a caller is told of a vendor's refusal: status, the word its SDK looks for, whose words they are, and whether to come again."""
    error, theirs = told["body"]["error"], said["body"].get("error", said["body"])["message"]
    whose = "in the provider's words" if error["message"] == theirs else "in ours"
    again = ", `retry-after`" if "retry-after" in told["headers"] else ", not to be repeated" if "x-should-retry" in told["headers"] else ""
    return f"{told['status']} `{error.get('type') or error['status']}`, {whose}{again}"


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
