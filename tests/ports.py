"""Ports for programs that are told where to listen."""
import random
import socket


def free_port() -> int:
    """One that nobody uses, below those that the system gives to outgoing connections (Linux: from 32768 on): between the look and the
    program's start nobody is given it."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
