"""Long bodies on their way in: how many, how much, how slow, and what becomes of those that find no room."""
import errno
import os
import socket
from contextlib import ExitStack

import pytest

from reading_ui import incoming, spool
from reading_ui.incoming import Ending, Patient
from reading_ui.spool import Spool
from tests.hub.processes.web import until


def _arriving(lines: ExitStack, spooled: Spool, address: str, told: list):
    ours, theirs = socket.socketpair()
    lines.enter_context(ours)
    lines.enter_context(theirs)
    spooled.enter(ours, address, Ending(b"POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n"), told.append)
    return theirs


def test_of_too_many_bodies_the_slowest_makes_room(monkeypatch, tmp_path):
    monkeypatch.setattr(spool, "MOST_BODIES", 3)
    monkeypatch.setattr(spool, "MOST_OF_ADDRESS", 2)
    told, spooled = [], Spool(tmp_path)
    with ExitStack() as lines:
        quick, slow, other = (_arriving(lines, spooled, address, told) for address in ("a", "a", "b"))
        quick.sendall(bytes(50_000))
        slow.sendall(bytes(40_000))
        other.sendall(bytes(35_000))
        until(lambda: sorted(one.count for one in spooled._arriving) == [35_000, 40_000, 50_000])
        for one in spooled._arriving:
            one.since -= 20
        _arriving(lines, spooled, "a", told)
        until(lambda: told)
        assert told[0].is_crowded_out and told[0].count == 40_000, "of its own address"
        _arriving(lines, spooled, "c", told)
        until(lambda: len(told) == 2)
        assert told[1].is_crowded_out and told[1].count == 35_000, "of all"
        quick.sendall(bytes(50_000))
        until(lambda: len(told) == 3)
        assert told[2].ending.is_there and told[2].read() == bytes(100_000)
        for one in told:
            spooled.close(one)
        assert spooled._total == 0


def test_of_bodies_that_have_only_begun_the_one_that_stalls_for_the_longest_makes_room(monkeypatch, tmp_path):
    monkeypatch.setattr(spool, "MOST_BODIES", 3)
    told, spooled = [], Spool(tmp_path)
    with ExitStack() as lines:
        for number in range(5):
            _arriving(lines, spooled, str(number), told)
        until(lambda: len(told) == 2)
        assert [one.address for one in told] == ["0", "1"] and all(one.is_crowded_out for one in told)


@pytest.mark.parametrize("ending", ["it stops", "it dribbles", "it goes"])
def test_a_body_that_ends_too_soon_ends_for_its_thread_too(monkeypatch, tmp_path, ending):
    told, spooled = [], Spool(tmp_path)
    with ExitStack() as lines:
        theirs = _arriving(lines, spooled, "a", told)
        theirs.sendall(bytes(20_000))
        until(lambda: sum(one.count for one in spooled._arriving) == 20_000)
        [one] = spooled._arriving
        if ending == "it stops":
            one.heard_at -= incoming.PATIENCE_S + 1
        elif ending == "it dribbles":
            one.since -= incoming.PATIENCE_S + 21
        else:
            theirs.close()
        until(lambda: told)
        assert told == [one] and one.is_late == (ending != "it goes")
        reader = Patient(one.line, one)
        reader.gave_up = one.is_late
        assert b"".join(iter(reader.chunk, b"")) == bytes(20_000)


class Full:
    """A file on a disk that takes no more than so many bytes."""

    def __init__(self, folder, room: int):
        self.file, self.room = open(folder / "file", "w+b", buffering=0), room
        self.read, self.seek, self.close = self.file.read, self.file.seek, self.file.close

    def write(self, data) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self.file.write(data[:self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("name, value", [("MOST_OF_ONE", 30_000), ("MOST_IN_ALL", 30_000), ("TemporaryFile", None)], ids=["of one", "in all", "on the disk"])
def test_a_body_that_finds_no_more_room_is_read_from_its_line_and_no_byte_is_lost(monkeypatch, tmp_path, name, value):
    monkeypatch.setattr(spool, name, value or (lambda **named: Full(tmp_path, 30_000)))
    told, spooled, body = [], Spool(tmp_path), os.urandom(100_000)
    with ExitStack() as lines:
        theirs = _arriving(lines, spooled, "a", told)
        theirs.sendall(body)
        theirs.close()
        until(lambda: told)
        [one] = told
        assert one.is_cut and one.count == 30_000
        one.line.setblocking(True)
        assert b"".join(iter(Patient(one.line, one).chunk, b"")) == body
        spooled.close(one)
        assert spooled._total == 0


def test_a_fault_over_one_body_ends_that_body_alone(monkeypatch, tmp_path, caplog):
    told, spooled = [], Spool(tmp_path)
    with ExitStack() as lines:
        monkeypatch.setattr(spool, "TemporaryFile", lambda **named: 1 / 0)
        _arriving(lines, spooled, "a", told).sendall(b"a")
        until(lambda: told)
        assert told[0].is_late and "ZeroDivisionError" in caplog.text
        monkeypatch.undo()
        _arriving(lines, spooled, "a", told).sendall(bytes(100_000))
        until(lambda: len(told) == 2)
        assert told[1].ending.is_there
