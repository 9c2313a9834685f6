"""Microsoft Teams by a workflow's webhook; apprise reads its URL and composes the card. The webhook's URL is the secret."""

import json
from collections.abc import Mapping
from typing import Any

from accounts.egress import NotDelivered, check_url, deliver
from accounts.sinks import Exits, Notice, Sink


def workflow(url: str) -> Any:
    """Return apprise's view of a workflow's webhook. Raises ValueError when the URL is none."""
    from apprise.plugins.workflows import NotifyWorkflows  # slow import

    kind: Any = NotifyWorkflows
    found = kind.parse_native_url(url)
    try:
        # without a template: apprise would fetch one from an address in the URL
        return kind(**{**found, "include_image": False, "template": None})
    except TypeError as error:
        raise ValueError("Enter the URL that the Teams workflow “When a Teams webhook request is received” shows.") from error


def check(options: Mapping[str, str], secret: str, exits: Exits) -> None:
    """Raise ValueError or NotAllowed unless the URL is a workflow's and may be called."""
    if secret:
        check_url(secret, exits.rules)
        workflow(secret)


def send(notice: Notice, options: Mapping[str, str], secret: str, exits: Exits) -> str:
    """Post the notice as a card. Raises NotAllowed or NotDelivered."""
    try:
        composer = workflow(secret)
    except ValueError as error:
        raise NotDelivered(str(error)) from error
    # A zero-width space: names must not become mentions.
    text = "\n\n".join([notice.text.replace("<", "<\u200b"), *([notice.url] if notice.url else []), f"{notice.severity} · {notice.id}"])
    card = composer.gen_payload(body=text, title=notice.title.replace("<", "<\u200b"))
    return deliver(secret, json.dumps(card).encode(), {"content-type": "application/json"}, exits.rules)


SINK = Sink(slug="teams", title="Microsoft Teams", options={}, asks_for="URL of the workflow's webhook", check=check, send=send)
