"""Multipart forms (RFC 7578): reads their text fields and swaps one, without touching any other byte. Knows nothing of what fields mean."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.terms import Body
from gateway.wire import WireError

MOST_FIELDS = 64
MOST_HEADER_BYTES = 8192
# no field of these endpoints is longer, and one that is not read could not be believed
MOST_TEXT_BYTES = 65_536


@dataclass
class _Part:
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    start: int = -1
    end: int = -1


class _Parts:
    """Notes where each part's headers and data stand in a body that is read a block at a time."""

    def __init__(self) -> None:
        self.found: list[_Part] = []
        self.is_ended = False
        self._name = self._value = self._block = b""
        self._base = 0

    def read(self, blocks: Iterable[bytes], boundary: bytes) -> None:
        """Read a whole body. Raises MultipartParseError, WireError."""
        names = ("on_part_begin", "on_header_field", "on_header_value", "on_header_end", "on_part_data", "on_end")
        parser = MultipartParser(boundary, {name: getattr(self, name) for name in names})  # type: ignore[arg-type]
        for block in blocks:
            self._block = block
            parser.write(block)
            self._base += len(block)

    def on_part_begin(self) -> None:
        self.found.append(_Part())
        if len(self.found) > MOST_FIELDS:
            raise WireError("invalid_request", f"the form has more than {MOST_FIELDS} fields")

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        if len(self._value) > MOST_HEADER_BYTES:
            raise WireError("invalid_request", "a header of the form is too long")

    def on_header_end(self) -> None:
        self.found[-1].headers.append((self._name.lower(), self._value))
        self._name = self._value = b""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self.found[-1]
        # what looked like a boundary at the end of the block before comes as the parser's own copy of it
        base = self._base if data is self._block else self._base - end
        part.start = base + start if part.start < 0 else part.start
        part.end = base + end

    def on_end(self) -> None:
        self.is_ended = True


def _parts(body: Body, content_type: bytes) -> dict[str, list[_Part]]:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary or len(boundary) > 70:
        raise WireError("invalid_request", "send the body as multipart/form-data with a boundary")
    seen = _Parts()
    try:
        seen.read((body,) if isinstance(body, bytes) else body.blocks(), boundary)
    except MultipartParseError as error:
        raise WireError("invalid_request", f"the form cannot be read: {error}") from None
    if not seen.is_ended:
        raise WireError("invalid_request", "the form ends before its last boundary")
    found: dict[str, list[_Part]] = {}
    for part in seen.found:
        disposition = dict(part.headers).get(b"content-disposition", b"")
        name = parse_options_header(disposition)[1].get(b"name", b"")
        found.setdefault(name.decode("utf-8", "replace"), []).append(part)
    return found


# what stands for a file: nothing that could be taken for a text
FILE = b""


def texts(body: Body, content_type: bytes) -> dict[str, str | bytes]:
    """Return the form's short text fields by name; a file is FILE. Raises WireError when the body is no such form, or a field stands twice.

    Which of two the vendor would take is not known, so neither may be believed.
    """
    read: dict[str, str | bytes] = {}
    for name, parts in _parts(body, content_type).items():
        first = parts[0]
        if len(parts) > 1 and not name.endswith("[]"):
            raise WireError("invalid_request", f"the field {name[:64]!r} stands twice", name[:64])
        disposition = dict(first.headers).get(b"content-disposition", b"")
        if b"filename" in parse_options_header(disposition)[1]:
            read[name] = FILE
        elif first.end - first.start > MOST_TEXT_BYTES:
            raise WireError("invalid_request", f"the field {name[:64]!r} is longer than {MOST_TEXT_BYTES} bytes", name[:64])
        else:
            read[name] = body[first.start : first.end].decode("utf-8", "replace") if first.start >= 0 else ""
    return read


def with_text(body: Body, content_type: bytes, name: str, text: str) -> Body:
    """Return a form that `texts` could read with one of its text fields replaced."""
    return with_content(body, content_type, name, text.encode())


def content(body: Body, content_type: bytes, name: str) -> bytes:
    """Return what a field of a form that `texts` could read holds, such as a file."""
    part = _parts(body, content_type)[name][0]
    return body[part.start : part.end] if part.start >= 0 else b""


def with_content(body: Body, content_type: bytes, name: str, data: bytes) -> Body:
    """Return a form that `texts` could read with what one of its fields holds, which must be something, replaced."""
    part = _parts(body, content_type)[name][0]
    return _swapped(body, part.start, part.end, data)


def _swapped(body: Body, start: int, end: int, data: bytes) -> Body:
    if not isinstance(body, bytes):
        return body.swapped(start, end, data)
    # a recording is copied once, not once more as a slice
    rest = memoryview(body)
    return b"".join((rest[:start], data, rest[end:]))


def with_field(body: Body, content_type: bytes, name: str, text: str) -> Body:
    """Return a form that `texts` could read with a text field set, at its beginning where it was missing. Raises WireError if that cannot be done."""
    if name in _parts(body, content_type):
        return with_text(body, content_type, name, text)
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if body[: 2 + len(boundary)] != b"--" + boundary:
        raise WireError("invalid_request", f"send {name} as the first field of the form", name)
    first = b'--%b\r\ncontent-disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (boundary, name.encode(), text.encode())
    return _swapped(body, 0, 0, first)
