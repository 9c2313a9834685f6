"""What all terms are made of."""

import msgspec


class Frozen(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Base of all terms: immutable and cheap to create."""
