"""A file of this host or of a mounted disk, one checkpoint a line: `file:///path/checkpoints.jsonl`."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from accounts.addresses import AddressRules
from accounts.anchors import Anchor
from accounts.egress import NotDelivered


def check(url: str) -> None:
    """Raise ValueError unless the URL is a plain absolute path."""
    parts = urlsplit(url)
    if parts.netloc or parts.query or parts.fragment or not parts.path.strip("/"):
        raise ValueError("must look like file:///path/to/checkpoints.jsonl")


def keep(url: str, name: str, line: str, rules: AddressRules) -> None:
    """Append the line in one write, so that lines of several processes never mix. Raises NotDelivered."""
    path = _path(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line.encode() + b"\n")
        finally:
            os.close(descriptor)
    except OSError as error:
        raise NotDelivered(f"{path} cannot be written: {error.strerror}.") from error


def lines(url: str) -> Iterator[str]:
    """Yield every line; nothing where there is no file yet."""
    path = _path(url)
    if path.exists():
        with path.open() as kept:
            yield from kept


def _path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


ANCHOR = Anchor(schemes=("file",), check=check, keep=keep, lines=lines)
