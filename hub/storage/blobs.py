"""Bytes on disk, named by their SHA-256. What ``keep`` has returned would survive a power cut.

A blob is written beside its place, renamed into it, and then file and folder are synchronised: one commit of the
file system's journal brings bytes and name to disk together. A name that is taken already is never touched before the
new bytes are safe (docs/decisions/0007). Nothing here ever changes a blob. A name that is asked for must be a hash,
so no path can be smuggled in.
"""
from __future__ import annotations

import errno
import hashlib
import itertools
import os
import re
import shutil
import uuid
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import BinaryIO

from hub.errors import NotFound, out_of_space, translated
from hub.model.arrival import StoredFile
from hub.storage import packing
from hub.storage.disk import begin_to_write, renamed, sync_folder
from hub.storage.redo import SMALL_BYTES, RedoLog, recover

_HASH = re.compile(r"[0-9a-f]{64}")
PIECE = 1 << 20

MOST_AT_ONCE = 64      # files that are open while they wait for one commit of the journal
HEAD_BYTES = SMALL_BYTES       # of a blob are kept at hand while it is written: all of a small one
BUFFER_BYTES = 640 * 1024      # a CT slice and its header in one piece; what is bigger goes to disk piece by piece
ROOM_S = 0.1                   # of what comes in that time there is room above the floor's own margin
_spare: deque[bytearray] = deque(maxlen=32)


class Blobs:
    """The store below ``folder``; refuses new bytes when less than ``floor_mb`` megabytes are free."""

    def __init__(self, folder: Path, floor_mb: int = 0):
        self.folder = Path(folder)
        self.incoming = self.folder / "incoming"
        self.unpacked = self.folder / "unpacked"
        self.floor = floor_mb * 1_000_000
        for folder in _make_folder(self.incoming, Path(self.folder.anchor)):
            sync_folder(folder)
        self.unpacked.mkdir(exist_ok=True)
        self._has_room_until = 0.0
        self._shelving, self._is_shelved = Lock(), False      # the 256 folders are there and on disk
        self._redo: RedoLog | None = None
        self._own, self._numbers = f"{self.incoming}/{uuid.uuid4().hex}-", itertools.count()

    def open_redo_log(self) -> None:
        """From here on small blobs of this process are made to last by one log for all of them (``hub.storage.redo``)."""
        self._redo = RedoLog(Blobs(self.folder))           # what it writes again was acknowledged: no floor holds it back

    def close_redo_log(self) -> None:
        """To be called when no writer is at work any more. Safe to repeat."""
        log, self._redo = self._redo, None
        if log is not None:
            log.close()

    def recover(self) -> None:
        """Puts right first what a power cut has taken from small blobs (``hub.storage.redo``)."""
        recover(Blobs(self.folder))

    def writer(self, name: str = "") -> BlobWriter:
        """A new blob to stream into. Raises OutOfSpace below the floor."""
        self.check_room()
        return BlobWriter(self, name, self._redo)

    def check_room(self) -> None:
        """Raises OutOfSpace when the disk has less free than the floor; what was seen to be free counts for ROOM_S."""
        if self.floor and not self._has_room_until > (now := monotonic()):
            if shutil.disk_usage(self.folder).free < self.floor:
                raise out_of_space()
            self._has_room_until = now + ROOM_S

    def is_tight(self) -> bool:
        """Whether the disk has less free than twice the floor."""
        return bool(self.floor) and shutil.disk_usage(self.folder).free < 2 * self.floor

    def keep(self, content: bytes, name: str = "") -> StoredFile:
        """Stores ``content`` and returns its name, hash and size; the same bytes are kept once."""
        with self.writer(name) as writer:
            writer.write(content)
            return writer.keep()

    def keep_all(self, contents: list[bytes]) -> list[StoredFile]:
        """Stores them all as ``keep`` does, in their order, with one commit of the file system's journal for many of them."""
        kept: list[StoredFile] = []
        for start in range(0, len(contents), MOST_AT_ONCE):
            with ExitStack() as opened:
                writers = []
                for content in contents[start:start + MOST_AT_ONCE]:
                    writers.append(opened.enter_context(self.writer()))
                    writers[-1].write(content)
                    writers[-1].gather()
                for writer in writers:
                    writer.place()
                kept += [writer.settle() for writer in writers]
        return kept

    def path(self, sha256: str) -> Path:
        """Where a blob lies, whether it exists or not; one that is packed is unpacked first, its bytes checked by their hash."""
        if (original := self.original(sha256)) is not None:
            return original
        if packing.packed_place(self.folder, sha256).exists():
            return packing.unpacked(self, sha256)
        return self.folder / sha256[:2] / sha256

    def original(self, sha256: str) -> Path | None:
        """The file that came, None where there is none (any more)."""
        if not _HASH.fullmatch(sha256):
            raise NotFound("no_blob", "没有这个文件。", "no such file.")
        places = self.folder / sha256[:2] / sha256, self.folder / sha256[:2] / sha256[2:4] / sha256
        return next((place for place in places if place.exists()), None)      # the second: of stores made before there was one level of folders only

    def open(self, sha256: str) -> BinaryIO:
        """The blob, open for reading. NotFound if it is missing."""
        try:
            try:
                return self.path(sha256).open("rb")
            except FileNotFoundError:
                return self.path(sha256).open("rb")      # it may have been packed between the two
        except FileNotFoundError:
            raise NotFound("no_blob", "原始文件缺失，请联系管理员。", f"the file {sha256[:12]} is missing; tell the administrator.") from None

    def read(self, sha256: str) -> bytes:
        with self.open(sha256) as file:
            return file.read()

    def fixity(self, sha256: str) -> tuple[str, int]:
        """Hashes a blob again: ("intact", "changed" or "missing", bytes that were read). A file that the disk cannot
        give back is "changed"."""
        counted, size = hashlib.sha256(), 0
        packed = packing.packed_place(self.folder, sha256)
        original = self.original(sha256)
        if original is None and packed.exists():
            return "intact" if packing.hash_of(packed) == sha256 else "changed", packed.stat().st_size
        try:
            with (original or packed).open("rb", buffering=0) as file:
                while piece := file.read(PIECE):
                    counted.update(piece)
                    size += len(piece)
        except FileNotFoundError:
            return self.fixity(sha256) if original is not None else ("missing", 0)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return "changed", size
        return "intact" if counted.hexdigest() == sha256 else "changed", size

    def remove(self, sha256: str, older_than: float) -> bool:
        """Removes a blob, packed or not. False, and it stays, where its bytes were written after ``older_than`` (seconds
        since 1970): whoever is storing them again may have been told "yes". Safe to repeat; a kill leaves it to the next."""
        original = self.original(sha256) or self.folder / sha256[:2] / sha256
        going = self.folder / sha256[:2] / f"{sha256}.going"      # out of the way first, so that what is looked at is what goes
        if original.exists():
            os.rename(original, going)
        if going.exists():
            if going.stat().st_mtime >= older_than:
                os.rename(going, original)
                return False
            going.unlink()
        packing.packed_place(self.folder, sha256).unlink(missing_ok=True)
        (self.unpacked / sha256).unlink(missing_ok=True)
        sync_folder(original.parent)
        return True

    def new_name(self) -> str:
        """A path beside the blobs that nobody else writes to."""
        return f"{self._own}{next(self._numbers)}"

    def shelf(self, sha256: str) -> str:
        """The folder that a new blob is put into; its own entry survives a power cut."""
        if not self._is_shelved:
            with self._shelving:
                if not self._is_shelved:
                    for number in range(256):
                        (self.folder / f"{number:02x}").mkdir(exist_ok=True)
                    sync_folder(self.folder)          # whatever other process is making them at this moment
                    self._is_shelved = True
        return f"{self.folder}/{sha256[:2]}"

    def sweep_incoming(self, older_than: float) -> int:
        """Removes half-written files last touched before ``older_than`` (seconds since 1970), returns how many."""
        return self._sweep(self.incoming, older_than)

    def sweep_unpacked(self, older_than: float) -> int:
        """Removes unpacked copies that nobody asked for since ``older_than``; their packed files stay."""
        return self._sweep(self.unpacked, older_than)

    def _sweep(self, folder: Path, older_than: float) -> int:
        removed = 0
        for path in folder.iterdir():
            try:
                if path.stat().st_mtime < older_than:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:
                continue
        return removed


class BlobWriter:
    """A blob on its way in. ``keep`` makes it last; leaving the block without it leaves nothing behind.

    Up to BUFFER_BYTES are gathered in memory, hashed and written in one piece; of a bigger blob piece after piece.
    """

    def __init__(self, blobs: Blobs, name: str, redo: RedoLog | None):
        self._blobs, self._name, self._redo, self._added = blobs, name, redo, None
        self._path = blobs.new_name()
        self._hash, self._written, self._head = hashlib.sha256(), 0, b""
        self._handle, self._shelf, self._is_placed = -1, "", False
        self._memory = _spare.pop() if _spare else bytearray(BUFFER_BYTES)
        self._buffer, self._filled = memoryview(self._memory), 0

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(self, *_):
        self.discard()

    @property
    def size(self) -> int:
        return self._written + self._filled

    @property
    def path(self) -> Path:
        """The file beside its place, with all that was written so far."""
        self._flush()
        return Path(self._path)

    def room(self, count: int) -> memoryview:
        """Memory for the next ``count`` bytes, at most BUFFER_BYTES, to be followed by ``filled``."""
        if self._filled + count > BUFFER_BYTES:
            self._flush()
        return self._buffer[self._filled:self._filled + count]

    def filled(self, count: int) -> None:
        """``count`` bytes stand in the room that was given last."""
        self._filled += count

    def write(self, chunk) -> None:
        """Adds bytes; raises OutOfSpace when the disk is full."""
        view = memoryview(chunk).cast("B")
        while view:
            part = view[:BUFFER_BYTES]
            self.room(len(part))[:] = part
            self._filled += len(part)
            view = view[len(part):]

    @property
    def head(self) -> bytes:
        """The first bytes that were written, HEAD_BYTES of them at most."""
        return self._head if self._written else bytes(self._buffer[:min(self._filled, HEAD_BYTES)])

    @property
    def sha256(self) -> str:
        """The hash of what was written so far."""
        if self._filled:
            self._flush()
        return self._hash.hexdigest()

    def keep(self) -> StoredFile:
        """Bytes and name to disk. Afterwards the blob survives a power cut."""
        self.gather()
        self.place()
        return self.settle()

    def gather(self) -> None:
        """The first step of ``keep``: all that was written goes to the file, and the memory is given back."""
        self._flush()
        self._give_back()

    def place(self) -> None:
        """The second: the name, where it is free. It is not where the blob lies packed: readers prefer an original, so it
        may not come before it is safe."""
        try:
            self._shelf = self._blobs.shelf(self.sha256)
            place = f"{self._shelf}/{self.sha256}"
            self._is_placed = not os.path.exists(place + packing.SUFFIX) and renamed(self._path, place)
            if self._is_placed and self._redo is not None and self._written == len(self._head):
                self._added = self._redo.add(self.sha256, self._head)
        except OSError as error:
            raise translated(error) from error

    def settle(self) -> StoredFile:
        """The third: file and folder to disk. Of several blobs, place all before the first is settled: one commit of
        the journal then serves them all."""
        if self._added is not None and self._redo.sync(self._added):
            self._close()
            return StoredFile(self._name, self.sha256, self._written)
        place = f"{self._shelf}/{self.sha256}"
        try:
            try:
                os.fsync(self._handle)
            except OSError:
                if self._is_placed:
                    self._take_back(place)
                raise
            if not self._is_placed:                # the same bytes were there: theirs stayed until ours are safe
                os.replace(self._path, place)
            self._close()
            sync_folder(self._shelf)
        except OSError as error:
            raise translated(error) from error
        return StoredFile(self._name, self.sha256, self._written)

    def _take_back(self, place: str) -> None:
        """What could not be made to last loses its name, unless somebody else's safe bytes have it by now."""
        os.rename(place, self._path)
        if os.stat(self._path).st_ino != os.fstat(self._handle).st_ino:
            os.rename(self._path, place)

    def discard(self) -> None:
        """Forgets what was written, unless it was kept."""
        if self._handle != -1:
            self._close()
            Path(self._path).unlink(missing_ok=True)
        self._give_back()

    def _flush(self) -> None:
        """Writes what is in memory, and hashes it while the disk is already at work."""
        whole = view = self._buffer[:self._filled]
        if not self._written:
            self._head = bytes(view[:HEAD_BYTES])
        try:
            if self._handle == -1:
                self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            while view:
                view = view[os.write(self._handle, view):]
            if self._redo is None or self._written or len(whole) > HEAD_BYTES:
                begin_to_write(self._handle)
        except OSError as error:
            raise translated(error) from error
        self._hash.update(whole)
        self._written, self._filled = self._written + self._filled, 0

    def _close(self) -> None:
        handle, self._handle = self._handle, -1
        os.close(handle)

    def _give_back(self) -> None:
        if self._memory is not None:
            self._buffer.release()
            _spare.append(self._memory)
            self._memory = None


def kept_below(folder: Path) -> list[Path]:
    """Every blob of the store in ``folder``, each hash once: the original where it is there, else its packed form."""
    found = {path.name.removesuffix(packing.SUFFIX): path for pattern in (f"??/*{packing.SUFFIX}", "??/??/*", "??/*") for path in folder.glob(pattern)
             if _HASH.fullmatch(path.name.removesuffix(packing.SUFFIX)) and path.is_file()}
    return list(found.values())


def _make_folder(folder: Path, top: Path) -> list[Path]:
    """Makes the folders down to ``folder`` and returns the parents whose entries are new."""
    changed, missing = [], folder
    while missing != top and not missing.is_dir():
        changed.append(missing.parent)
        missing = missing.parent
    folder.mkdir(parents=True, exist_ok=True)
    return changed
