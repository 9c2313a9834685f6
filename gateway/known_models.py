"""What is known of vendors' models without asking anybody: a file of facts and the installed release of genai-prices.

The facts are the vendors' published figures of the day this file was written. They only fill in new entries of the catalogue; what people enter there holds.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from billing.prices.vendors import published
from gateway.models import Model

FACTS = Path(__file__).with_suffix(".json")
# How vendors name what is not a chat model; the first that is found in the name says the kind.
KINDS = (
    ("embed", Model.Kind.EMBEDDINGS),
    ("rerank", Model.Kind.RERANK),
    ("moderation", Model.Kind.MODERATION),
    ("transcribe", Model.Kind.TRANSCRIPTION),
    ("whisper", Model.Kind.TRANSCRIPTION),
    ("tts", Model.Kind.SPEECH),
    ("dall-e", Model.Kind.IMAGE),
    ("gpt-image", Model.Kind.IMAGE),
    ("imagen", Model.Kind.IMAGE),
)
# A dated or numbered version has the facts of the name it is a version of; any other longer name is another model.
VERSION = re.compile(r"(-(\d{4}-?\d{2}-?\d{2}|\d{3,4}|latest|preview|exp|\d{2}-\d{2}|\d{2}-\d{4}))*")
SIBLINGS = re.compile(r"(-(mini|nano|pro|flash|lite|codex|plus|small|large|\d(?!\d)))*")


class Facts(NamedTuple):
    """What a model takes, gives and can do; None and nothing where it is not known."""

    context_tokens: int | None = None
    max_output_tokens: int | None = None
    capabilities: tuple[str, ...] = ()


def kind_of(name: str) -> str:
    """Return the kind of model a vendor's name stands for: chat unless the name says otherwise."""
    lowered = name.lower()
    return next((kind for word, kind in KINDS if word in lowered), Model.Kind.CHAT)


def facts_of(price_provider: str, name: str) -> Facts:
    """Return what is known of a vendor's model, by the longest name that it is a version or a sibling of."""
    vendor, known = published(price_provider, name) or (price_provider, name)
    rows = _facts().get(vendor, {})
    for stem in sorted(rows, key=len, reverse=True):
        for candidate in (name, known):
            if candidate.startswith(stem) and _is_kin(candidate.removeprefix(stem)):
                return rows[stem]
    return Facts(context_tokens=_context_window(vendor, known))


def names_of(price_provider: str) -> list[str]:
    """Return the names of the models the price book's release knows of a vendor and that are not withdrawn, for accounts that list none."""
    vendor = _vendors().get(price_provider)
    return sorted(str(model.id) for model in vendor.models if not model.deprecated) if vendor else []


def _is_kin(rest: str) -> bool:
    sibling = SIBLINGS.match(rest)
    return VERSION.fullmatch(rest, sibling.end() if sibling else 0) is not None


@cache
def _facts() -> dict[str, dict[str, Facts]]:
    read: dict[str, list[tuple[str, int | None, int | None, str]]] = json.loads(FACTS.read_text())
    return {vendor: {row[0]: Facts(row[1], row[2], tuple(row[3].split())) for row in rows} for vendor, rows in read.items()}


@cache
def _vendors() -> dict[str, Any]:
    from genai_prices.data import providers  # slow import: 2000 models are built

    return {str(provider.id): provider for provider in providers}


def _context_window(vendor: str, name: str) -> int | None:
    found = _vendors().get(vendor)
    model = found.find_model(name) if found else None
    return model.context_window if model else None
