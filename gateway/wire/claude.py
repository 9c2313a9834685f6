"""Which of Claude's models take a thinking budget and which take sampling, by their names at Anthropic, at AWS and at resellers."""

import re

LEAST_BUDGET_TOKENS = 1024
# The vendor takes no more marks for its cache than these; the last ones keep the most.
MOST_MARKS = 4
EFFORT = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
# Up to 4.5 thinking takes a budget; later families decide by effort ("adaptive") and refuse or deprecate budgets.
_TAKES_BUDGET = re.compile(r"claude-(?:3|(?:opus|sonnet|haiku)-4(?:-[0-5])?(?:$|[-@]\d{8}|-latest|-v\d))")
# From 4.7 on temperature, top_p and top_k are refused at any value (and by every model under the API version 2026-10-21, which is why we ask with the older).
_TAKES_SAMPLING = re.compile(r"(?!claude-)|claude-(?:3|(?:opus|sonnet|haiku)-4(?:-[0-6])?(?:$|[-@]\d{8}|-latest|-v\d))")


def takes_budget(model: str) -> bool:
    """Return whether a model's thinking takes a budget of tokens."""
    return _TAKES_BUDGET.match(_plain(model)) is not None


def takes_sampling(model: str) -> bool:
    """Return whether a model takes temperature, top_p and top_k; one that is no Claude does."""
    return _TAKES_SAMPLING.match(_plain(model)) is not None


def _plain(model: str) -> str:
    """Return a model's own name, without what resellers and AWS put before it."""
    return model.rpartition("/")[2].rpartition("anthropic.")[2]
