"""Texts that become vectors, in neutral form: used only when the caller's wire is not the upstream's."""

from gateway.terms.base import Frozen
from gateway.terms.conversation import Usage


class EmbedAsk(Frozen, frozen=True):
    """A request for the vectors of texts; `dropped` are the caller's fields that have no neutral form, `dimensions` is None where nothing was said."""

    texts: tuple[str, ...]
    dimensions: int | None = None
    dropped: tuple[str, ...] = ()


class Embedded(Frozen, frozen=True):
    """The vectors of texts, in the order of the texts; `problem` says why usage is None."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage | None
    problem: str = ""
