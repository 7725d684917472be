"""A port for whoever cannot be asked which one it was given."""

import random
import socket

_CHANCE = random.SystemRandom()  # the ordinary one is seeded alike in every process by the tests of properties
_BELOW_EPHEMERAL = range(12_000, 32_000)


def free_port(address: str = "127.0.0.1") -> int:
    """Nobody listens there, and the kernel gives it to nobody who asks it for any port, so that it stays free."""
    while True:
        port = _CHANCE.choice(_BELOW_EPHEMERAL)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port
