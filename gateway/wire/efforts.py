"""How hard a model shall think: the words of some vendors and the token budgets of others."""

BUDGET_TOKENS = {"none": 0, "minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 32768}
_UP_TO = ((0, "none"), (1024, "minimal"), (4096, "low"), (12288, "medium"), (24576, "high"))


def effort_of(budget_tokens: int) -> str:
    """Return the word for a budget of reasoning tokens; `effort_of(BUDGET_TOKENS[word])` is the word up to xhigh."""
    return next((word for most, word in _UP_TO if budget_tokens <= most), "xhigh")
