"""The key format: made, taken apart, refused when damaged."""

import hashlib
import hmac
import zlib

import pytest

from accounts import keys


def test_a_made_key_parses_into_its_parts() -> None:
    made = keys.make()
    assert keys.parse(made.text.encode()) == keys.Parsed("vk", made.public_id, made.secret.encode())
    assert (len(made.text), made.text[:7], keys.crc_ok(made.text.encode())) == (56, "sgw_vk_", True)


def test_check_is_the_base62_crc_of_all_before_it() -> None:
    text = keys.make("sa").text
    number = 0
    for letter in text[-6:]:
        number = number * 62 + keys.ALPHABET.index(letter)
    assert number == zlib.crc32(text[:-6].encode())


def test_every_single_damaged_character_is_refused() -> None:
    text = keys.make().text.encode()
    for place in range(len(text)):
        damaged = text[:place] + (b"x" if text[place : place + 1] != b"x" else b"y") + text[place + 1 :]
        with pytest.raises(keys.BadShape):
            keys.parse(damaged)


@pytest.mark.parametrize("text", [b"", b"sk-1234", b"sgw_vk_", b"\xff" * 56, b"sgw_vk_" + b"_" * 49])
def test_what_is_no_key_is_refused(text: bytes) -> None:
    with pytest.raises(keys.BadShape):
        keys.parse(text)


def test_unknown_kind_is_not_made() -> None:
    with pytest.raises(ValueError, match="Unknown kind"):
        keys.make("xx")


def test_digest_is_hmac_sha256_over_the_whole_text() -> None:
    assert keys.digest(b"sgw_vk_x", b"pepper") == hmac.new(b"pepper", b"sgw_vk_x", hashlib.sha256).digest()


def test_secret_stays_out_of_representations() -> None:
    made = keys.make()
    assert made.secret not in repr(made) + repr(keys.parse(made.text.encode()))
