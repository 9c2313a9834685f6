"""One decision for all the forms a credential can take."""

import pytest

from gateway.wire import WireError
from gateway.wire.auth import credential

Headers = list[tuple[bytes, bytes]]


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([(b"authorization", b"Bearer k1")], b""),
        ([(b"authorization", b"bearer   k1 ")], b""),
        ([(b"host", b"x"), (b"x-api-key", b"k1")], b""),
        ([(b"api-key", b" k1")], b""),
        ([(b"x-goog-api-key", b"k1")], b""),
        ([], b"alt=sse&key=k1"),
        ([], b"key=%6b1&key=k1"),
        ([(b"x-api-key", b"k1"), (b"authorization", b"Bearer k1")], b"key=k1"),
        ([(b"authorization", b"Bearer "), (b"x-api-key", b"k1")], b"key="),
    ],
)
def test_the_one_credential_is_found(headers: Headers, query: bytes) -> None:
    assert credential(headers, query, True) == b"k1"


@pytest.mark.parametrize(
    ("headers", "query", "allow_query", "code"),
    [
        ([], b"", True, "missing"),
        ([], b"key=k1", False, "missing"),
        ([], b"monkey=k1", True, "missing"),
        ([(b"authorization", b"")], b"", True, "missing"),
        ([(b"authorization", b"Bearer")], b"", True, "missing"),
        ([(b"authorization", b"Bearer   ")], b"", True, "missing"),
        ([(b"authorization", b"Basic azE=")], b"", True, "missing"),
        ([(b"authorization", b"Basic azE="), (b"x-api-key", b"k1")], b"", True, "missing"),
        ([(b"cookie", b"sessionid=k1")], b"", True, "missing"),
        ([(b"x-api-key", b"")], b"", True, "missing"),
        ([(b"x-api-key", b"k1"), (b"authorization", b"Bearer k2")], b"", True, "conflict"),
        ([(b"authorization", b"Bearer k1"), (b"authorization", b"Bearer k2")], b"", True, "conflict"),
        ([(b"api-key", b"k1")], b"key=k2", True, "conflict"),
        ([], b"key=k1&key=k2", True, "conflict"),
    ],
)
def test_none_and_two_are_refused_without_being_repeated(headers: Headers, query: bytes, allow_query: bool, code: str) -> None:
    with pytest.raises(WireError) as caught:
        credential(headers, query, allow_query)
    assert caught.value.code == code
    assert "k1" not in caught.value.message
    assert "azE=" not in caught.value.message


def test_a_query_that_does_not_count_does_not_conflict() -> None:
    assert credential([(b"x-api-key", b"k1")], b"key=k2", False) == b"k1"
