"""Finds a member in a JSON object that may have been cut off. Knows nothing about what members mean."""

import re

# Only strings and brackets matter; a string that never ends is one too, or every quote in it would be tried again.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\Z)|[{}\[\]]', re.DOTALL)
_OPENING = frozenset(b"{[")


def member(body: bytes, name: str) -> bytes:
    """Return the object or list that is the outer object's own member of this name, the first if several; b"" unless all of it is there."""
    wanted = b'"%s"' % name.encode()
    depth, named_at, start = 0, -1, -1
    for found in _TOKEN.finditer(body):
        token = found.group()
        if token == wanted and depth == 1 and start < 0:
            named_at = found.end()
            continue
        if token[0] in _OPENING:
            if named_at >= 0 and start < 0 and body[named_at : found.start()].strip() == b":":
                start = found.start()
            depth += 1
        elif token[0] != 34:
            depth -= 1
            if start >= 0 and depth == 1:
                return body[start : found.end()]
        named_at = -1
    return b""
