"""A syslog receiver, by RFC 5424 messages: `syslog://host:514` over UDP (RFC 5426), `syslog+tcp://host:601` with octet counting (RFC 6587)."""

import socket
from datetime import UTC, datetime
from urllib.parse import urlsplit

from accounts.addresses import AddressRules
from accounts.anchors import Anchor
from accounts.egress import NotDelivered, allowed_addresses

# facility 13, log audit; severity 5, notice
PRIORITY = 13 * 8 + 5
PORTS = {"syslog": 514, "syslog+tcp": 601}
TIMEOUT_S = 10.0


def check(url: str) -> None:
    """Raise ValueError unless the URL names a host and perhaps a port, nothing else."""
    parts = urlsplit(url)
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment or parts.username or (parts.port is not None and parts.port < 1):
        raise ValueError("must look like syslog://host:514 or syslog+tcp://host:601")


def keep(url: str, name: str, line: str, rules: AddressRules) -> None:
    """Send the checkpoint as one message. Raises NotAllowed or NotDelivered; over UDP nobody says whether it arrived."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    address = allowed_addresses(host, port, rules)[0]
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    message = f"<{PRIORITY}>1 {at} - symbiosis - audit-checkpoint - {line}".encode()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        if parts.scheme == "syslog":
            with socket.socket(family, socket.SOCK_DGRAM) as plain:
                plain.sendto(message, (address, port))
        else:
            with socket.create_connection((address, port), TIMEOUT_S) as stream:
                stream.sendall(b"%d %b" % (len(message), message))
    except OSError as error:
        raise NotDelivered(f"The syslog receiver {host}:{port} cannot be reached: {error.strerror or error}.") from error


ANCHOR = Anchor(schemes=tuple(PORTS), check=check, keep=keep)
