"""Any HTTP receiver, signed as https://www.standardwebhooks.com says: `webhook-id` is the same on every try."""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime

from standardwebhooks import Webhook

from accounts.egress import check_url, deliver
from accounts.sinks import Exits, Notice, Sink

SECRET_BYTES = (24, 64)  # what the specification allows


def check(options: Mapping[str, str], secret: str, exits: Exits) -> None:
    """Raise ValueError or NotAllowed unless the URL may be called and the secret, if given, is one."""
    check_url(options.get("url", ""), exits.rules)
    if secret:
        try:
            width = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
        except binascii.Error:
            width = 0
        least, most = SECRET_BYTES
        if not secret.startswith("whsec_") or not least <= width <= most:
            raise ValueError(f"Enter whsec_ and {least} to {most} random bytes in base64: `openssl rand -base64 32` makes them.")


def send(notice: Notice, options: Mapping[str, str], secret: str, exits: Exits) -> str:
    """Post the notice as signed JSON. Raises NotAllowed or NotDelivered."""
    body = json.dumps(
        {
            "type": notice.kind,
            "timestamp": notice.at,
            "data": {
                "id": notice.id,
                "severity": notice.severity,
                "title": notice.title,
                "text": notice.text,
                "url": notice.url,
                **notice.facts,
            },
        }
    )
    now = datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": notice.id,
        "webhook-timestamp": str(int(now.timestamp())),
        # one signature a secret: while a secret is being replaced, either will do
        "webhook-signature": " ".join(Webhook(one).sign(notice.id, now, body) for one in secret.split(" ")),
    }
    return deliver(options["url"], body.encode(), headers, exits.rules)


def host(options: Mapping[str, str]) -> str:
    """Return scheme and authority of the receiver."""
    return "/".join(options.get("url", "").split("/", 3)[:3]).lower()


SINK = Sink(
    slug="webhook",
    title="Webhook",
    options={"url": "where notices are posted"},
    asks_for="signing secret, which begins with whsec_",
    check=check,
    send=send,
    host=host,
)
