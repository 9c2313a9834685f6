"""Reads `[[sim: ...]]` out of a prompt or a model name. Knows the bounds of every directive and nothing of what it does."""

import re
from typing import NamedTuple

BLOCK = re.compile(r"\s*\[\[sim:(.*?)\]\]", re.DOTALL)
WORD = re.compile(r'([a-z0-9_]+)(?:=(?:"([^"]*)"|(\S+)))?')
MIB = 1024 * 1024

# name: (least, most, value when given without one)
NUMBERS: dict[str, tuple[int, int, int]] = {
    "status": (200, 599, 500),
    "retry_after": (0, 86_400, 1),
    "delay": (0, 600_000, 1_000),
    "pace": (0, 600_000, 20),
    "tokens": (0, 100_000, 100),
    "cached": (0, 10_000_000, 1_024),
    "cache_write": (0, 10_000_000, 1_024),
    "calls": (0, 64, 2),
    "dims": (1, 4_096, 64),
    "ping": (0, 1_000, 1),
    "looks": (0, 1_000_000, 1),
    "huge_line": (1, 256 * MIB, 2 * MIB),
    "huge_header": (1, 16 * MIB, 128 * 1024),
    "gzip_bomb": (1, 1_024 * MIB, 100 * MIB),
}
CHOICES: dict[str, tuple[str, ...]] = {
    "reset": ("mid", "before"),
    "stall": ("mid", "before"),
    "close": ("mid", "before"),
    "garbage": ("body", "http"),
    "echo": ("prompt", "body", "headers"),
    "finish": ("content_filter", "length", "refusal"),
}
FLAGS = frozenset(
    [
        "by_time",
        "no_usage",
        "usage_twice",
        "usage_negative",
        "usage_text",
        "split_utf8",
        "html",
        "endless",
        "in_stream_error",
        "cut",
        "crlf",
        "comments",
        "reasoning_content",
    ]
)
TEXTS: dict[str, str] = {"say": "", "call": "", "redirect": "http://169.254.169.254/latest/meta-data/"}


class BadDirective(Exception):
    """A directive that is unknown or out of bounds; the message names it and its bounds."""


class Directives(NamedTuple):
    """What was asked for, by name. Numbers are tokens, ms (`delay`, `pace`), seconds (`retry_after`) or bytes (`huge_*`, `gzip_bomb`)."""

    numbers: dict[str, int]
    words: dict[str, str]

    def number(self, name: str, otherwise: int = 0) -> int:
        """Return a number, or `otherwise` when it was not given."""
        return self.numbers.get(name, otherwise)

    def word(self, name: str) -> str:
        """Return a choice or text, "" when it was not given."""
        return self.words.get(name, "")

    def has(self, name: str) -> bool:
        """Say whether the directive was given at all."""
        return name in self.numbers or name in self.words


NONE = Directives({}, {})


def strip(text: str) -> str:
    """Return the text without its directives."""
    return BLOCK.sub("", text) if "[[sim:" in text else text


def parse(*texts: str) -> Directives:
    """Return the directives of all texts, later ones winning; raises BadDirective."""
    found = [block for text in texts if "[[sim:" in text for block in BLOCK.findall(text)]
    if not found:
        return NONE
    directives = Directives({}, {})
    for name, quoted, plain in (word for block in found for word in WORD.findall(block)):
        _take(directives, name, quoted or plain)
    return directives


def _take(into: Directives, name: str, value: str) -> None:
    if name in NUMBERS:
        into.numbers[name] = _bounded(name, value)
    elif name in CHOICES:
        if value and value not in CHOICES[name]:
            raise BadDirective(f"[[sim: {name}]] must be one of {', '.join(CHOICES[name])}")
        into.words[name] = value or CHOICES[name][0]
    elif name in FLAGS:
        into.words[name] = "yes"
    elif name in TEXTS:
        into.words[name] = value or TEXTS[name]
    else:
        raise BadDirective(f"[[sim: {name}]] is not a directive")


def _bounded(name: str, value: str) -> int:
    least, most, plain = NUMBERS[name]
    if not value:
        return plain
    if not (value.isascii() and value.isdigit() and len(value) <= 12 and least <= int(value) <= most):
        raise BadDirective(f"[[sim: {name}]] must be a whole number from {least} to {most}")
    return int(value)
