"""Answers whose reader is slow: nobody waits for it, and little is held for it."""
import socket
from types import SimpleNamespace

import pytest

from reading_ui import outgoing
from reading_ui.outgoing import Answer
from tests.reading_ui.lines import tcp_pair


def test_what_a_reader_does_not_take_is_kept_and_leaves_in_order():
    answer = bytes(range(256)) * 8000
    with tcp_pair() as (line, peer):
        for start in range(0, len(answer), 100_000):
            line.sendall(answer[start:start + 100_000])               # returns though nobody reads
        assert 0 < line.owes <= len(answer)
        got = b""
        while len(got) < len(answer):
            line.drain()
            got += peer.recv(65536)
        assert got == answer and line.owes == 0


class Pieces:
    """What an application hands over to be sent, and how much of it was asked for."""

    def __init__(self, *pieces):
        self.left, self.asked, self.closed = list(pieces), 0, False

    def __iter__(self):
        while self.left:
            self.asked += len(self.left[0])
            yield self.left.pop(0)

    def close(self):
        self.closed = True


@pytest.mark.parametrize("sizes", [[20_000_000], [1 << 20] * 20, [8192] * 2500, [100, 3_000_000, 0, 3_000_000, 100]], ids=["one piece", "of a file", "of a page", "both"])
def test_of_an_answer_of_any_size_little_is_held_while_nobody_reads(tmp_path, sizes):
    pieces = [bytes([65 + place % 26]) * size for place, size in enumerate(sizes)]
    whole, handed, got = b"".join(pieces), Pieces(*pieces), bytearray()
    del pieces
    with tcp_pair() as (line, peer):
        answer = Answer(SimpleNamespace(write=line.sendall, close=lambda: None), handed, line, tmp_path)
        while not answer.is_given:
            answer.give()                                           # returns though nobody reads
            assert line.owes <= outgoing.ENOUGH + outgoing.SLICE
            assert handed.asked <= len(got) + 2 * max(sizes) + (8 << 20), "no more was made than the reader is near to"
            if len(sizes) == 1:
                assert handed.closed and not handed.left, "a file has the rest, and the application none of it"
            while line.owes:
                got += peer.recv(1 << 20)
                line.drain()
        answer.close()
        assert handed.closed and not list(tmp_path.iterdir())
        line.shutdown(socket.SHUT_WR)
        while more := peer.recv(1 << 20):
            got += more
        assert got == whole
