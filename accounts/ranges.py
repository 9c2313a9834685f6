"""From where a key may call, and what it labels its calls with. Knows nothing about keys; no Django, no storage."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

MOST_RANGES, MOST_TAGS, MOST_TAG_CHARACTERS = 100, 20, 200
TAG_NAME, TAG_VALUE = re.compile(r"[A-Za-z0-9_.-]{1,40}"), re.compile(r"[^,=\x00-\x1f\x7f]{1,100}")


def read_ranges(texts: object) -> list[str]:
    """Return IP ranges in their shortest form, single addresses as ranges of one; raises ValueError saying which is none."""
    if not isinstance(texts, list) or len(texts) > MOST_RANGES:
        raise ValueError(f'Give a list of at most {MOST_RANGES} ranges, such as ["10.0.0.0/8", "2001:db8::/32"].')
    found: dict[str, None] = {}
    for text in texts:
        try:
            found[str(ip_network(text.strip(), strict=False))] = None
        except (ValueError, AttributeError):
            raise ValueError(f"{str(text)[:60]!r} is no IP range. Write it as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32.") from None
    return list(found)


@lru_cache(1024)
def _networks(ranges: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text) for text in ranges)


@lru_cache(4096)
def is_within(ip: str, ranges: tuple[str, ...]) -> bool:
    """Say whether an address lies in one of the ranges; an IPv4 address written as IPv6 counts as IPv4, no address lies nowhere."""
    try:
        address = ip_address(ip)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address.version == network.version and address in network for network in _networks(ranges))


def read_tags(tags: object) -> dict[str, str]:
    """Return tags in the order of their names; raises ValueError saying what is wrong."""
    if not isinstance(tags, dict) or len(tags) > MOST_TAGS:
        raise ValueError(f'Give at most {MOST_TAGS} tags as an object, such as {{"team": "checkout"}}.')
    for name, value in tags.items():
        if not TAG_NAME.fullmatch(name):
            raise ValueError(f"{name[:60]!r} is no name of a tag. Use up to 40 letters, digits, dots, dashes and underscores.")
        if not isinstance(value, str) or not TAG_VALUE.fullmatch(value) or not value.isprintable():
            raise ValueError(f"The tag {name} needs a text of 1 to 100 characters without commas and equals signs.")
    found = dict(sorted(tags.items()))
    if len(shown_tags(found)) > MOST_TAG_CHARACTERS:
        raise ValueError(f"All tags together may have {MOST_TAG_CHARACTERS} characters.")
    return found


def shown_tags(tags: Mapping[str, str]) -> str:
    """Return tags as calls carry them: team=checkout,env=prod."""
    return ",".join(f"{name}={value}" for name, value in tags.items())


@lru_cache(4096)
def joined_tags(own: str, given: str) -> str:
    """Return a key's tags followed by those of a call; a call cannot change what the key says."""
    names = {part.partition("=")[0] for part in own.split(",")}
    added = [part for part in (part.strip() for part in given.split(",")) if part and part.partition("=")[0].strip() not in names]
    return ",".join((own, *added))
