"""The bytes of small blobs once more, one behind the other: one synchronisation for all who wait (a redo log).

To bring a small blob to disk costs a commit of the file system's journal, whatever its size. Here its bytes are also written
to a file whose room has been made before, so that one ``fdatasync`` makes those of everybody last. The blob itself
lies under its name at once, like any other; a thread synchronises what lies there later, many files together, and then the log
begins anew. After a power cut ``recover`` puts under its name again what the disk has not kept (docs/decisions/0016).

A segment is a page with MAGIC and its generation, then records: a head of RECORD and the bytes of the blob, each at the start of a page,
so that no page is written a second time within a generation. A record counts where it has the segment's generation and
its bytes have the hash that it names.
"""
from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Lock, Thread
from time import time

from hub.errors import HubError
from hub.storage import packing
from hub.storage.disk import begin_to_write, sync_folder

log = logging.getLogger("hub.storage")

SMALL_BYTES = 64 * 1024              # of a blob that is worth to be written twice
SEGMENT_BYTES = 32 << 20
STEP_BYTES = 1 << 20                 # by which a segment is made longer, once
SEGMENTS = ("0", "1")
EVERY_S = 15.0                       # after which a quiet segment is settled, too
OVERDUE_S = 120.0                    # after which something is wrong with the disk, or with who should settle
TOGETHER = 64                        # files that are synchronised with one commit
PAGE = 4096
MAGIC = b"HUBREDO1"
START, RECORD = struct.Struct("<8sQ"), struct.Struct("<8sQI32s")
_ROOM = bytes(STEP_BYTES)


class Segment:
    """One file of the log. ``names``: the hashes of this generation's records, in their order; ``damaged``: of those whose own file could
    not be synchronised; ``end``: where the next record begins."""

    def __init__(self, path: Path):
        self.path, self.names, self.damaged = path, [], set()
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._size, self._syncing, self._failed = max(os.fstat(self._handle).st_size, PAGE), Lock(), None
        self.generation, self.end, self._safe = self._generation(), PAGE, PAGE
        if not self.generation:
            self.clear()

    def _generation(self) -> int:
        """What the first page says; if that is damaged, what the first record says; 0 of a new file."""
        for form, place in ((START, 0), (RECORD, PAGE)):
            magic, generation, *_ = form.unpack(os.pread(self._handle, form.size, place).ljust(form.size, b"\0"))
            if magic == MAGIC:
                return generation
        return 0

    def has_room(self, size: int) -> bool:
        return self.end + _pages(RECORD.size + size) <= SEGMENT_BYTES

    def write(self, sha256: str, content: bytes) -> int:
        """Writes a record, not to disk yet; returns where it ends."""
        start, end = self.end, self.end + _pages(RECORD.size + len(content))
        if end > self._size:
            self._size += os.pwrite(self._handle, _ROOM, self._size)
        head = RECORD.pack(MAGIC, self.generation, len(content), bytes.fromhex(sha256))
        if os.pwritev(self._handle, (head, content), start) != len(head) + len(content):
            raise OSError("the log could not be written")
        self.names.append(sha256)
        self.end = end
        return end

    def sync(self, end: int) -> None:
        """Returns when all before ``end`` is on disk; whoever waits for the same is served by one call."""
        with self._syncing:
            if self._failed:
                raise self._failed                   # a later call would report success, and bring nothing
            if self._safe < end:
                upto = self.end
                try:
                    os.fdatasync(self._handle)
                except OSError as error:
                    self._failed = error
                    raise
                self._safe = upto

    def records(self) -> Iterator[tuple[str, bytes]]:
        """Hash and bytes of every record of this generation that is whole."""
        place = PAGE
        while len(head := os.pread(self._handle, RECORD.size, place)) == RECORD.size:
            magic, generation, size, digest = RECORD.unpack(head)
            if (magic, generation) != (MAGIC, self.generation) or size > SMALL_BYTES:
                return
            content = os.pread(self._handle, size, place + RECORD.size)
            if hashlib.sha256(content).digest() == digest:
                yield digest.hex(), content
            place += _pages(RECORD.size + size)

    def clear(self) -> None:
        """A new generation: no record counts any more."""
        self.generation += 1
        os.pwrite(self._handle, START.pack(MAGIC, self.generation), 0)
        os.fdatasync(self._handle)
        self.names, self.damaged, self.end, self._safe = [], set(), PAGE, PAGE

    def is_own(self) -> bool:
        """Whether no other process works with it; from here on none does until this one closes it."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False

    def close(self) -> None:
        handle, self._handle = self._handle, -1
        os.close(handle)


class RedoLog:
    """The log of one store for the process that writes most of it; another process on the same store does without until this one
    has ended. ``blobs``: hub.storage.blobs.Blobs. To be closed after the last ``add``."""

    def __init__(self, blobs):
        self._blobs = blobs
        self._lock, self._due, self._is_over, self._is_broken = Lock(), Event(), False, False
        self._segments: list[Segment] = []           # the one that is filled, and the other
        self._is_free = True                         # the other has no record
        self._tidy()
        self._thread = Thread(target=self._work, name="redo-log", daemon=True)
        self._thread.start()

    def add(self, sha256: str, content: bytes) -> tuple[Segment, int] | None:
        """Writes down the bytes of a blob whose file is whole under its name. What is returned is for ``sync``; None where the log cannot
        take it now."""
        with self._lock:
            if self._is_broken or not self._segments or not (self._segments[0].has_room(len(content)) or self._turn_over()):
                return None
            try:
                return self._segments[0], self._segments[0].write(sha256, content)
            except OSError:
                self._give_up()
                return None

    def sync(self, added: tuple[Segment, int]) -> bool:
        """Whether the bytes would survive a power cut now; where not, the blob's own file has to be synchronised."""
        segment, end = added
        try:
            segment.sync(end)
        except OSError:
            self._give_up()
        return not self._is_broken

    def close(self) -> None:
        """Ends when everything is synchronised under its own name."""
        self._is_over = True
        self._due.set()
        self._thread.join()
        self._tidy()
        self._tidy()                                 # the first may only have settled what was full already
        with self._lock:
            closing, self._segments = self._segments, []
        for one in closing:
            one.close()

    def _turn_over(self) -> bool:
        """Fills the other segment from here on, if it is free."""
        if not self._is_free:
            return False
        self._segments.reverse()
        self._is_free = False
        self._due.set()
        return True

    def _give_up(self) -> None:
        """A log that failed once takes nothing any more in this process; what it holds is settled all the same."""
        log.exception("the redo log failed: small files are synchronised one by one from here on")
        self._is_broken = True

    def _work(self) -> None:
        while not self._is_over:
            self._due.wait(EVERY_S)
            self._due.clear()
            self._tidy()

    def _tidy(self) -> None:
        """Begins where nobody else has the log; settles what waits. What fails is tried again."""
        try:
            if not self._segments:
                self._segments = _taken_over(self._blobs)
                return
            with self._lock:
                if self._is_free and self._segments[0].names:
                    self._turn_over()
            if not self._is_free:
                _settle(self._blobs, self._segments[1])
                self._is_free = True
        except (OSError, HubError):
            log.exception("small files could not be synchronised; tried again in %s s", EVERY_S)


def recover(blobs) -> None:
    """Puts under its name what the log of a process that has ended holds and the disk has lost; nothing while its owner is at work. Whoever
    begins at the same moment waits until it is done."""
    try:
        if _folder(blobs).is_dir():
            for one in _taken_over(blobs):
                one.close()
    except (OSError, HubError):
        log.exception("the redo log in %s could not be read through; the gateway tries again", _folder(blobs))


def is_overdue(blobs) -> bool:
    """Whether files wait to be synchronised under their own names for much longer than they should; their bytes are safe in the log."""
    for name in SEGMENTS:
        try:
            if time() - os.stat(path := _folder(blobs) / name).st_mtime > OVERDUE_S and next(_read(path), None) is not None:
                return True
        except OSError:
            continue
    return False


def _read(path: Path) -> Iterator[tuple[str, bytes]]:
    segment = Segment(path)
    try:
        yield from segment.records()
    finally:
        segment.close()


def _folder(blobs) -> Path:
    return blobs.folder / "redo"


def _taken_over(blobs) -> list[Segment]:
    """Both segments, empty and this process's own; none while another process works with them."""
    _folder(blobs).mkdir(exist_ok=True)
    with ExitStack() as closing:
        here = os.open(_folder(blobs), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        closing.callback(os.close, here)
        fcntl.flock(here, fcntl.LOCK_EX)             # one after the other
        segments = []
        with ExitStack() as unwinding:
            for name in SEGMENTS:
                segments.append(Segment(_folder(blobs) / name))
                unwinding.callback(segments[-1].close)
            if not segments[0].is_own():
                return []
            sync_folder(_folder(blobs))
            sync_folder(blobs.folder)
            for one in segments:
                _redo(blobs, one)
            unwinding.pop_all()
        return segments


def _redo(blobs, segment: Segment) -> None:
    """Everything that the segment holds is put to disk under its name; then it is empty."""
    lost: list[bytes] = []
    again = 0
    for sha256, content in segment.records():
        segment.names.append(sha256)
        if not _is_there(blobs, sha256, content):
            lost.append(content)
        if len(lost) == TOGETHER:
            again += len(blobs.keep_all(lost))
            lost = []
    again += len(blobs.keep_all(lost))
    if again:
        log.warning("%s files that the disk had not kept were taken from the redo log", again)
    _settle(blobs, segment)


def _is_there(blobs, sha256: str, content: bytes) -> bool:
    """Whether a reader would be given the ``content``, from the original or from its packed form, which is on disk and proved."""
    original = blobs.original(sha256)
    if original is None:
        return packing.packed_place(blobs.folder, sha256).exists()
    try:
        return original.read_bytes() == content
    except OSError:
        return False


def _settle(blobs, segment: Segment) -> None:
    """Synchronises the files of a segment under their own names, then empties it. One that cannot be is written again from the log."""
    if not segment.names:
        return
    for start in range(0, len(segment.names), TOGETHER):
        with ExitStack() as closing:
            opened = [(sha256, _opened(blobs, sha256, closing)) for sha256 in segment.names[start:start + TOGETHER]]
            for sha256, handle in opened:
                if handle is not None and not _is_synchronised(handle):
                    segment.damaged.add(sha256)      # until it is written again: the system tells of a failure once
    if segment.damaged:
        log.error("%s files could not be synchronised: written again from the redo log", len(segment.damaged))
        for sha256, content in segment.records():
            if sha256 in segment.damaged:
                blobs.keep(content)
    for folder in {blobs.shelf(sha256) for sha256 in segment.names}:
        sync_folder(folder)
    segment.clear()


def _opened(blobs, sha256: str, closing: ExitStack) -> int | None:
    """The file of a blob, its bytes on their way to disk; None for one that was packed or removed since."""
    try:
        handle = os.open(f"{blobs.shelf(sha256)}/{sha256}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    closing.callback(os.close, handle)
    begin_to_write(handle)
    return handle


def _is_synchronised(handle: int) -> bool:
    try:
        os.fsync(handle)
        return True
    except OSError:
        return False


def _pages(size: int) -> int:
    return -(-size // PAGE) * PAGE
