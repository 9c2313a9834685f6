"""Where archived files lie: a directory or a bucket, named by one URL. Knows bytes and names, not usage records."""

from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from billing.archive.disk import Disk
from billing.archive.s3 import Bucket


class Store(Protocol):
    """Files by name; what `put` returned from is there after a power loss."""

    def put(self, name: str, path: Path) -> None:
        """Store a local file under a name, replacing what was there; raises OSError."""

    def open(self, name: str) -> BinaryIO:
        """Open a stored file for reading; raises OSError when it is not there."""


def open_store(url: str) -> Store:
    """Return the store that `file:///path` or `s3://bucket/prefix?endpoint=https://...&region=...` names; raises ValueError for anything else."""
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/") and not parts.query:
        return Disk(Path(unquote(parts.path)))
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.scheme == "s3" and parts.hostname and set(options) <= {"endpoint", "region"} and parts.username is None:
        return Bucket(parts.netloc, unquote(parts.path).strip("/"), options.get("endpoint") or None, options.get("region") or None)
    raise ValueError("must look like file:///path or s3://bucket/prefix?endpoint=https://host&region=name, without credentials")
