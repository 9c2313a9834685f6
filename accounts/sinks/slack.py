"""Slack's incoming webhooks, and servers that speak like them (Mattermost, Rocket.Chat). The webhook's URL is the secret."""

import json
from collections.abc import Mapping

from accounts.egress import check_url, deliver
from accounts.sinks import Exits, Notice, Sink

MOST_CHARACTERS = 3_000  # https://docs.slack.dev/reference/block-kit/blocks/section-block


def escaped(text: str) -> str:
    """Return text in which nothing mentions, links or formats (https://docs.slack.dev/messaging/formatting-message-text)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def check(options: Mapping[str, str], secret: str, exits: Exits) -> None:
    """Raise NotAllowed unless the webhook's URL may be called."""
    if secret:
        check_url(secret, exits.rules)


def send(notice: Notice, options: Mapping[str, str], secret: str, exits: Exits) -> str:
    """Post the notice; the title stands in `text`, which notifications show. Raises NotAllowed or NotDelivered."""
    lines = [escaped(notice.text)[:MOST_CHARACTERS], *([notice.url] if notice.url else [])]
    body = {
        "text": escaped(notice.title),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": notice.title[:150]}},
            {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(lines), "verbatim": True}},
            {"type": "context", "elements": [{"type": "plain_text", "text": f"{notice.severity} · {notice.id}"}]},
        ],
    }
    return deliver(secret, json.dumps(body).encode(), {"content-type": "application/json"}, exits.rules)


SINK = Sink(slug="slack", title="Slack", options={}, asks_for="URL of the incoming webhook", check=check, send=send)
