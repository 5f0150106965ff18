"""Connections of the web server without the server."""
import socket
from contextlib import contextmanager

from reading_ui.outgoing import Outgoing


@contextmanager
def tcp_pair():
    """A line of the server and its peer, who has hardly any room for what is sent to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(listener.getsockname())
        accepted, _ = listener.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with Outgoing(accepted) as line:
            yield line, peer
