"""Any HTTPS receiver that takes a checkpoint as JSON; the checkpoint carries its own signature. Plain http only where the address rules allow its host."""

from urllib.parse import urlsplit

from accounts.addresses import AddressRules
from accounts.anchors import Anchor
from accounts.egress import deliver


def check(url: str) -> None:
    """Raise ValueError unless the URL names a host and holds no user or fragment."""
    parts = urlsplit(url)
    if not parts.hostname or parts.username or parts.fragment:
        raise ValueError("must look like https://host/path")


def keep(url: str, name: str, line: str, rules: AddressRules) -> None:
    """Post the checkpoint, named so that a repeated post can be told. Raises NotAllowed or NotDelivered."""
    deliver(url, line.encode(), {"content-type": "application/json", "idempotency-key": name}, rules)


ANCHOR = Anchor(schemes=("https", "http"), check=check, keep=keep)
