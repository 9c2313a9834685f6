"""Sealing of secrets at rest: AEAD under the key-encryption keyset, bound to the row that holds the secret. Knows no Django."""

from typing import Any


class SealBroken(ValueError):
    """The sealed bytes, the key or the row they are bound to do not fit together."""


def new_keyset() -> str:
    """Return a fresh AES-256-GCM keyset as cleartext JSON; whoever holds it opens every seal."""
    import tink  # slow import
    from tink import aead, secret_key_access

    aead.register()
    handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
    keyset: str = tink.json_proto_keyset_format.serialize(handle, secret_key_access.TOKEN)
    return keyset


class Sealer:
    """Seals and opens with one keyset: new seals use its primary key, old ones open with whichever key made them."""

    def __init__(self, keyset_json: str) -> None:
        """Load the keyset; raises SealBroken when it is not one."""
        import tink  # slow import
        from tink import aead, secret_key_access

        aead.register()
        try:
            handle = tink.json_proto_keyset_format.parse(keyset_json, secret_key_access.TOKEN)
            self._aead: Any = handle.primitive(aead.Aead)
        except tink.TinkError as error:
            raise SealBroken("SYMBIOSIS_KEK is not a usable tink AEAD keyset. Use the one this installation was set up with.") from error

    def __repr__(self) -> str:
        return "Sealer(…)"

    def seal(self, plaintext: bytes, bound_to: bytes) -> bytes:
        """Return the plaintext sealed so that it opens only together with `bound_to`."""
        sealed: bytes = self._aead.encrypt(plaintext, bound_to)
        return sealed

    def open(self, sealed: bytes, bound_to: bytes) -> bytes:
        """Return what was sealed; raises SealBroken for another keyset, another row or altered bytes."""
        import tink  # loaded by now

        try:
            plaintext: bytes = self._aead.decrypt(bytes(sealed), bound_to)
        except tink.TinkError as error:
            raise SealBroken(
                "A sealed credential does not open: wrong SYMBIOSIS_KEK, or the row was altered. Enter the credential again."
            ) from error
        return plaintext
