"""Seals open only with their keyset and their row."""

import pytest

from accounts.sealing import SealBroken, Sealer, new_keyset


def test_a_seal_opens_with_its_row_and_keyset_only() -> None:
    sealer = Sealer(new_keyset())
    sealed = sealer.seal(b"canary", b"row-1")
    assert (sealer.open(sealed, b"row-1"), b"canary" in sealed) == (b"canary", False)
    for opener, bytes_, row in (
        (sealer, sealed, b"row-2"),
        (Sealer(new_keyset()), sealed, b"row-1"),
        (sealer, sealed[:-1] + bytes([sealed[-1] ^ 1]), b"row-1"),
        (sealer, b"", b"row-1"),
    ):
        with pytest.raises(SealBroken):
            opener.open(bytes_, row)


def test_a_keyset_that_is_none_is_refused_without_showing_it() -> None:
    with pytest.raises(SealBroken) as refusal:
        Sealer('{"key": "canary"}')
    assert "canary" not in str(refusal.value)
