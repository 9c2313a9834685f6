"""Members of JSON objects that were cut off."""

import pytest

from gateway.wire.cut import member


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"usage":{"a":1}}', b'{"a":1}'),
        (b'{"b":[{"usage":{"a":1}}],"usage" : \n {"a":{"c":[2]}},"d":"', b'{"a":{"c":[2]}}'),
        (b'{"content":"say \\"usage\\":{\\"a\\":9}","usage":{"a":1}', b'{"a":1}'),
        (b'{"usage":{"a":1},"usage":{"a":2}}', b'{"a":1}'),
        (b'{"a":"usage","b":{"c":1}}', b""),
        (b'{"usage":"text","b":{"c":1}}', b""),
        (b'{"input":{"usage":{"a":9}}', b""),
        (b'{"usage":{"a":1', b""),
        (b'{"text":"{\\"usage\\":{', b""),
        (b'"usage":{"a":1}', b""),
        (b"", b""),
        (b"}}]]", b""),
    ],
)
def test_only_a_whole_member_of_the_object_itself_is_found(body: bytes, found: bytes) -> None:
    assert member(body, "usage") == found


def test_a_string_that_never_ends_is_read_once() -> None:
    assert member(b'{"text":"' + b'\\"usage\\":' * 200_000, "usage") == b""
