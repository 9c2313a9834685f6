"""The shelf of anchors, where signed checkpoints of the audit trail are kept outside the database: every module here exports ANCHOR.

An anchor knows its far side and nothing of rows. Which ones an installation uses is a list of URLs; a URL's scheme names the anchor.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from accounts.addresses import AddressRules


@dataclass(frozen=True)
class Anchor:
    """A kind of far side, by the schemes of its URLs.

    `check(url)` raises ValueError when a URL cannot work. `keep(url, name, line, rules)` keeps one checkpoint, a line of JSON, under a name that sorts
    by its number; raises NotAllowed or NotDelivered. `lines(url)` yields what was kept, None for a far side that is read elsewhere.
    """

    schemes: tuple[str, ...]
    check: Callable[[str], None]
    keep: Callable[[str, str, str, AddressRules], None]
    lines: Callable[[str], Iterator[str]] | None = None


@cache
def shelf() -> Mapping[str, Anchor]:
    """Return every anchor on the shelf by scheme, found by looking, not by a list."""
    found: dict[str, Anchor] = {}
    for module in pkgutil.iter_modules(__path__):
        anchor: Anchor = importlib.import_module(f"{__name__}.{module.name}").ANCHOR
        found |= dict.fromkeys(anchor.schemes, anchor)
    return found


def anchor_of(url: str) -> Anchor:
    """Return the anchor that a URL names, checked; raises ValueError in words."""
    anchor = shelf().get(urlsplit(url).scheme)
    if anchor is None:
        raise ValueError(f"must begin with one of {', '.join(f'{scheme}:' for scheme in sorted(shelf()))}")
    anchor.check(url)
    return anchor
