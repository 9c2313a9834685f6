"""A vendor's absolute addresses, told to callers as the gateway's own: where results lie, where a file goes, what comes next. Knows no vendor's API."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from gateway.terms import Header, Headers

# fields that hold an address of the API itself; others, such as those of pictures, lie elsewhere or are names of things
FIELDS = frozenset({"results_url", "next", "next_url", "next_link", "nextLink", "next_page_url", "operation_location", "upload_url", "uploadUrl"})
ADDRESSES = frozenset({b"location", b"content-location", b"operation-location", b"azure-asyncoperation", b"x-goog-upload-url", b"x-goog-upload-control-url"})
# what else a caller needs to go on: how far an upload has come
PASSED = frozenset({b"x-goog-upload-status", b"x-goog-upload-size-received", b"x-goog-upload-chunk-granularity"})


class PublicUrls:
    """Tells the addresses of one provider account. `seal`, if given, completes the path and query of an address that is called without a key."""

    def __init__(self, public_url: str, slug: str, base_url: str, seal: Callable[[str], str] | None = None) -> None:
        parts = urlsplit(base_url)
        self._origin = (parts.scheme, parts.hostname, parts.port or _usual(parts.scheme))
        self._host = (parts.hostname or "").encode()
        self._base, self._own, self._seal = parts.path.rstrip("/"), f"{public_url.rstrip('/')}/v1/{slug}", seal

    def told(self, url: str) -> str:
        """Return the gateway's address for one of the account's API; any other stays as it is."""
        try:
            parts = urlsplit(url)
            origin = (parts.scheme, parts.hostname, parts.port or _usual(parts.scheme))
        except ValueError:
            return url
        if origin != self._origin or not parts.path.startswith(f"{self._base}/"):
            return url
        place = parts.path[len(self._base) :] + (f"?{parts.query}" if parts.query else "")
        return self._own + place

    def json(self, body: bytes) -> bytes:
        """Return a JSON answer with the addresses in it told; untouched where it holds none."""
        if self._host not in body:
            return body
        value = orjson.loads(body)
        return orjson.dumps(value) if self._tell(value) else body

    def _tell(self, value: Any) -> bool:
        """Change the addresses below a value in place; False where there were none."""
        changed = False
        for one in value if isinstance(value, list) else ():
            changed |= self._tell(one)
        for name, one in value.items() if isinstance(value, dict) else ():
            if name in FIELDS and isinstance(one, str):
                value[name] = self.told(one)
                changed |= value[name] != one
            else:
                changed |= self._tell(one)
        return changed

    def headers(self, given: list[Header]) -> Headers:
        """Return those of a vendor's headers that tell where to go on, as callers may see them."""
        told = [header for header in given if header[0] in PASSED]
        for name, value in given:
            if name in ADDRESSES:
                address = self.told(value.decode("latin-1"))
                if address.startswith(f"{self._own}/"):
                    told.append((name, (address if self._seal is None else self._seal(address)).encode("latin-1")))
        return tuple(told)


def _usual(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def public_url(settings_url: str, headers: Mapping[bytes, bytes]) -> str:
    """Return where callers reach this gateway: as the installation says, else as this caller did."""
    return settings_url or f"http://{headers.get(b'host', b'localhost').decode('latin-1')}"
