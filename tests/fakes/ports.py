"""Ports for the servers that tests start."""

import contextlib
import random
import socket

# Below the ports the kernel gives to outgoing connections (from 32768), so that a port stays free until its server takes it.
FIRST, LAST = 12_000, 32_000


def free_port() -> int:
    """Return a port nobody listens on."""
    while True:
        port = random.SystemRandom().randrange(FIRST, LAST, 2)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
