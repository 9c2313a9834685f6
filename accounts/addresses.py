"""Which network addresses an upstream may have. Knows nothing about names or sockets: a resolved address goes in, yes or no comes out."""

import ipaddress
from collections.abc import Iterator, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Clouds hand out instance credentials at these addresses; some of them sit inside private or even public ranges.
METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, GCP, OpenStack, DigitalOcean
        "169.254.170.2",  # AWS container credentials
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure wire server
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS over IPv6
        "fd00:ec2::23",  # AWS EKS pod identity
        "fd20:ce::254",  # GCP over IPv6
    )
)
LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
NAT64 = ipaddress.ip_network("64:ff9b::/96")


def visitor(peer: str, forwarded_for: str, proxies: Sequence[Network]) -> str:
    """Return the address a request comes from: the peer's own, or where trusted proxies pass on, the last hop in X-Forwarded-For that is none of them."""
    found = peer
    if not proxies or not peer:
        return peer
    for hop in (peer, *reversed(forwarded_for.split(","))):
        try:
            address = ipaddress.ip_address(hop.strip())
        except ValueError:
            break
        found = str(address)
        if not any(address in network for network in proxies):
            break
    return found


def network_of(text: str) -> str:
    """Return the network that one visitor can be expected to have all of: 256 addresses of IPv4, a /56 of IPv6; "" for what is no address."""
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 56), strict=False))


def forms(address: Address) -> Iterator[Address]:
    """Yield the address and every IPv4 address an IPv6 form of it would reach: mapped, compatible, 6to4, Teredo, NAT64."""
    yield address
    if isinstance(address, ipaddress.IPv4Address):
        return
    number = int(address)
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    elif 1 < number < 1 << 32 or address in NAT64:
        yield ipaddress.IPv4Address(number & 0xFFFFFFFF)
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo


class AddressRules:
    """The `private_upstreams` setting as a rule: public addresses always, private ones only as listed, metadata and link-local never."""

    __slots__ = ("_hosts", "_networks")

    def __init__(self, private_upstreams: str = "none") -> None:
        """Read a comma-separated list of `none`, `loopback`, addresses, CIDR ranges and host names; raises ValueError on anything else."""
        networks: list[Network] = []
        hosts: set[str] = set()
        for word in (part.strip().lower() for part in private_upstreams.split(",")):
            if word in ("", "none"):
                continue
            if word == "loopback":
                networks.extend(LOOPBACK)
                continue
            try:
                networks.append(ipaddress.ip_network(word.strip("[]"), strict=False))
            except ValueError:
                if not word.strip(".-_") or not all(
                    part.replace("-", "").replace("_", "").isalnum() for part in word.rstrip(".").split(".")
                ):
                    raise ValueError(
                        f"private_upstreams: {word!r} is neither none, loopback, an address, a CIDR range nor a host name"
                    ) from None
                hosts.add(word.rstrip("."))
        self._networks = tuple(networks)
        self._hosts = frozenset(hosts)

    def check(self, ip: str, host: str = "") -> bool:
        """Return whether a connection to `ip` is allowed; `host` is the name it was resolved from, which the setting may list."""
        try:
            address = ipaddress.ip_address(ip.partition("%")[0])
        except ValueError:
            return False
        found = tuple(forms(address))
        if any(_never(form) for form in found):
            return False
        if host and host.lower().rstrip(".") in self._hosts:
            return True
        # A wrapper form (::ffff:10.0.0.1) is judged by what it wraps, so that it is neither a way round nor refused for its own prefix.
        inner = found[-1]
        return inner.is_global or any(inner in network or address in network for network in self._networks)


def _never(address: Address) -> bool:
    """Return whether no setting can allow this address."""
    if address in METADATA or address.is_link_local or address.is_multicast or address.is_unspecified:
        return True
    return isinstance(address, ipaddress.IPv4Address) and (address.is_reserved or address in ipaddress.ip_network("0.0.0.0/8"))
