"""Headers Anthropic's SDKs look for in an answer, made of those every answer has. Knows nothing of what they are about."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

_KINDS = ("requests", "tokens")


def answer_lines(head: bytes, now_s: float) -> bytes:
    """Return the header lines of an answer (each ended by CRLF) with `request-id` and `anthropic-ratelimit-*`; `now_s` is Unix time."""
    told = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[:-1])
    if b"x-request-id" in told and b"request-id" not in told:
        head += b"request-id: %b\r\n" % told[b"x-request-id"]
    for kind in _KINDS:
        head += _limit(told, kind.encode(), now_s)
    return head


def _limit(told: Mapping[bytes, bytes], kind: bytes, now_s: float) -> bytes:
    limit, left, reset = (told.get(b"x-ratelimit-%b-%b" % (name, kind)) for name in (b"limit", b"remaining", b"reset"))
    name = b"anthropic-ratelimit-%b" % kind
    if limit is None or left is None or name + b"-limit" in told:
        return b""
    lines = b"%b-limit: %b\r\n%b-remaining: %b\r\n" % (name, limit, name, left)
    seconds = (reset or b"").removesuffix(b"s")
    if seconds.isdigit() and len(seconds) < 9:
        # this vendor tells the moment, not how long it takes
        at = datetime.fromtimestamp(now_s, UTC) + timedelta(seconds=int(seconds))
        lines += b"%b-reset: %b\r\n" % (name, at.strftime("%Y-%m-%dT%H:%M:%SZ").encode())
    return lines
