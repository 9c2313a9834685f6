"""Hostile JSON is refused before anything reads it; everything else keeps its bytes."""

import gzip
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import WireError
from gateway.wire.strict import check, check_large, fields, splice

HOSTILE = {
    "empty": b"",
    "null": b"null",
    "array": b"[1]",
    "string": b'"x"',
    "two documents": b'{"a":1}{"a":1}',
    "not closed": b'{"a":1',
    "trailing comma": b'{"a":1,}',
    "nan": b'{"a":NaN}',
    "infinity": b'{"a":-Infinity}',
    "too large a float": b'{"a":1e400}',
    "too large an integer": b'{"a":1' + b"0" * 400 + b"}",
    "duplicate": b'{"a":1,"a":2}',
    "duplicate within": b'{"x":[{"a":1,"b":{"c":1,"c":1}}]}',
    "duplicate by escape": b'{"model":1,"m\\u006fdel":2}',
    "duplicate hidden by escaped colons": b'{"a":1,"a":2,"b":"\\u003a\\u003A"}',
    "lone high surrogate": b'{"a":"\\ud800"}',
    "lone low surrogate": b'{"a":"\\udc00"}',
    "surrogate in a key": b'{"\\ud800":1}',
    "invalid utf-8": b'{"a":"\xff"}',
    "cut utf-8": b'{"a":"\xc3"}',
    "encoded surrogate": b'{"a":"\xed\xa0\x80"}',
    "byte order mark": b'\xef\xbb\xbf{"a":1}',
    "utf-16": '{"a":1}'.encode("utf-16"),
    "raw control character": b'{"a":"\x00"}',
    "depth 65": b'{"a":' * 65 + b"1" + b"}" * 65,
    "depth 100000": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "depth 100000 not closed": b'{"a":' * 100_000,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bodies_are_refused(body: bytes) -> None:
    with pytest.raises(WireError) as caught:
        check(body)
    assert caught.value.code == "invalid_request"


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b' {"a" : 1 } \n',
        b'{"a":"\\u0000"}',
        b'{"a":"\\ud83c\\udf0d"}',
        b'{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}',
        b'{"a":"::::","b\\u003ac":1,"url":"http://x:80"}',
        b'{"a":1' + b"0" * 300 + b"}",
        b'{"a":' * 64 + b"1" + b"}" * 64,
        b'{"a":[' + b",".join([b"[1]"] * 200) + b"]}",
        b'{"a":"' + b"[{" * 100_000 + b'"}',
    ],
)
def test_sane_bodies_pass(body: bytes) -> None:
    check(body)


_LETTERS = st.characters(exclude_categories=["Cs"])
_KEYS = st.text(_LETTERS, max_size=4)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(_LETTERS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_KEYS, _VALUES, max_size=5), st.booleans())
def test_every_object_python_writes_passes_and_survives_a_splice(value: dict[str, object], is_ascii: bool) -> None:
    body = json.dumps(value, ensure_ascii=is_ascii).encode()
    check(body)
    assert json.loads(splice(fields(body), {})) == value


def test_splice_leaves_the_other_values_byte_identical() -> None:
    given = fields(b'{ "model" : "a", "n": 1.50e0 , "x":{"b" :  2,"a":1},"gone":[ ] }')
    assert splice(given, {"model": b'"b"', "gone": None, "new": b"true"}) == b'{"n":1.50e0,"x":{"b" :  2,"a":1},"model":"b","new":true}'
    assert given["x"] == msgspec.Raw(b'{"b" :  2,"a":1}')


def test_a_compressed_body_says_what_to_do() -> None:
    with pytest.raises(WireError, match="send it as it is, without content-encoding"):
        check(gzip.compress(b"{}"))


@pytest.mark.parametrize("body", [b"[]", b"", b"{", b"[" * 100_000])
def test_fields_of_no_object_are_refused(body: bytes) -> None:
    with pytest.raises(WireError) as caught:
        fields(body)
    assert caught.value.code == "invalid_request"


def test_pictures_of_a_large_body_are_cut_short_and_nothing_else() -> None:
    base64, words = "A" * 70_000, "a b " * 20_000
    parts = [f"data:image/png;base64,{base64}", base64, words, "=" * 65_535, [1] * 70_000, f'\\"{base64}']
    body = json.dumps({"model": "m", "parts": parts, "stream": True}).encode()
    read = check_large(body)
    assert [*read] == ["model", "parts", "stream"]
    assert [len(part) for part in read["parts"]] == [255, 255, 80_000, 65_535, 70_000, 255 + 2]
    assert (read["model"], read["stream"], read["parts"][2], read["parts"][4]) == ("m", True, words, [1] * 70_000)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_large_json_is_refused_alike(name: str) -> None:
    with pytest.raises(WireError) as caught:
        check_large(HOSTILE[name])
    assert caught.value.code == "invalid_request"


def test_a_key_that_stands_twice_around_a_picture_is_refused() -> None:
    with pytest.raises(WireError, match="appears twice"):
        check_large(b'{"model":"a","image":"' + b"A" * 70_000 + b'","model":"b"}')
