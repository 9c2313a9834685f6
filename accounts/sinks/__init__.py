"""The shelf of sinks, where notices go: every module here exports SINK. A sink knows its far side and nothing of rows or rules."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from accounts.addresses import AddressRules


@dataclass(frozen=True)
class Notice:
    """One message to people or machines. `id` is the same on every try; `url` leads to what it is about, if anything; `at` is ISO 8601 in UTC."""

    id: str
    kind: str
    severity: str
    title: str
    text: str
    html: str
    at: str
    url: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Exits:
    """The ways out of this installation: which addresses may be called, and the mail server of its operator (`smtp://…`, empty for none)."""

    rules: AddressRules
    mail_url: str = ""
    mail_from: str = ""


@dataclass(frozen=True)
class Sink:
    """A kind of far side.

    `options` are the settings a channel of this kind needs, with a hint; `asks_for` says what its sealed secret is, empty when it has none.
    `check(options, secret, exits)` raises ValueError or NotAllowed in words when a channel cannot work; `secret` is empty where it stays as it is.
    `send(notice, options, secret, exits)` returns a line about the delivery; raises NotAllowed or NotDelivered.
    `host(options)` is where the secret goes: when it changes, the secret is asked for again.
    """

    slug: str
    title: str
    options: Mapping[str, str]
    asks_for: str
    check: Callable[[Mapping[str, str], str, Exits], None]
    send: Callable[[Notice, Mapping[str, str], str, Exits], str]
    host: Callable[[Mapping[str, str]], str] = lambda options: ""


@cache
def shelf() -> Mapping[str, Sink]:
    """Return every sink on the shelf by slug, found by looking, not by a list."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        sink: Sink = importlib.import_module(f"{__name__}.{module.name}").SINK
        found[sink.slug] = sink
    return found
